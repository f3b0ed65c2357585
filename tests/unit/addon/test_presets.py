# SPDX-License-Identifier: GPL-3.0-or-later
"""Preset files: what ships is good, what people write wrong is told in a sentence."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from footfall.addon import presets
from footfall.addon.presets import SHIPPED, Preset, file_name, load, read, save
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.addon.wire.messages import FoleyRequest, Pull

GOOD: dict[str, Any] = {"footfall_preset": 1, "name": "Rain", "settings": {"prompt": "rain", "nudge": 0.7}}


def parse(plain: Any) -> Preset:
    return read(json.dumps(plain).encode(), "rain.json")


def test_what_ships_is_good_and_named_by_its_name() -> None:
    found, problems = load(SHIPPED)
    assert problems == []
    assert len(found) >= 12
    assert {"Exterior rain", "Cartoon", "Wood workshop", "No music"} <= {preset.name for preset in found}
    assert len({preset.name for preset in found}) == len(found)
    for preset in found:
        assert preset.about.endswith(".")
        assert preset.path is not None
        assert read(preset.text().encode(), "again").settings == preset.settings


def test_settings_are_fields_of_the_request() -> None:
    assert set(presets.SETTINGS) <= set(FoleyRequest.__dataclass_fields__)


def test_there_and_back(tmp_path: Path) -> None:
    preset = presets.of_settings(
        "Naß & laut",
        {
            "prompt": "“wet”",
            "background": "",
            "layers": ("spots",),
            "pulls": (Pull(words="rain", weight=-1.0),),
            "seed": 4,
        },
    )
    path = save(tmp_path / "new", preset)
    assert path.name == "na_laut.json"
    (back,), problems = load(tmp_path / "new")
    assert (back.name, back.settings, problems) == ("Naß & laut", preset.settings, [])
    assert "seed" not in back.settings


def test_a_prompt_alone_is_for_all_that_is_heard() -> None:
    """A file of before there was a background, or a text copied then, must not leave another one's there."""
    assert parse(GOOD).settings["background"] == ""
    assert "background" not in parse({**GOOD, "settings": {"loop": True}}).settings
    behind = parse({**GOOD, "settings": {"prompt": "boots", "background": "rain"}})
    assert behind.settings["background"] == "rain"


@pytest.mark.parametrize("name", ["Exterior rain", "Exterior wind", "Quiet room"])
def test_what_is_behind_the_hits_is_no_prompt_for_them(name: str) -> None:
    (preset,) = (one for one in load(SHIPPED)[0] if one.name == name)
    assert (preset.settings["prompt"], preset.settings["layers"]) == ("", ("bed", "spots"))
    assert preset.settings["background"]


def test_unicode_is_written_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path, presets.of_settings("Quotes", {"prompt": "“wet”"}))
    assert "“wet”" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"footfall_preset": None}, "is no preset"),
        ({"footfall_preset": 2}, "later Footfall"),
        ({"name": " "}, "needs a “name”"),
        ({"about": 5}, "“about”"),
        ({"settings": {}}, "needs “settings”"),
        ({"settings": []}, "needs “settings”"),
        ({"seed": 5}, "“seed” in rain.json is nothing that a preset has"),
        ({"settings": {"promt": "x"}}, "“promt” in rain.json is nothing that a preset has; it knows prompt"),
        ({"settings": {"seed": 5}}, "“seed”"),
        ({"settings": {"nudge": 2}}, "nudge must lie between 0 and 1"),
        ({"settings": {"nudge": "half"}}, "nudge must be a number"),
        ({"settings": {"layers": []}}, "“layers”"),
        ({"settings": {"layers": ["bed", "bed"]}}, "“layers”"),
        ({"settings": {"layers": ["roof"]}}, "In rain.json"),
        ({"settings": {"loop": 1}}, "In rain.json"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse({**GOOD, **change})
    assert words in caught.value.sentence


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 999, b'{"footfall_preset": NaN}']
)
def test_what_is_no_json_is_said(text: bytes) -> None:
    with pytest.raises(BadInput, match=r"rain\.json is (not readable|no preset)"):
        read(text, "rain.json")


def test_a_folder_with_all_sorts_of_things(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    (tmp_path / "b.json").write_text("nonsense")
    (tmp_path / "c.json").write_bytes(b" " * (presets.MOST_BYTES + 1))
    (tmp_path / "d.json").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    found, problems = load(tmp_path)
    assert [preset.name for preset in found] == ["Rain"]
    assert len(problems) == 3
    assert load(tmp_path / "nowhere") == ([], [])


@pytest.mark.parametrize("name", ["../../etc/passwd", "CON", "雨", "a" * 300, "rain/../x"])
def test_file_names_are_plain(name: str) -> None:
    assert Path(file_name(name)).name == file_name(name)
    assert len(file_name(name)) <= 65


def test_names_that_are_not_latin_do_not_replace_each_other(tmp_path: Path) -> None:
    preset = parse(GOOD)
    for name in ("雨", "風", "雨", "rain!", "Rain", "rain!"):
        save(tmp_path, dataclasses.replace(preset, name=name))
    found, problems = load(tmp_path)
    assert sorted(one.name for one in found) == ["Rain", "rain!", "雨", "風"]
    assert problems == []
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".json"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="could not be written"):
        save(tmp_path / "file", parse(GOOD))
