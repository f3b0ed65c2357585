# SPDX-License-Identifier: GPL-3.0-or-later
"""The live preview: a draft after the last change, the stale one given up, nothing of the user's touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import live, sequencer
from footfall.addon.host.sounds import live_preview, speaker
from footfall.addon.wire.errors import BadInput
from footfall.tests.blender.host_tools import enabled_addon, movie_of_colours, our_strips, turn

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """The add-on over a shot of ten seconds; what comes out of the loudspeakers: samples, rate."""
    sounds: list[tuple[int, int]] = []
    monkeypatch.setattr(speaker, "play", lambda waveform, rate: sounds.append((len(waveform), rate)))
    with enabled_addon(tmp_path, monkeypatch):
        movie_of_colours(bpy.context.scene, 240)
        bpy.context.scene.footfall.random_seed = False
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        yield sounds


def switch_on() -> Any:
    """The preview, when it has seen how things are."""
    assert bpy.ops.footfall.live_preview() == {"FINISHED"}
    session = live.session()
    count = iter(range(3))
    turn(session, lambda: next(count) == 2)
    return session.preview


def wait(preview: Any, until: Callable[[], bool]) -> None:
    turn(live.session(), until)


def test_off_by_default(heard: list[Any]) -> None:
    session = live.get()
    bpy.context.scene.footfall.prompt = "rain"
    count = iter(range(20))
    turn(session, lambda: next(count) == 19)
    assert session.preview is None
    assert heard == []


def test_a_draft_after_a_change(heard: list[Any], tmp_path: Path) -> None:
    preview = switch_on()
    assert preview.state == "idle"
    scene = bpy.context.scene
    scene.frame_set(49)
    scene.footfall.prompt = "rain"
    wait(preview, lambda: preview.state == "ready")
    assert heard == [(2 * 48_000, 48_000)]
    assert preview.took_s >= live_preview.QUIET_S
    assert scene.frame_current == 49
    assert our_strips(scene) == []
    assert not (tmp_path / "footfall").exists()
    assert len(live.session().table.all()) == 0


def test_pictures_are_used_again_until_the_scene_changes(heard: list[Any], monkeypatch: Any) -> None:
    preview = switch_on()
    scene = bpy.context.scene
    drawn = []
    begin = live_preview.Preview._draw
    monkeypatch.setattr(
        live_preview.Preview, "_draw", lambda s, session: drawn.append(1) or begin(s, session)
    )
    scene.footfall.prompt = "rain"
    wait(preview, lambda: len(heard) == 1)
    first = len(drawn)
    assert first
    scene.footfall.prompt = "snow"
    wait(preview, lambda: len(heard) == 2)
    assert len(drawn) == first
    preview.scene_changed = True
    scene.footfall.prompt = "hail"
    wait(preview, lambda: len(heard) == 3)
    assert len(drawn) > first


def test_a_stale_draft_is_given_up(heard: list[Any], measured: Any) -> None:
    preview = switch_on()
    chosen = bpy.context.scene.footfall
    chosen.prompt = "slow 200 50"  # ten seconds
    wait(preview, lambda: preview.state == "making")
    chosen.prompt = "rain"
    wait(preview, lambda: preview.state == "ready")
    assert len(heard) == 1
    assert 0 < preview.cancel_s < 1.0
    measured(f"a stale draft was gone after {preview.cancel_s * 1000:.0f} ms (steps of 50 ms)")


def test_only_the_last_of_many_changes_is_heard(heard: list[Any]) -> None:
    preview = switch_on()
    chosen = bpy.context.scene.footfall
    for number in range(8):
        chosen.nudge = number / 10
        count = iter(range(3))
        wait(preview, lambda count=count: next(count) == 2)
    wait(preview, lambda: preview.state == "ready")
    assert len(heard) == 1


def test_words_for_the_background_are_heard_while_they_count(heard: list[Any], monkeypatch: Any) -> None:
    preview = switch_on()
    chosen = bpy.context.scene.footfall
    asked = []
    client = live.session().need_client()
    submit = client.submit
    monkeypatch.setattr(client, "submit", lambda job, request: asked.append(request) or submit(job, request))
    chosen.background = "rain"
    wait(preview, lambda: preview.state == "ready")
    assert [(one.background, one.layers) for one in asked] == [("rain", ("bed",))]
    chosen.bed = False
    wait(preview, lambda: len(asked) == 2 and preview.state == "ready")
    chosen.background = "snow"  # for a bed that nobody wants
    count = iter(range(20))
    wait(preview, lambda: next(count) == 19)
    assert preview.state == "ready"
    assert len(asked) == 2


def test_a_job_comes_first(heard: list[Any]) -> None:
    preview = switch_on()
    session = live.session()
    bpy.context.scene.footfall.prompt = "slow 30 20"
    wait(preview, lambda: preview.state == "making")
    bpy.ops.footfall.generate()
    turn(session, lambda: session.table.all()[0].state == "placed")
    assert heard == []
    assert len(our_strips(bpy.context.scene)) >= 1
    wait(preview, lambda: preview.state == "ready")
    assert len(heard) == 1


def test_pushed_words_of_a_strip(heard: list[Any], monkeypatch: Any) -> None:
    scene = bpy.context.scene
    scene.footfall.prompt = "tin"
    bpy.ops.footfall.generate()
    session = live.session()
    turn(session, lambda: [job.state for job in session.table.all()] == ["placed"])
    scene.sequence_editor.active_strip = our_strips(scene)[0]
    preview = switch_on()
    asked = []
    client = session.need_client()
    submit = client.submit
    monkeypatch.setattr(client, "submit", lambda job, request: asked.append(request) or submit(job, request))
    bpy.ops.footfall.take_pull(words="noise", weight=-1.0)
    wait(preview, lambda: preview.state == "ready")
    (request,) = asked
    assert [(pull.words, pull.weight) for pull in request.pulls] == [("noise", -1.0)]
    assert (request.prompt, request.quality, float(request.duration_s)) == ("tin", "draft", 2.0)
    assert len(our_strips(scene)) == 1


def test_a_failure_is_told_and_the_next_change_works(heard: list[Any]) -> None:
    preview = switch_on()
    bpy.context.scene.footfall.prompt = "fail"
    wait(preview, lambda: preview.state == "failed")
    assert preview.sentence
    bpy.context.scene.footfall.prompt = "rain"
    wait(preview, lambda: preview.state == "ready")


def test_another_file_and_a_deleted_scene_end_it(heard: list[Any], tmp_path: Path) -> None:
    preview = switch_on()
    bpy.context.scene.footfall.prompt = "slow 100 50"
    wait(preview, lambda: preview.state == "making")
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    session = live.session()
    assert session.preview is None
    switch_on()
    bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(bpy.context.scene)
    turn(session, lambda: session.preview is None)
    assert live_preview._after_change not in bpy.app.handlers.depsgraph_update_post


def test_no_loudspeaker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def mute(*_: Any) -> None:
        raise BadInput("The draft is ready, but this computer has no sound output.")

    monkeypatch.setattr(speaker, "play", mute)
    preview = switch_on()
    bpy.context.scene.footfall.prompt = "rain"
    wait(preview, lambda: preview.state == "ready")
    assert "no sound output" in preview.sentence


def test_the_part_that_is_heard() -> None:
    scene = bpy.context.scene
    for playhead, wanted in ((1, (1, 48)), (100, (100, 147)), (239, (193, 240)), (-50, (1, 48))):
        order = _order(scene)
        part = live_preview._part(order, playhead)
        assert (part.span.start, part.span.end) == wanted
        assert sequencer.scene_rate(scene) == part.rate


def _order(scene: Any) -> Any:
    from footfall.addon.host import orders

    return orders.make(
        scene,
        "f",
        orders.frame_range(scene, "scene"),
        source="auto",
        per_second=4.0,
        settings={"layers": ("bed",), "events": ()},
    )
