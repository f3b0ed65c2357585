# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the hands of users: copied, cut, retimed, in metas, moved, undone and redone thirty times."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import placing
from footfall.addon.host.sounds.strips import add_sound
from footfall.addon.host.takes import collect as take_collect
from footfall.addon.host.takes import gather as take_gather
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.takes import history
from footfall.addon.takes.joining import Aim
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.tests.blender.takes.in_hand import RATE, activate, length, ours, place_of, playing

pytestmark = pytest.mark.usefixtures("audio", "registered")


class TestWhatUsersDo:
    def test_a_file_that_is_gone_is_named_and_the_next_one_plays(self, takes: Any) -> None:
        strip = takes(3)
        second = take_strips.takes_of(strip).takes[1]
        Path(bpy.path.abspath(second.path)).unlink()
        bpy.ops.footfall.take_step(by=1)
        assert place_of(strip) == (3, 3)
        with pytest.raises(SaveError, match="is gone"):
            take_strips.play(bpy.context.scene, strip, second.id)
        assert place_of(strip) == (3, 3)

    def test_a_damaged_file_changes_nothing(self, takes: Any) -> None:
        strip = takes(2)
        before = playing(strip), place_of(strip)
        Path(bpy.path.abspath(take_strips.takes_of(strip).takes[1].path)).write_bytes(b"no sound")
        with pytest.raises(SaveError, match="cannot read"):
            take_strips.play(bpy.context.scene, strip, take_strips.takes_of(strip).takes[1].id)
        assert (playing(strip), place_of(strip)) == before

    def test_all_files_moved_with_the_blend(self, takes: Any, tmp_path: Path) -> None:
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        bpy.ops.wm.save_as_mainfile(filepath=str(here / "shot.blend"))
        takes(3)
        bpy.ops.wm.save_mainfile()
        here.rename(there)  # another machine
        bpy.ops.wm.open_mainfile(filepath=str(there / "shot.blend"))
        strip = activate(ours()[0])
        assert strip.sound.samplerate == 48_000
        assert [take.told.settings["prompt"] for _, take in take_strips.takes_of(strip).rows()] == ["wet"] * 3
        for number in (2, 3, 1):
            bpy.ops.footfall.take_step(by=1)
            assert place_of(strip) == (number, 3)

    def test_saved_under_another_name_elsewhere(self, takes: Any, tmp_path: Path) -> None:
        here = tmp_path / "here"
        (tmp_path / "far" / "away").mkdir(parents=True)
        here.mkdir()
        bpy.ops.wm.save_as_mainfile(filepath=str(here / "shot.blend"))
        takes(3)
        bpy.ops.wm.save_as_mainfile(
            filepath=str(tmp_path / "far" / "away" / "other.blend"), relative_remap=True
        )
        strip = activate(ours()[0])
        for number in (2, 3, 1):
            bpy.ops.footfall.take_step(by=1)
            assert place_of(strip) == (number, 3)

    def test_made_before_the_first_save_and_brought_beside_the_file(self, takes: Any, tmp_path: Path) -> None:
        strip = takes(3)
        here, there = tmp_path / "here", tmp_path / "there"
        here.mkdir()
        with pytest.raises(RuntimeError, match="Save the"):
            bpy.ops.footfall.take_collect()
        bpy.ops.wm.save_as_mainfile(filepath=str(here / "shot.blend"))
        assert take_collect.is_outside(strip)
        assert bpy.ops.footfall.take_collect() == {"FINISHED"}
        assert not take_collect.is_outside(strip)
        assert len(list((here / "footfall").iterdir())) == len(list((tmp_path / "sounds").iterdir())) == 3
        bpy.ops.wm.save_mainfile()
        here.rename(there)
        (tmp_path / "sounds").rename(tmp_path / "gone")
        bpy.ops.wm.open_mainfile(filepath=str(there / "shot.blend"))
        strip = activate(ours()[0])
        assert strip.sound.samplerate == 48_000
        for number in (2, 3, 1):
            bpy.ops.footfall.take_step(by=1)
            assert place_of(strip) == (number, 3)

    def test_cut_in_two(self, takes: Any) -> None:
        strip = takes(2)
        strip.select = True
        # Cutting needs an editor on the screen; what it leaves are two strips with one story and other ends.
        collection = sequencer.strips(bpy.context.scene.sequence_editor)
        right = collection.new_sound("Footfall bed.001", strip.sound.filepath, strip.channel, 101)
        for name in (history.KEY, "footfall", sequencer.UUID_KEY):
            right[name] = strip[name]
        sequencer.set_span(strip, 101, 110)
        sequencer.set_span(right, 110, 125)
        activate(right)
        bpy.ops.footfall.take_step(by=1)
        assert (place_of(strip), place_of(right)) == ((1, 2), (2, 2))
        assert sequencer.span(right)[0] == 110
        assert sequencer.span(strip) == (101, 110)

    def test_inside_a_meta(self, takes: Any) -> None:
        strip = takes(2)
        editor = bpy.context.scene.sequence_editor
        meta = sequencer.strips(editor).new_meta("Sound", 20, 101)
        strip.move_to_meta(meta)
        editor.active_strip = strip
        bpy.ops.footfall.take_step(by=1)
        assert place_of(strip) == (2, 2)
        assert length(strip) == 36

    def test_a_closed_meta_of_ours_steps_all_that_is_in_it(self, sound: Any, store: Any) -> None:
        clips = [
            sound(n, take=take, layer="spots", seconds=0.25 + take, group=0)
            for n in range(9)
            for take in (0, 1)
        ]
        placing.place(store(clips, RATE, 101), placing.home(bpy.context.scene))
        (meta,) = sequencer.metas(bpy.context.scene).values()
        activate(meta)
        end = sequencer.span(meta)[1]
        bpy.ops.footfall.take_step(by=1)
        assert {place_of(strip) for strip in ours()} == {(2, 2)}
        assert sequencer.span(meta)[1] == end + 24
        bpy.ops.footfall.take_star()
        assert all(take_strips.takes_of(strip).playing.starred for strip in ours())

    def test_retimed(self, takes: Any) -> None:
        strip = takes(2)
        if bpy.app.version < (5, 2) or not hasattr(strip, "retiming_keys"):
            pytest.skip("retiming in background crashes this Blender")
        strip.retiming_keys.add(timeline_frame=110)
        before = sequencer.span(strip)
        bpy.ops.footfall.take_step(by=1)
        assert place_of(strip) == (2, 2)
        assert sequencer.span(strip) == before
        assert sequencer.is_retimed(strip)

    def test_a_linked_scene(self, takes: Any, tmp_path: Path) -> None:
        takes(2)
        path = tmp_path / "library.blend"
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        with bpy.data.libraries.load(str(path), link=True) as (theirs, mine):
            mine.scenes = theirs.scenes
        scene = next(scene for scene in bpy.data.scenes if scene.library is not None)
        strip = sequencer.all_strips(scene)[0]
        assert place_of(strip) == (1, 2)
        with pytest.raises(BadInput, match="linked"):
            take_strips.play(scene, strip, take_strips.takes_of(strip).takes[1].id)

    def test_a_file_of_the_users_own_joins_the_list(self, takes: Any, tmp_path: Path) -> None:
        strip = takes(2)
        own = tmp_path / "own.wav"
        own.write_bytes(Path(bpy.path.abspath(strip.sound.filepath)).read_bytes())
        strip.sound = bpy.data.sounds.load(str(own))
        bpy.ops.footfall.take_step(by=1)
        assert place_of(strip) == (2, 3)
        assert take_strips.takes_of(strip).takes[2].how == "file"
        bpy.ops.footfall.take_step(by=1)
        assert playing(strip) == "own.wav"

    def test_a_strip_of_an_older_version(self, takes: Any) -> None:
        strip = takes(1)
        del strip[history.KEY]
        assert place_of(strip) == (1, 1)
        assert take_strips.takes_of(strip).playing.told.settings["prompt"] == "wet"

    @pytest.mark.parametrize("text", ["", "{}", "[", '{"footfall_takes": 1, "takes": 5}', "9" * 99])
    def test_a_damaged_list_is_begun_anew(self, takes: Any, text: str) -> None:
        strip = takes(2)
        strip[history.KEY] = text
        assert place_of(strip) == (1, 1)

    def test_takes_on_muted_channels_are_gathered(self, takes: Any, sound: Any, store: Any) -> None:
        clips = [sound(0, take=n, seconds=1 + n) for n in range(3)]
        stored = store(clips, RATE, 101)
        scene = bpy.context.scene
        for number, item in enumerate(stored.strips):  # as older versions did
            seat = sequencer.take_seats(sequencer.ensure_editor(scene), [item.strip])[0]
            strip = replace(item.strip, audible=number == 0)
            add_sound(scene, item.path, strip, replace(seat, channel=number + 1), item.story)
        first = activate(ours()[0])
        assert len(take_gather.siblings(scene, first)) == 2
        bpy.ops.footfall.take_gather()
        assert ours() == [first]
        assert place_of(first) == (1, 3)
        bpy.ops.footfall.take_step(by=1)
        assert place_of(first) == (2, 3)


def test_thirty_mixed_steps_undone_and_redone(takes: Any, sound: Any, store: Any) -> None:
    """Strips, lists and files are after undo and redo what they were at each step."""
    takes(4)
    takes(3, start=301, job_id="f" * 32)
    bpy.ops.ed.undo_push(message="Ready")
    rng = random.Random(6)
    states = [_state()]

    def new_take(strip: Any, number: int) -> None:
        aim = Aim(uuid=sequencer.uuid_of(strip), names=(strip.name,), layer="bed", at_s=Fraction(0))
        stored = store([sound(0, seconds=2)], RATE, 101, job_id=f"{number:032x}", aims=(aim,))
        placing.place(stored, placing.home(bpy.context.scene))

    for step in range(30):
        strip = rng.choice(ours())
        activate(strip)
        take_id = rng.choice(take_strips.takes_of(strip).takes).id
        acts: list[Callable[[], Any]] = [
            lambda: bpy.ops.footfall.take_step("EXEC_DEFAULT", by=rng.choice((-1, 1))),
            lambda: bpy.ops.footfall.take_compare(),
            lambda take_id=take_id: bpy.ops.footfall.take_star(take_id=take_id),
            lambda take_id=take_id: bpy.ops.footfall.take_delete(take_id=take_id),
            lambda take_id=take_id: bpy.ops.footfall.take_play(take_id=take_id),
            lambda strip=strip: setattr(strip, "volume", rng.random()),
            lambda strip=strip: sequencer.set_span(strip, sequencer.span(strip)[0], rng.randint(400, 440)),
        ]
        if rng.random() < 0.25:
            new_take(strip, step)  # pushes a step of its own
        else:
            rng.choice(acts)()
            bpy.ops.ed.undo_push(message=f"Step {step}")
        states.append(_state())
    for state in reversed(states[:-1]):
        bpy.ops.ed.undo()
        assert _state() == state
    for state in states[1:]:
        bpy.ops.ed.redo()
        assert _state() == state


def _state() -> list[tuple[Any, ...]]:
    found = []
    for strip in ours():
        takes = take_strips.takes_of(strip)
        files = tuple(take_strips.locate(strip, take) is not None for take in takes.takes)
        found.append(
            (strip.name, sequencer.span(strip), round(strip.volume, 4), playing(strip), takes.text(), files)
        )
        assert Path(takes.playing.path).name == playing(strip)
        assert sequencer.story_of(strip).uuid == takes.current
    return found
