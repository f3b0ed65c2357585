# SPDX-License-Identifier: GPL-3.0-or-later
"""The buttons, with a real worker process around a fake pipeline; the pump is turned by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import live
from footfall.addon.host.panel import ready as shots
from footfall.tests.blender.host_tools import enabled_addon, movie_of_colours, our_strips, states, turn

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The add-on over a shot that is saved in a folder of its own."""
    with enabled_addon(tmp_path, monkeypatch):
        movie_of_colours(bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a shot “ü”.blend"))
        yield


def generate(prompt: str = "", **settings: Any) -> Any:
    """Press the button; the session."""
    chosen = bpy.context.scene.footfall
    chosen.prompt = prompt
    for name, value in settings.items():
        setattr(chosen, name, value)
    assert bpy.ops.footfall.generate() == {"FINISHED"}
    return live.session()


def finish(session: Any) -> Any:
    """Turn until nothing is active; the newest job."""
    turn(session, lambda: not any(job.active or job.state == "done" for job in session.table.all()))
    return session.table.all()[-1]


def test_one_click_makes_strips_beside_the_file(tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.timeline_markers.new("hit glass", frame=13)
    session = generate()
    job = finish(session)
    assert job.state == "placed"
    strips = our_strips(scene)
    assert {strip.channel for strip in strips} == {2, 3}
    files = sorted((tmp_path / "footfall").glob("*.wav"))
    assert len(files) == len(strips) == 2
    assert session.works[job.job_id].heard[0].words == "a click"
    assert bpy.context.scene.frame_current == 1


def test_one_undo_step_takes_it_back_and_the_sound_is_kept(tmp_path: Path) -> None:
    bpy.ops.ed.undo_push(message="before")
    session = generate("tin")
    job = finish(session)
    assert len(our_strips(bpy.context.scene)) == 1
    bpy.ops.ed.undo()
    turn(session, lambda: job.state == "not_placed")
    assert our_strips(bpy.context.scene) == []
    assert bpy.ops.footfall.place(job_id=job.job_id) == {"FINISHED"}
    assert job.state == "placed"
    assert len(our_strips(bpy.context.scene)) == 1
    assert len(list((tmp_path / "footfall").glob("*.wav"))) == 1


def test_jobs_queue_up_and_each_is_done_once() -> None:
    for number in range(3):
        session = generate(f"take {number}", spots=False)
    finish(session)
    assert states(session) == ["placed"] * 3
    assert len(our_strips(bpy.context.scene)) == 3


@pytest.mark.parametrize("when", ["queued", "capturing", "sent", "running"])
def test_cancel_in_every_state(when: str) -> None:
    first = generate("slow 60 50")
    session = generate("slow 200 50") if when in ("queued", "sent") else first
    job = session.table.all()[-1]
    if when != "queued":
        turn(session, lambda: job.state == when)
    assert bpy.ops.footfall.cancel(job_id=job.job_id) == {"FINISHED"}
    assert job.state in ("cancelled", "cancelling")
    finish(session)
    assert job.state == "cancelled"
    assert bpy.context.scene.frame_current == 1
    assert all(state == "placed" for state in states(session)[:-1])


def test_cancel_all() -> None:
    for _ in range(3):
        session = generate("slow 200 50")
    turn(session, lambda: "running" in states(session))
    bpy.ops.footfall.cancel_all()
    finish(session)
    assert states(session) == ["cancelled"] * 3


def test_a_failed_job_can_be_tried_again_without_drawing_again() -> None:
    session = generate("fail")
    job = finish(session)
    assert job.state == "failed"
    assert "Traceback" not in job.sentence
    request = session.works[job.job_id].request
    assert bpy.ops.footfall.retry(job_id=job.job_id) == {"FINISHED"}
    again = session.table.all()[-1]
    assert again.job_id != job.job_id
    assert session.works[again.job_id].request is request
    assert finish(session).state == "failed"
    assert len(session.table) == 1


def test_details_can_be_copied() -> None:
    session = generate("fail")
    job = finish(session)
    from footfall.addon.host.worker import details

    text = details.of_job(session, job.job_id)
    assert "Footfall" in text
    assert "the fake model was told to fail" in text
    assert bpy.ops.footfall.copy_details(job_id=job.job_id) == {"FINISHED"}


def test_entries_can_be_removed_but_not_active_ones() -> None:
    session = generate("slow 200 50")
    job = session.table.all()[0]
    bpy.ops.footfall.remove(job_id=job.job_id)
    assert len(session.table) == 1
    session.cancel(job.job_id)
    finish(session)
    bpy.ops.footfall.remove(job_id=job.job_id)
    assert len(session.table) == 0
    assert bpy.ops.footfall.remove(job_id=job.job_id) == {"CANCELLED"}  # the list has changed since


def test_a_new_seed_each_time_or_the_same_again() -> None:
    session = generate(spots=False, random_seed=False, seed=7)
    generate(spots=False)
    generate(spots=False, random_seed=True)
    finish(session)
    seeds = [session.works[job.job_id].order.settings["seed"] for job in session.table.all()]
    assert seeds[:2] == [7, 7]
    assert seeds[2] != 7
    sounds = [Path(job.stored.strips[0].path).read_bytes() for job in session.table.all()]
    assert sounds[0] == sounds[1] != sounds[2]
    bpy.ops.footfall.random_seed()
    assert not bpy.context.scene.footfall.random_seed


def test_a_worker_that_dies_is_told_and_the_next_job_works() -> None:
    session = generate("exit")
    job = finish(session)
    assert (job.state, job.code) == ("failed", "worker_died")
    assert finish(generate("well")).state == "placed"


@pytest.mark.parametrize("what", ["nan", "loud", "rate", "long", "take", "none"])
def test_what_a_worker_sends_is_not_believed(what: str) -> None:
    session = generate(f"bad {what}", spots=False)
    job = finish(session)
    assert job.state == "failed"
    assert "Traceback" not in job.sentence
    assert our_strips(bpy.context.scene) == []
    assert finish(generate("well", spots=False)).state == "placed"


def test_a_folder_that_cannot_be_made_is_told_and_another_taken(tmp_path: Path) -> None:
    blocked = tmp_path / "footfall"
    blocked.write_text("a file where the folder should be")
    fallback = tmp_path / "data" / "footfall"
    fallback.parent.mkdir(parents=True, exist_ok=True)
    session = generate("tin", spots=False)
    turn(session, lambda: states(session) == ["running"] or states(session) == ["placed"])
    job = finish(session)
    assert job.state == "placed"  # in the fallback, and the user is told
    assert any(str(fallback) in note for note in session.works[job.job_id].notes)


def test_nowhere_to_save_keeps_the_sound_in_memory(tmp_path: Path) -> None:
    (tmp_path / "footfall").write_text("in the way")
    (tmp_path / "data").mkdir()
    sounds = tmp_path / "data" / "footfall" / "sounds"
    sounds.parent.mkdir()
    sounds.write_text("in the way too")
    session = generate("tin", spots=False)
    job = finish(session)
    assert (job.state, job.code) == ("not_placed", "save")
    assert bpy.ops.footfall.place.poll()
    with pytest.raises(RuntimeError, match="saved"):
        bpy.ops.footfall.place(job_id=job.job_id)
    (tmp_path / "footfall").unlink()
    assert bpy.ops.footfall.place(job_id=job.job_id) == {"FINISHED"}
    assert job.state == "placed"
    assert len(our_strips(bpy.context.scene)) == 1


def test_poll_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = bpy.context.scene.footfall

    def why() -> str:
        shots.forget()
        return shots.why_not(bpy.context)

    assert why() == ""
    chosen.bed = chosen.spots = False
    assert "layer" in why()
    chosen.bed = True
    chosen.range = "strips"
    for strip in (
        bpy.context.scene.sequence_editor.strips
        if hasattr(bpy.context.scene.sequence_editor, "strips")
        else bpy.context.scene.sequence_editor.sequences
    ):
        strip.select = False
    assert "No strip is selected" in why()
    chosen.range = "preview"
    assert "preview range" in why()
    chosen.range, chosen.source = "scene", "camera"
    assert "camera" in why()
    monkeypatch.delenv("FOOTFALL_WORKER_PYTHON")
    assert "Set up the worker" in why()
    assert not bpy.ops.footfall.generate.poll()


def test_too_long_a_range_is_refused_in_words() -> None:
    bpy.context.scene.frame_end = 24 * 60 * 30
    with pytest.raises(RuntimeError, match=r"too long|longer"):
        bpy.ops.footfall.generate()
    session = live.session()
    assert session is None or len(session.table) == 0


def test_the_demo_shot_is_a_scene_of_its_own() -> None:
    before = set(bpy.data.scenes.keys())
    assert bpy.ops.footfall.demo_shot() == {"FINISHED"}
    assert len(set(bpy.data.scenes.keys()) - before) == 1


def test_restart_and_log() -> None:
    session = generate("slow 10 20", spots=False)
    finish(session)
    pid = session.status.pid
    assert bpy.ops.footfall.restart_worker() == {"FINISHED"}
    turn(session, lambda: session.status.state == "ready" and session.status.pid != pid)
    assert finish(generate("again", spots=False)).state == "placed"


def test_without_a_worker_setting_up_needs_consent_for_the_internet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FOOTFALL_WORKER_PYTHON")
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        bpy.ops.footfall.setup_worker()
