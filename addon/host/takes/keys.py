# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the Sequencer: Shift Page Up and Page Down step through takes, J compares two of them.

None of them is taken in Blender's own key maps, 4.2 to 5.2; the user may change them in the preferences.
"""

from __future__ import annotations

from typing import Any

import bpy

KEYS: tuple[tuple[str, str, bool, dict[str, Any]], ...] = (
    ("footfall.take_step", "PAGE_UP", True, {"by": -1}),
    ("footfall.take_step", "PAGE_DOWN", True, {"by": 1}),
    ("footfall.take_compare", "J", False, {}),
)
CLASSES: tuple[Any, ...] = ()


def register() -> None:
    """Add them; in background there are no key maps."""
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is None:
        return
    area = keys.keymaps.new(name="Sequencer", space_type="SEQUENCE_EDITOR")
    for operator, key, shift, options in KEYS:
        item = area.keymap_items.new(operator, key, "PRESS", shift=shift)
        for name, value in options.items():
            setattr(item.properties, name, value)


def unregister() -> None:
    """Take them away again."""
    keys = bpy.context.window_manager.keyconfigs.addon
    area = None if keys is None else keys.keymaps.get("Sequencer")
    if area is not None:
        ours = {operator for operator, *_ in KEYS}
        for item in [item for item in area.keymap_items if item.idname in ours]:
            area.keymap_items.remove(item)
