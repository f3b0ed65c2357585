# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound into scenes that change under it: a user's own strips, undo, full channels, a drag that goes on.

Whatever happens: no error but a sentence, and what the user made is as it was.
"""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import mixdown, placing
from footfall.addon.host.sounds.placing import Placing, Where
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.wire.errors import BadInput
from footfall.tests.blender.sounds.placed import (
    OTHER_JOB,
    RATE,
    block,
    kept,
    no_overlap,
    ours,
    scene_now,
    users,
)

pytestmark = pytest.mark.usefixtures("audio")


class TestPlaces:
    def test_a_bed_and_spots(self, job: Any) -> None:
        stored = job(spots=3, takes=2)
        placed = placing.place(stored, placing.home(scene_now()))
        scene = scene_now()
        assert placed.uuids == tuple(items[0].strip.uuid for items in stored.sounds)
        assert {s.mute for s in ours(scene)} == {False}
        assert [len(take_strips.takes_of(s).takes) for s in ours(scene)] == [2, 2, 2, 2]
        names = {scene.sequence_editor.channels[s.channel].name for s in ours(scene)}
        assert names == {"Footfall bed", "Footfall spots"}
        assert "from frame 101" in placed.sentence
        assert "The first of 2 takes" in placed.sentence
        assert no_overlap(scene)

    def test_nothing_of_the_users_changes(self, job: Any) -> None:
        scene = scene_now()
        for channel in (1, 2, 5):
            block(scene, channel, 90, 200, f"Mine {channel}").select = channel == 2
        sequencer.strips(scene.sequence_editor)[0].lock = True
        scene.sequence_editor.channels[1].name = "Picture"
        scene.sequence_editor.channels[4].lock = True
        before, frame = users(scene), scene.frame_current
        placing.place(job(takes=3), placing.home(scene))
        assert users(scene) == before
        assert scene.frame_current == frame
        assert scene.sequence_editor.channels[1].name == "Picture"
        assert not {s.channel for s in ours(scene)} & {1, 2, 4, 5}
        assert no_overlap(scene)

    def test_a_second_job_lies_beside_the_first(self, job: Any) -> None:
        first, second = job(), job(job_id=OTHER_JOB)
        placing.place(first, placing.home(scene_now()))
        before = [(s.name, s.channel, sequencer.span(s)) for s in ours(scene_now())]
        placing.place(second, placing.home(scene_now()))
        scene = scene_now()
        after = [(s.name, s.channel, sequencer.span(s)) for s in ours(scene)]
        assert set(before) < set(after)
        assert len(after) == 2 * len(before)
        assert no_overlap(scene)

    def test_a_later_shot_shares_the_named_channels(self, job: Any) -> None:
        placing.place(job(start=1), placing.home(scene_now()))
        placing.place(job(start=501, job_id=OTHER_JOB), placing.home(scene_now()))
        assert len({s.channel for s in ours(scene_now())}) == 2

    def test_twice_is_once(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        count = len(ours(scene_now()))
        placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == count

    def test_inside_a_meta_it_is_still_there(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        scene = scene_now()
        meta = sequencer.strips(scene.sequence_editor).new_meta("Sound", 20, 101)
        for strip in ours(scene):
            strip.move_to_meta(meta)
        assert placing.missing(stored, placing.home(scene)) == ()
        placing.place(stored, placing.home(scene))
        assert len(ours(scene)) == len(stored.sounds)

    def test_a_few_per_tick(self, job: Any, measured: Any) -> None:
        stored = job(spots=60, takes=2)
        under_way = Placing(stored, placing.home(scene_now()))
        took: list[float] = []
        while True:
            began = time.perf_counter()
            placed = under_way.step()
            took.append((time.perf_counter() - began) * 1000)
            if placed is not None:
                break
        measured(f"{len(stored.sounds)} strips in {len(took)} ticks, the longest {max(took):.1f} ms")
        assert len(ours(scene_now())) == len(stored.sounds)
        assert no_overlap(scene_now())

    def test_a_scene_of_another_rate(self, job: Any) -> None:
        scene = scene_now()
        stored = job(spots=4)
        scene.render.fps, scene.render.fps_base = 30, 1.001
        placed = placing.place(stored, placing.home(scene))
        rate = sequencer.scene_rate(scene)
        assert "frame rate" in placed.sentence
        for strip, item in zip(sorted(ours(scene), key=lambda s: s.name), stored.strips, strict=True):
            after = rate.seconds(sequencer.span(strip)[0] - 101)
            wanted = RATE.seconds(item.strip.start - 101)
            assert abs(after - wanted) <= rate.seconds(1) / 2
        assert no_overlap(scene)

    def test_elsewhere_and_at_another_frame(self, job: Any) -> None:
        other = bpy.data.scenes.new("Edit")
        placing.place(job(), Where(scene_name="Edit", start_frame=Fraction(1)))
        assert min(sequencer.span(s)[0] for s in ours(other)) == 1
        assert ours(scene_now()) == []

    def test_saved_and_opened_again(self, job: Any, tmp_path: Path) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot 🎬.blend"))
        stored = job(takes=2)
        placing.place(stored, placing.home(scene_now()))
        before = [(s.name, s.channel, sequencer.span(s), s.mute, s.color_tag) for s in ours(scene_now())]
        bpy.ops.wm.save_mainfile()
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot 🎬.blend"))
        scene = scene_now()
        assert [(s.name, s.channel, sequencer.span(s), s.mute, s.color_tag) for s in ours(scene)] == before
        assert scene.sequence_editor.channels[1].name == "Footfall bed"
        assert all(s.sound.filepath.startswith("//footfall") for s in ours(scene))
        stories = [sequencer.story_of(s) for s in ours(scene)]
        assert {story.settings["prompt"] for story in stories} == {"wet"}
        assert placing.missing(stored, Where(scene_name="Scene")) == ()

    def test_every_take_can_be_wanted(self, job: Any) -> None:
        placing.place(job(spots=1, takes=16), placing.home(scene_now()))
        scene = scene_now()
        assert len(ours(scene)) == 2
        assert {take_strips.takes_of(s).place for s in ours(scene)} == {(1, 16)}


class TestUndo:
    def test_one_step_for_all(self, job: Any) -> None:
        block(scene_now(), 1, 1, 10)
        bpy.ops.ed.undo_push(message="Mine")
        before = users(scene_now())
        stored = job(spots=5, takes=2)
        placing.place(stored, placing.home(scene_now()))
        bpy.ops.ed.undo()
        assert ours(scene_now()) == []
        assert users(scene_now()) == before
        assert len(placing.missing(stored, placing.home(scene_now()))) == len(stored.sounds)
        assert kept(stored)
        bpy.ops.ed.redo()
        assert len(ours(scene_now())) == len(stored.sounds)
        assert placing.missing(stored, placing.home(scene_now())) == ()

    def test_undo_before_it_arrives(self, job: Any) -> None:
        block(scene_now(), 1, 1, 10)
        bpy.ops.ed.undo_push(message="Mine")
        where, stored = placing.home(scene_now()), job()
        bpy.ops.ed.undo()
        placing.place(stored, where)
        assert users(scene_now()) == []
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_work_after_it_survives_and_undoes(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        block(scene_now(), 30, 1, 10)
        bpy.ops.ed.undo_push(message="Mine")
        bpy.ops.ed.undo()
        assert len(ours(scene_now())) == len(stored.sounds)
        assert users(scene_now()) == []
        bpy.ops.ed.undo()
        assert ours(scene_now()) == []
        bpy.ops.ed.redo()
        bpy.ops.ed.redo()
        assert len(users(scene_now())) == 1
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_after_undo_it_can_be_placed_again(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        bpy.ops.ed.undo()
        placing.place(stored, placing.home(scene_now()))
        assert placing.missing(stored, placing.home(scene_now())) == ()

    def test_twice_makes_no_second_step(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        placing.place(stored, placing.home(scene_now()))
        bpy.ops.ed.undo()
        assert ours(scene_now()) == []

    def test_undo_in_the_middle(self, job: Any) -> None:
        block(scene_now(), 1, 1, 10)
        bpy.ops.ed.undo_push(message="Mine")
        bpy.ops.ed.undo_push(message="Mine too")
        stored = job(spots=6)
        under_way = Placing(stored, placing.home(scene_now()))
        assert under_way.step(budget_s=0) is None
        assert under_way.step(budget_s=0) is None
        assert len(ours(scene_now())) == 2
        bpy.ops.ed.undo()
        while under_way.step(budget_s=0) is None:
            pass
        assert len(ours(scene_now())) == len(stored.sounds)
        assert len(users(scene_now())) == 1

    def test_in_edit_mode(self, job: Any) -> None:
        mesh = bpy.data.meshes.new("m")
        mesh.from_pydata([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [], [(0, 1, 2)])
        thing = bpy.data.objects.new("o", mesh)
        scene_now().collection.objects.link(thing)
        bpy.context.view_layer.objects.active = thing
        bpy.ops.ed.undo_push(message="Object")
        bpy.ops.object.mode_set(mode="EDIT")
        bpy.ops.ed.undo_push(message="Edit mode")
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        assert bpy.context.mode == "EDIT_MESH"
        assert len(ours(scene_now())) == len(stored.sounds)
        bpy.ops.ed.undo()
        bpy.ops.ed.undo()
        bpy.ops.ed.redo()
        assert kept(stored)
        assert bpy.data.objects["o"].data.vertices


class TestNoRoom:
    def test_all_128_full(self, job: Any) -> None:
        for channel in range(1, 129):
            block(scene_now(), channel, 90, 300)
        before = users(scene_now())
        stored = job()
        with pytest.raises(BadInput, match="No channel has room"):
            placing.place(stored, placing.home(scene_now()))
        assert ours(scene_now()) == []
        assert users(scene_now()) == before
        assert kept(stored)
        placing.place(stored, Where(scene_name="Scene", start_frame=Fraction(301)))
        assert len(ours(scene_now())) == len(stored.sounds)
        assert no_overlap(scene_now())

    def test_room_for_some_is_room_for_none(self, job: Any) -> None:
        for channel in range(2, 129):
            block(scene_now(), channel, 90, 300)
        with pytest.raises(BadInput):
            placing.place(job(), placing.home(scene_now()))
        assert ours(scene_now()) == []

    def test_all_locked_or_muted(self, job: Any) -> None:
        editor = sequencer.ensure_editor(scene_now())
        for number in range(1, 129):
            editor.channels[number].lock = number % 2 == 0
            editor.channels[number].mute = number % 2 == 1
        with pytest.raises(BadInput, match="locked"):
            placing.place(job(), placing.home(scene_now()))

    def test_room_that_was_taken_meanwhile(self, job: Any) -> None:
        stored = job(spots=4)
        under_way = Placing(stored, placing.home(scene_now()))
        assert under_way.step(budget_s=0) is None
        for channel in (1, 2):
            for strip in list(sequencer.strips_between(scene_now(), 1, 10_000)):
                if strip.channel == channel:
                    break
            else:
                block(scene_now(), channel, 90, 300)
        while under_way.step(budget_s=0) is None:
            pass
        assert len(ours(scene_now())) == len(stored.sounds)
        assert no_overlap(scene_now())


class TestWaiting:
    def test_not_without_reason(self) -> None:
        assert placing.blocked() == ""

    def test_a_mixdown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mixdown, "_running", True)
        assert "mixdown" in placing.blocked()

    def test_a_drag(self) -> None:
        class Operator:
            bl_idname = "TRANSFORM_OT_seq_slide"

        class Window:
            modal_operators = (Operator,)

        class Manager:
            windows = (Window,)

        class Context:
            window_manager = Manager

        assert "let go" in placing.blocked(Context)
