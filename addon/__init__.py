# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender side. ``host/`` alone imports bpy, and only once ``register`` is called."""


def register() -> None:
    from .host import registration

    registration.register()


def unregister() -> None:
    from .host import registration

    registration.unregister()
