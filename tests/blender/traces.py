# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything a capture might leave behind, as values that two moments can be compared by."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import bpy

_NOT_OURS = {"rna_type", "filepath", "is_dirty", "version", "bl_rna"}


def snapshot() -> dict[str, Any]:
    """All data-blocks with their users, all settings of all scenes, our temporary files, and our handlers."""
    found: dict[str, Any] = {"blocks": blocks(), "files": temporary_files()}
    for scene in bpy.data.scenes:
        layer = scene.view_layers[0]
        found[scene.name] = {
            "scene": values(scene),
            "render": values(scene.render),
            "output": values(scene.render.image_settings),
            "view": values(scene.view_settings),
            "display": values(scene.display) | values(scene.display.shading),
            "eevee": values(scene.eevee),
            "cycles": values(scene.cycles) if hasattr(scene, "cycles") else {},
            "layers": [values(one) for one in scene.view_layers],
            "selected": [one.name for one in scene.objects if one.select_get(view_layer=layer)],
            "active": layer.objects.active.name if layer.objects.active else "",
            "objects": {one.name: values(one) for one in scene.objects},
        }
    found["handlers"] = {
        name: len(ones)
        for name in ("save_pre", "load_pre", "frame_change_post", "render_post")
        if isinstance(ones := getattr(bpy.app.handlers, name), list)
    }
    return found


def changes(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two snapshots differ, as lines to read."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        gone = "nothing"
        lines = (changes(before.get(key, gone), after.get(key, gone), f"{path}/{key}") for key in keys)
        return [line for part in lines for line in part]
    return [] if before == after else [f"{path}: {before} -> {after}"]


def blocks() -> dict[str, dict[str, int]]:
    """Name and number of users of every data-block of the file."""
    kinds = [kind.identifier for kind in bpy.data.bl_rna.properties if kind.type == "COLLECTION"]
    return {kind: {one.name_full: one.users for one in getattr(bpy.data, kind)} for kind in kinds}


def temporary_files() -> list[str]:
    return sorted(str(path) for path in Path(bpy.app.tempdir).glob("footfall-*"))


def values(owner: Any) -> dict[str, Any]:
    """Every plain property of ``owner``, those that will go included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return _values(owner)


def _values(owner: Any) -> dict[str, Any]:
    found = {}
    for item in owner.bl_rna.properties:
        name = item.identifier
        if name in _NOT_OURS or item.type == "COLLECTION" or (item.is_readonly and item.type == "POINTER"):
            continue
        value = getattr(owner, name)
        if item.type == "POINTER":
            found[name] = value.name_full if isinstance(value, bpy.types.ID) else value is None
        elif getattr(item, "is_array", False):
            found[name] = [tuple(row) if hasattr(row, "__len__") else row for row in value]
        else:
            found[name] = value
    return found
