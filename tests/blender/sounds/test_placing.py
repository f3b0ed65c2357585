# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound into scenes that change under it: undo, other files, deleted scenes and strips, full channels.

Whatever happens: no error but a sentence, the files stay, and what the user made is as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import mixdown, placing
from footfall.addon.host.sounds.placing import Placing, Where
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.timeline import Rate
from footfall.addon.wire.errors import BadInput, SaveError

RATE = Rate(24)
OTHER_JOB = "f" * 32

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture
def job(sound: Any, store: Any) -> Callable[..., Any]:
    """``job(spots=3, takes=1, start=101)`` -> Stored with a bed and some spots per take."""

    def make(spots: int = 3, takes: int = 1, start: int = 101, **more: Any) -> Any:
        clips = [sound(0, take=take, seconds=1) for take in range(takes)]
        clips += [
            sound(Fraction(n, 2), take=take, layer="spots", seconds=0.25, label="glass")
            for take in range(takes)
            for n in range(spots)
        ]
        return store(clips, RATE, start, **more)

    return make


def ours(scene: Any) -> list[Any]:
    return [strip for strip in sequencer.all_strips(scene) if sequencer.uuid_of(strip)]


def block(scene: Any, channel: int, first: int, end: int, name: str = "Mine") -> Any:
    collection = sequencer.strips(sequencer.ensure_editor(scene))
    kind = collection.bl_rna.functions["new_effect"].parameters
    length = {"length": end - first} if "length" in kind else {"frame_end": end}
    return collection.new_effect(name=name, type="COLOR", channel=channel, frame_start=first, **length)


def users(scene: Any) -> list[tuple[Any, ...]]:
    """Everything of the user's strips that must not change."""
    return [
        (s.name, s.channel, sequencer.span(s), s.select, s.mute, s.lock, s.color_tag, s.blend_alpha)
        for s in sequencer.all_strips(scene)
        if not sequencer.uuid_of(s)
    ]


def no_overlap(scene: Any) -> bool:
    strips = list(sequencer.strips(scene.sequence_editor))
    spans = [(s.channel, *sequencer.span(s)) for s in strips]
    return all(
        a[0] != b[0] or a[2] <= b[1] or b[2] <= a[1] for n, a in enumerate(spans) for b in spans[n + 1 :]
    )


def scene_now() -> Any:
    """The scene after an undo, which has freed the one before."""
    return bpy.context.scene


def kept(stored: Any) -> bool:
    return all(item.path.is_file() for item in stored.strips)


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


class TestScenesThatGo:
    def test_deleted(self, job: Any) -> None:
        gone = bpy.data.scenes.new("Shot")
        where, stored = placing.home(gone), job()
        bpy.data.scenes.remove(gone)
        with pytest.raises(BadInput, match=r"“Shot” is gone.*another scene"):
            placing.place(stored, where)
        assert kept(stored)
        assert ours(scene_now()) == []
        placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_deleted_and_another_of_its_name(self, job: Any) -> None:
        gone = bpy.data.scenes.new("Shot")
        where, stored = placing.home(gone), job()
        bpy.data.scenes.remove(gone)
        bpy.data.scenes.new("Shot")
        with pytest.raises(BadInput, match="gone"):
            placing.place(stored, where)
        assert ours(bpy.data.scenes["Shot"]) == []

    def test_deleted_and_brought_back_by_undo(self, job: Any) -> None:
        shot = bpy.data.scenes.new("Shot")
        where = placing.home(shot)
        bpy.ops.ed.undo_push(message="New scene")
        bpy.data.scenes.remove(shot)
        bpy.ops.ed.undo_push(message="Delete scene")
        bpy.ops.ed.undo()
        stored = job()
        placing.place(stored, where)
        assert len(ours(bpy.data.scenes["Shot"])) == len(stored.sounds)

    def test_deleted_in_the_middle(self, job: Any) -> None:
        shot = bpy.data.scenes.new("Shot")
        stored = job()
        under_way = Placing(stored, placing.home(shot))
        assert under_way.step(budget_s=0) is None
        bpy.data.scenes.remove(shot)
        with pytest.raises(BadInput, match="gone"):
            under_way.step()
        assert kept(stored)

    def test_renamed(self, job: Any) -> None:
        where, stored = placing.home(scene_now()), job()
        scene_now().name = "Renamed"
        assert placing.place(stored, where).scene_name == "Renamed"

    def test_only_into_its_own(self, job: Any) -> None:
        where, stored = placing.home(scene_now()), job()
        bpy.context.window.scene = bpy.data.scenes.new("Newer")
        placing.place(stored, where)
        assert ours(bpy.data.scenes["Newer"]) == []
        assert len(ours(bpy.data.scenes["Scene"])) == len(stored.sounds)

    def test_another_file(self, job: Any, tmp_path: Path) -> None:
        where, stored = placing.home(scene_now()), job()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        assert scene_now().name == where.scene_name
        with pytest.raises(BadInput, match="gone"):
            placing.place(stored, where)
        assert ours(scene_now()) == []
        assert kept(stored)
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
        placing.place(stored, replace(where, uid=0))
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_another_file_in_the_middle(self, job: Any) -> None:
        stored = job()
        under_way = Placing(stored, placing.home(scene_now()))
        assert under_way.step(budget_s=0) is None
        bpy.ops.wm.read_factory_settings(use_empty=True)
        with pytest.raises(BadInput, match="gone"):
            under_way.step()
        assert ours(scene_now()) == []

    def test_linked(self, job: Any, tmp_path: Path) -> None:
        scene_now().name = "Linked"
        bpy.data.libraries.write(str(tmp_path / "library.blend"), {scene_now()})
        bpy.ops.wm.read_factory_settings(use_empty=True)
        with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
            wanted.scenes = ["Linked"]
        linked = next(s for s in bpy.data.scenes if s.library is not None)
        stored = job()
        with pytest.raises(BadInput, match="linked"):
            placing.place(stored, placing.home(linked))
        assert kept(stored)


class TestStripsThatGo:
    def test_deleted_ones_are_missing(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        sequencer.remove(scene_now(), {stored.strips[1].strip.uuid})
        assert placing.missing(stored, placing.home(scene_now())) == (stored.strips[1].strip.uuid,)
        placing.place(stored, placing.home(scene_now()))
        assert placing.missing(stored, placing.home(scene_now())) == ()

    def test_the_whole_sequencer(self, job: Any) -> None:
        stored = job()
        under_way = Placing(stored, placing.home(scene_now()))
        assert under_way.step(budget_s=0) is None
        scene_now().sequence_editor_clear()
        while under_way.step(budget_s=0) is None:
            pass
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_a_file_that_is_gone_takes_the_job_back(self, job: Any) -> None:
        mine = block(scene_now(), 1, 90, 300)
        before = users(scene_now())
        stored = job()
        stored.strips[-1].path.unlink()
        with pytest.raises(SaveError, match="gone"):
            placing.place(stored, placing.home(scene_now()))
        assert ours(scene_now()) == []
        assert users(scene_now()) == before
        assert mine.name == "Mine"

    def test_a_failure_leaves_what_was_placed_before(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        sequencer.remove(scene_now(), {stored.strips[1].strip.uuid})
        stored.strips[1].path.unlink()
        with pytest.raises(SaveError):
            placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == len(stored.sounds) - 1


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


class TestSaveTargets:
    def test_unsaved(self, job: Any, tmp_path: Path) -> None:
        stored = job()
        assert "not been saved" in stored.sentence
        assert str(tmp_path / "sounds") in stored.sentence
        placing.place(stored, placing.home(scene_now()))
        assert all(Path(s.sound.filepath).parent == tmp_path / "sounds" for s in ours(scene_now()))

    def test_saved(self, job: Any, tmp_path: Path) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        stored = job()
        assert {item.path.parent for item in stored.strips} == {tmp_path / "footfall"}
        placing.place(stored, placing.home(scene_now()))
        assert all(s.sound.filepath.startswith("//footfall") for s in ours(scene_now()))

    def test_beside_it_something_is_in_the_way(self, job: Any, tmp_path: Path) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        (tmp_path / "footfall").write_text("in the way")
        stored = job()
        assert {item.path.parent for item in stored.strips} == {tmp_path / "sounds"}
        assert str(tmp_path / "footfall") in stored.sentence
        placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == len(stored.sounds)


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


class TestMixdown:
    @pytest.fixture(autouse=True)
    def short(self) -> None:
        scene_now().frame_end = 12

    def test_replaces_an_old_file(self, tmp_path: Path, job: Any) -> None:
        path = tmp_path / "mix.wav"
        path.write_bytes(b"old")
        placing.place(job(start=1), placing.home(scene_now()))
        assert mixdown.mixdown(scene_now(), path) == path
        assert mixdown.whole(path)
        assert path.stat().st_size > 12 * 2_000 * 2 * 4
        assert [p.name for p in tmp_path.iterdir() if p.suffix == ".wav"] == ["mix.wav"]
        assert not mixdown.running()

    def test_of_another_scene(self, tmp_path: Path, job: Any) -> None:
        other = bpy.data.scenes.new("Edit")
        other.frame_end = 48
        placing.place(job(start=1), placing.home(other))
        mixdown.mixdown(other, tmp_path / "mix.wav", channels="MONO")
        samples = np.frombuffer((tmp_path / "mix.wav").read_bytes()[-48 * 2_000 * 4 :], "<f4")
        assert np.abs(samples).max() > 0.3

    def test_nothing_to_mix(self, tmp_path: Path) -> None:
        scene_now().sequence_editor_clear()
        with pytest.raises(BadInput, match="no sequencer"):
            mixdown.mixdown(scene_now(), tmp_path / "mix.wav")

    def test_nowhere_to_write(self, tmp_path: Path, job: Any) -> None:
        placing.place(job(start=1), placing.home(scene_now()))
        ticks = iter(range(0, 10_000, 5))
        with pytest.raises(SaveError):
            mixdown.mixdown(scene_now(), tmp_path / "gone" / "mix.wav", clock=lambda: float(next(ticks)))
        assert not mixdown.running()

    @pytest.mark.parametrize(
        "content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\xff\0\0\0WAVE" + b"x" * 99]
    )
    def test_half_a_file_is_not_whole(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "x.wav"
        assert not mixdown.whole(path)
        path.write_bytes(content)
        assert not mixdown.whole(path)
