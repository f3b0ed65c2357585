# SPDX-License-Identifier: GPL-3.0-or-later
"""The pump never raises, never waits, places only where it belongs, and holds still while Blender is busy."""

from __future__ import annotations

import ast
import gc
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import handlers, live, pump
from footfall.addon.host.sounds import jobs as placing_jobs
from footfall.addon.host.worker import bundles
from footfall.tests.blender.host_tools import ROOT, enabled_addon, movie_of_colours, our_strips, states, turn

pytestmark = pytest.mark.usefixtures("audio")
TICK_S = 0.05


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with enabled_addon(tmp_path, monkeypatch):
        movie_of_colours(bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        yield


def generate(prompt: str = "") -> Any:
    bpy.context.scene.footfall.prompt = prompt
    bpy.context.scene.footfall.spots = False
    bpy.ops.footfall.generate()
    return live.session()


def test_a_mistake_of_ours_fails_the_job_and_the_next_one_works(caplog: pytest.LogCaptureFixture) -> None:
    session = generate()

    class Broken:
        job_id = session.table.all()[0].job_id
        complete = reads = reads_next = False
        pictures = None
        progress = 0.0

        class capture:  # noqa: N801
            @staticmethod
            def step() -> bool:
                raise ZeroDivisionError("ours")

        def abort(self) -> None:
            pass

    session.table.move(Broken.job_id, "capturing", session.clock())
    session.capture = Broken()
    assert pump.tick() is not None
    job = session.table.all()[0]
    assert job.state == "failed"
    assert "copy the details" in job.sentence
    assert "ZeroDivisionError" in job.detail
    assert "A tick of Footfall failed" in caplog.text
    assert session.capture is None
    generate()
    turn(session, lambda: states(session) == ["failed", "placed"])


def test_ticks_are_short() -> None:
    session = generate("slow 10 20")
    pump.times.clear()
    gc.collect()
    while states(session) != ["placed"]:
        pump.tick()
        time_out = session.client.wait(0.005) if session.client is not None else []
        for event in time_out:
            session.take(event)
    took = [seconds for what, seconds in pump.times if what in ("look", "begin", "send", "restore")]
    assert sorted(took)[len(took) // 2] < TICK_S / 5


def test_a_machine_that_is_never_quick_enough_places_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "BUDGET_S", 0.0)
    session = generate()
    turn(session, lambda: states(session) == ["placed"])


def test_the_pace_follows_what_is_going_on() -> None:
    now = [1000.0]
    session = generate()
    session.clock = lambda: now[0]
    session.last_event = now[0]
    assert pump._pause(session) == pump.ACTIVE_S
    turn(session, lambda: states(session) == ["placed"])
    session.last_event = now[0]
    assert pump._pause(session) == pump.ACTIVE_S
    now[0] += pump.IDLE_AFTER_S + 1
    assert pump._pause(session) == pump.IDLE_S


def test_without_a_session_the_timer_ends() -> None:
    assert live.session() is None
    assert pump.tick() is None


@pytest.mark.parametrize("why", ["render", "save", "load"])
def test_nothing_is_touched_while_blender_is_busy(why: str) -> None:
    session = generate()
    handlers._busy.add(why)
    for _ in range(5):
        pump.tick()
    assert states(session) == ["queued"]
    assert session.capture is None
    handlers._busy.clear()
    turn(session, lambda: session.table.all()[0].result is not None or states(session) == ["placed"])


def test_another_file_never_gets_the_sound(tmp_path: Path) -> None:
    session = generate("slow 20 50")
    turn(session, lambda: states(session) == ["running"])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    job = session.table.all()[0]
    turn(session, lambda: job.state == "not_placed")
    assert our_strips(bpy.context.scene) == []
    assert "another file" in job.sentence
    assert all(Path(strip.path).exists() for strip in job.stored.strips)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    placing_jobs.place_here(session, job.job_id, bpy.context.scene)
    assert len(our_strips(bpy.context.scene)) == 1


def test_opening_a_file_while_pictures_are_taken() -> None:
    bpy.context.scene.footfall.per_second = 24.0
    session = generate()
    turn(session, lambda: session.capture is not None and session.capture.progress > 0.1)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    job = session.table.all()[0]
    assert job.state == "failed"
    assert "Another file" in job.sentence
    assert session.capture is None
    pump.tick()


def test_saving_under_another_name_keeps_the_job_at_home(tmp_path: Path) -> None:
    session = generate("slow 20 50")
    turn(session, lambda: states(session) == ["running"])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "renamed.blend"))
    turn(session, lambda: states(session) == ["placed"])
    assert len(our_strips(bpy.context.scene)) == 1


def test_a_renamed_scene_is_found_and_a_deleted_one_is_told() -> None:
    session = generate("slow 20 50")
    turn(session, lambda: states(session) == ["running"])
    scene = bpy.context.scene
    scene.name = "Now called otherwise"
    turn(session, lambda: states(session) == ["placed"])
    assert len(our_strips(scene)) == 1
    generate("slow 20 50")
    turn(session, lambda: states(session)[-1] == "running")
    other = bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(scene)
    job = session.table.all()[-1]
    turn(session, lambda: job.state == "not_placed")
    assert "gone" in job.sentence
    assert our_strips(other) == []
    sentence = placing_jobs.place_here(session, job.job_id, other)
    assert "Other" in sentence
    assert len(our_strips(other)) == 1


def test_a_strip_that_the_user_deletes_can_be_placed_again() -> None:
    session = generate()
    turn(session, lambda: states(session) == ["placed"])
    bpy.ops.ed.undo_push(message="here")
    scene = bpy.context.scene
    editor = scene.sequence_editor
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    for strip in our_strips(scene):
        strips.remove(strip)
    session.look_for_strips = True
    turn(session, lambda: states(session) == ["not_placed"])


def test_bundles_of_the_worker_are_offered() -> None:
    session = generate()
    turn(session, lambda: states(session) == ["placed"])
    assert bundles.find("starter").title == "Fake"


def test_the_session_holds_nothing_of_blenders() -> None:
    """Undo frees what we hold, so no attribute is ever annotated with, or given, a bpy type."""
    for name in ("session", "orders"):
        tree = ast.parse((ROOT / "addon" / "host" / f"{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign):
                assert "bpy" not in ast.unparse(node.annotation), ast.unparse(node)
    session = generate()
    turn(session, lambda: states(session) == ["placed"])
    held = [*vars(session).values(), *session.works.values(), *(job.facts for job in session.table.all())]
    assert not any(isinstance(value, bpy.types.bpy_struct) for value in held)


def test_hosts_stall_is_survived() -> None:
    """Nobody turns the pump while the worker works: all that happened arrives in order afterwards."""
    session = generate("slow 10 20")
    turn(session, lambda: states(session) == ["sent"] or states(session) == ["running"])
    deadline = time.monotonic() + 30
    while session.client._events.bytes_waiting == 0:
        assert time.monotonic() < deadline
    turn(session, lambda: states(session) == ["placed"])
