# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets in Blender: applied to the panel, kept in the user's folder, and told in a sentence when broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from footfall.addon import presets
from footfall.addon.host import registration
from footfall.addon.host.panel import preset_menu
from footfall.addon.host.panel import settings as panel_settings


@pytest.fixture(autouse=True)
def registered(empty_file: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    registration.register()
    yield
    registration.unregister()


def test_every_shipped_one_fits_the_panel() -> None:
    chosen = bpy.context.scene.footfall
    for preset in presets.load(presets.SHIPPED)[0]:
        assert bpy.ops.footfall.preset_apply(file=str(preset.path)) == {"FINISHED"}
        now = panel_settings.taken(chosen)
        for name, value in preset.settings.items():
            assert now[name] == (pytest.approx(value) if isinstance(value, float) else value), (
                preset.name,
                name,
            )


def test_what_a_preset_does_not_name_stays() -> None:
    chosen = bpy.context.scene.footfall
    chosen.prompt, chosen.seed = "mine", 5
    bpy.ops.footfall.preset_apply(file=str(presets.SHIPPED / "quick_sketch.json"))
    assert (chosen.prompt, chosen.seed, chosen.quality) == ("mine", 5, "draft")


def test_kept_and_applied_again() -> None:
    chosen = bpy.context.scene.footfall
    chosen.prompt, chosen.nudge, chosen.bed = "glass harp", 0.25, False
    assert bpy.ops.footfall.preset_save(name="My Own", about="Mine.") == {"FINISHED"}
    path = preset_menu.own_folder() / "my_own.json"
    chosen.prompt, chosen.nudge, chosen.bed = "", 0.5, True
    bpy.ops.footfall.preset_apply(file=str(path))
    assert (chosen.prompt, chosen.nudge, chosen.layers()) == ("glass harp", 0.25, ("spots",))


@pytest.mark.parametrize(
    "text", ["nonsense", '{"footfall_preset": 1, "name": "x", "settings": {"promt": 1}}']
)
def test_a_broken_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(RuntimeError, match=r"broken\.json"):
        bpy.ops.footfall.preset_apply(file=str(path))


def test_without_a_name_nothing_is_kept() -> None:
    with pytest.raises(RuntimeError, match="name"):
        bpy.ops.footfall.preset_save(name=" ")
    assert not preset_menu.own_folder().exists()
