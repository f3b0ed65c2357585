# SPDX-License-Identifier: GPL-3.0-or-later
"""What enabling and disabling the add-on does: one ordered list, walked backwards to undo it.

Enabling starts no thread, timer or process and imports neither zmq nor numpy; session.py starts those on
first use, and ``unregister`` ends them.
"""

from __future__ import annotations

import logging
from types import ModuleType

import bpy

from . import live, operators, preferences, properties
from .commands import run as commands
from .hits import drag as hit_drag
from .hits import files as hit_files
from .hits import operators as hit_operators
from .hits import overlay as hit_overlay
from .hits import rows as hit_rows
from .hits import store as hit_list
from .panel import preset_menu
from .panel import tab as panels
from .pictures import operators as picture_operators
from .pictures import panel as picture_panel
from .shots import operators as shot_operators
from .shots import panel as shot_panel
from .shots import pictures as shot_pictures
from .shots import properties as shot_properties
from .sounds import live_row
from .takes import asks as take_asks
from .takes import hears_panel
from .takes import keys as take_keys
from .takes import operators as take_operators
from .takes import panel as take_panel
from .worker import operators as worker_operators

log = logging.getLogger(__name__)

MODULES: tuple[ModuleType, ...] = (
    properties,
    preferences,
    operators,
    worker_operators,
    *(hit_list, hit_operators, hit_files, hit_rows, hit_overlay, hit_drag),
    *(take_asks, take_operators, take_keys, preset_menu, take_panel, hears_panel, live_row),
    panels,
    *(picture_operators, picture_panel),
    *(shot_properties, shot_pictures, shot_operators, shot_panel),
    commands,
)


def register() -> None:
    """Add every class and property; if one fails, take back those before it and raise."""
    done: list[ModuleType] = []
    try:
        for module in MODULES:
            done.append(module)
            _register(module)
    except (RuntimeError, ValueError, AttributeError, TypeError):
        for module in reversed(done):
            _unregister(module)
        raise


def unregister() -> None:
    """End the session, then remove everything in reverse order."""
    live.end()
    for module in reversed(MODULES):
        _unregister(module)


def _register(module: ModuleType) -> None:
    for kind in module.CLASSES:
        bpy.utils.register_class(kind)
    if hasattr(module, "register"):
        module.register()


def _unregister(module: ModuleType) -> None:
    if hasattr(module, "unregister"):
        module.unregister()
    for kind in reversed(module.CLASSES):
        if hasattr(kind, "bl_rna") and kind.is_registered:
            bpy.utils.unregister_class(kind)
