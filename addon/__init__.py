# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender side. ``host/`` alone imports bpy, and only once ``register`` is called."""


def register() -> None:
    from .host.registration import register as begin

    begin()


def unregister() -> None:
    from .host.registration import unregister as end

    end()
