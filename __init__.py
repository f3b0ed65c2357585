# SPDX-License-Identifier: GPL-3.0-or-later
"""Footfall: the root is both the Blender extension and the Python package ``footfall``.

Importing it loads neither bpy nor numpy, so that the worker and the tests can import ``footfall``.
"""

__version__ = "0.1.0"


def register() -> None:
    """Blender calls this when the extension is enabled."""
    from . import addon

    addon.register()


def unregister() -> None:
    """Blender calls this when the extension is disabled."""
    from . import addon

    addon.unregister()
