# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch of shots that nobody looks at: words alone say what is heard, from command line to strips."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from footfall.addon.takes import provenance
from footfall.addon.takes.provenance import Story

from .studio import LIMIT_S, Studio, check_all_there, make_studio

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("bpy") is None, reason="NO BLENDER: the bpy module is needed"
)
WORDS = ("--source", "words", "--prompt", "far thunder")


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return make_studio(tmp_path, 3)


def stories(blend: str) -> list[Story]:
    """What the strips of a file say of themselves, read by another Blender, in the order of the shots."""
    code = (
        "import bpy, json, sys; bpy.ops.wm.open_mainfile(filepath=sys.argv[1]);"
        "e = bpy.context.scene.sequence_editor;"
        "s = e.strips_all if hasattr(e, 'strips_all') else e.sequences_all;"
        "s = sorted((x for x in s if x.type == 'SOUND'), key=lambda x: x.frame_start);"
        "print('\\n' + json.dumps([x['footfall'] for x in s]))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, blend], capture_output=True, text=True, check=True, timeout=LIMIT_S
    )
    found = [provenance.read(text) for text in json.loads(done.stdout.strip().splitlines()[-1])]
    return [story for story in found if story is not None]


def test_every_shot_gets_its_sound_and_none_is_made_twice(studio: Studio) -> None:
    code, report = studio.run(*WORDS)
    assert code == 0
    check_all_there(studio, report)
    for story in stories(report["blends"][0]["blend"]):
        assert (story.settings["prompt"], story.settings["condition"]) == ("far thunder", "clap_text")
        assert story.shot["source"] == "words"
    made = studio.made()
    for again in ((), ("--only", "changed")):  # it goes on where it was; and no picture has changed
        code, report = studio.run(*WORDS, *again)
        assert code == 0
        check_all_there(studio, report)
        assert all(shot["kept"] for shot in report["blends"][0]["shots"])
    assert studio.made() == made


def test_a_shot_without_words_is_told_and_the_others_are_made(studio: Studio) -> None:
    """One shot has its own words, one is looked at after all, one has neither."""
    (studio.folder / "jobs.toml").write_text(
        '[[file]]\npath = "shot.blend"\nsource = "words"\n'
        '[[file.shot]]\nname = "sh000"\nprompt = "rain"\n'
        '[[file.shot]]\nname = "sh001"\nsource = "sequencer"\n',
        "utf-8",
    )
    code, report = studio.run("--jobs", "jobs.toml")
    assert code == 3
    first, second, third = report["blends"][0]["shots"]
    assert (first["state"], second["state"], third["state"]) == ("done", "done", "failed")
    assert "the words decide" in third["error"]
    heard, seen = stories(report["blends"][0]["blend"])
    assert (heard.shot["source"], seen.shot["source"]) == ("words", "sequencer")
    assert (heard.settings["condition"], seen.settings["condition"]) == ("clap_text", "picture")
