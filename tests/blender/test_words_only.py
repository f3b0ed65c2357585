# SPDX-License-Identifier: GPL-3.0-or-later
"""Words in place of a picture: from the panel and the command line to strips like any others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon import options, words_only
from footfall.addon.host import live, orders, properties
from footfall.addon.host.commands import run as commands
from footfall.addon.host.panel import ready as shots
from footfall.addon.host.panel import settings as panel_settings
from footfall.addon.host.worker import bundles
from footfall.addon.takes import provenance
from footfall.addon.wire.messages import CONDITIONS, BundleInfo
from footfall.tests.blender.host_tools import enabled_addon, our_strips, turn

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The add-on over an empty scene: no camera, no strip, nothing that could be looked at."""
    with enabled_addon(tmp_path, monkeypatch):
        bpy.context.scene.frame_end = 48
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "dark.blend"))
        yield
    bundles.forget()


def chosen(prompt: str = "thunder far away") -> Any:
    settings = bpy.context.scene.footfall
    settings.source, settings.prompt = "words", prompt
    shots.forget()
    return settings


def finish(session: Any) -> Any:
    turn(session, lambda: not any(job.active or job.state == "done" for job in session.table.all()))
    return session.table.all()[-1]


def generate() -> Any:
    """Press the button and wait; the job."""
    assert bpy.ops.footfall.generate() == {"FINISHED"}
    job = finish(live.session())
    assert job.state == "placed", job.sentence
    return job


def told(strip: Any) -> provenance.Story:
    story = provenance.read(strip[provenance.KEY])
    assert story is not None
    return story


def test_words_make_a_strip_where_there_is_nothing_to_see() -> None:
    chosen()
    generate()
    (strip,) = our_strips(bpy.context.scene)
    story = told(strip)
    assert story.settings["prompt"] == "thunder far away"
    assert story.settings["condition"] == "clap_text"
    assert story.shot["source"] == "words"
    assert story.layer == "bed"
    assert bpy.context.scene.frame_current == 1


def test_a_background_lies_behind_spots_and_is_not_heard_in_their_place() -> None:
    """Left in the panel by another shot, it would drown what the words ask for."""
    chosen("a dog barks").background = "rain"
    generate()
    (strip,) = our_strips(bpy.context.scene)
    assert (told(strip).settings["prompt"], told(strip).settings["background"]) == ("a dog barks", "")
    bpy.context.scene.timeline_markers.new("hit glass", frame=20)
    generate()
    assert {told(strip).settings["background"] for strip in our_strips(bpy.context.scene)[1:]} == {"rain"}


def test_spots_only_where_someone_has_set_them() -> None:
    """What moves in the picture is not what is heard off screen; a marker is a wish."""
    bpy.context.scene.timeline_markers.new("hit door", frame=13)
    chosen("a door slams next door")
    generate()
    assert {told(strip).layer for strip in our_strips(bpy.context.scene)} == {"bed", "spots"}


def test_another_take_and_an_update_need_no_picture_either() -> None:
    chosen()
    generate()
    (strip,) = our_strips(bpy.context.scene)
    editor = bpy.context.scene.sequence_editor
    editor.active_strip, strip.select = strip, True
    assert bpy.ops.footfall.take_again() == {"FINISHED"}
    session = live.session()
    assert finish(session).state == "placed"
    (strip,) = our_strips(bpy.context.scene)
    assert told(strip).settings["condition"] == "clap_text"
    assert bpy.ops.footfall.update_changed() == {"FINISHED"}
    finish(session)
    (strip,) = our_strips(bpy.context.scene)
    assert told(strip).settings["prompt"] == "thunder far away"


def test_without_words_the_button_says_what_is_missing() -> None:
    chosen("  ")
    seen = shots.look(bpy.context)
    assert not seen.fits
    assert "Sounds Like" in seen.sentence
    assert not bpy.ops.footfall.generate.poll()
    chosen()
    seen = shots.look(bpy.context)
    assert seen.fits
    assert "Words" in seen.sentence
    assert "picture" not in seen.sentence


@pytest.mark.parametrize(
    ("queries", "condition"),
    [
        (("picture", "clip_text"), "clip_text"),
        (("picture", "clip_text", "clip_text_prior"), "clip_text_prior"),
        (CONDITIONS, "clap_text"),
    ],
)
def test_the_panel_takes_the_best_way_that_the_model_knows(queries: tuple[str, ...], condition: str) -> None:
    bundles.report([BundleInfo(name="mine", title="Mine", queries=queries)])
    settings = chosen()
    settings.bundle = "mine"
    assert orders.panel_settings(settings)["condition"] == condition
    settings.words_through = "clip"
    assert orders.panel_settings(settings)["condition"] == "clip_text"
    settings.source = "auto"
    assert orders.panel_settings(settings)["condition"] == "picture"


def test_a_model_in_the_folder_says_it_before_the_worker_runs(tmp_path: Path) -> None:
    root = tmp_path / "models" / "sonic"
    root.mkdir(parents=True)
    (root / "bundle.toml").write_text(
        'format = 2\ntitle = "Sonic"\nlicence = "CC0-1.0"\ncondition = "clip"\n\n'
        '[files."text_prior/config.json"]\nsize = 1\n\n[files."unet/config.json"]\nsize = 1\n'
    )
    assert bundles.queries_of("sonic", root.parent) == ("picture", "clip_text", "clip_text_prior")
    bundles.look_into(root.parent)
    assert bundles.find("sonic").makes == ("sound",)
    assert bundles.queries_of("sonic") == ("picture", "clip_text", "clip_text_prior")
    assert bundles.queries_of("nowhere") == ()


def test_settings_of_a_take_and_presets_bring_it_back() -> None:
    settings = chosen()
    kept = panel_settings.taken(settings)
    assert kept["condition"] == "clap_text"
    panel_settings.put(settings, {"condition": "picture"})
    assert settings.source == "auto"
    settings.source = "camera"
    panel_settings.put(settings, {"condition": "picture"})
    assert settings.source == "camera"
    panel_settings.put(settings, {**kept, "condition": "clip_text_prior"})
    assert (settings.source, settings.words_through) == ("words", "prior")


def test_hits_are_looked_for_where_they_can_be_seen() -> None:
    chosen()
    assert orders.to_search(bpy.context.scene, "").source == "auto"


def test_the_panels_choices_are_the_command_lines() -> None:
    assert tuple(item[0] for item in properties.SOURCES) == options.SOURCES
    assert tuple(item[0] for item in properties.THROUGH) == ("auto", *words_only.THROUGH)


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capfd.readouterr()
    code = commands.run(["generate", "--json", *words])
    return code, json.loads(capfd.readouterr().out)


def test_the_command_line_takes_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.wav"
    code, report = run(capfd, "--text", "thunder", "--start", "0.5", "-o", str(out))
    assert code == 0, report
    assert report["pictures"] == 0
    assert out.is_file()
    (strip,) = report["strips"]
    assert strip["start"] == 13


@pytest.mark.parametrize(
    "words", [["--text", " "], ["--text", "x " * 6000], ["--text", "x", "--prompt", "y"]]
)
def test_what_cannot_be_is_a_sentence(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    code, report = run(capfd, *words)
    assert code in (2, 3)
    assert not report["ok"]
    assert "--text" in report["error"]
