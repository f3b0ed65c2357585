# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in Blender: stepping keeps everything but the sound, and the list says what there is."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import placing
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.wire.errors import SaveError
from footfall.tests.blender.takes.in_hand import RATE, activate, length, ours, place_of, playing

pytestmark = pytest.mark.usefixtures("audio", "registered")


class TestStepping:
    def test_round_and_round(self, takes: Any) -> None:
        strip = takes(3)
        heard = [playing(strip)]
        for _ in range(3):
            bpy.ops.footfall.take_step(by=1)
            heard.append(playing(strip))
        assert len(set(heard[:3])) == 3
        assert heard[3] == heard[0]
        bpy.ops.footfall.take_step(by=-1)
        assert place_of(strip) == (3, 3)
        assert sequencer.story_of(strip).take == 2

    def test_only_the_sound_changes(self, takes: Any) -> None:
        strip = takes(3)
        strip.name, strip.channel, strip.volume = "My own name", 5, 0.4
        strip.keyframe_insert("volume", frame=103)
        strip.color_tag, strip.mute = "COLOR_07", True
        sequencer.set_span(strip, 105, 120)
        before = (strip.name, strip.channel, sequencer.span(strip), strip.color_tag, strip.mute)
        sound = playing(strip)
        bpy.ops.footfall.take_step(by=1)
        assert playing(strip) != sound
        assert (strip.name, strip.channel, sequencer.span(strip), strip.color_tag, strip.mute) == before
        assert strip.volume == pytest.approx(0.4)
        assert 'strips_all["My own name"].volume' in _curves() or 'sequences_all["My own name"]' in _curves()

    def test_a_strip_as_long_as_its_sound_stays_so(self, takes: Any) -> None:
        strip = takes(3)
        assert length(strip) == 24
        lengths = []
        for _ in range(3):
            bpy.ops.footfall.take_step(by=1)
            lengths.append(length(strip))
        assert lengths == [36, 48, 24]
        assert sequencer.span(strip)[0] == 101

    def test_it_grows_up_to_its_neighbour(self, takes: Any) -> None:
        strip = takes(2)
        other = sequencer.strips(bpy.context.scene.sequence_editor).new_sound(
            "Mine", bpy.path.abspath(strip.sound.filepath), strip.channel, 130
        )
        bpy.ops.footfall.take_step(by=1)
        assert sequencer.span(strip) == (101, 130)
        assert sequencer.span(other)[0] == 130

    def test_several_at_once(self, takes: Any) -> None:
        first = takes(2)
        second = takes(2, start=301, job_id="f" * 32)
        first.select = True
        bpy.ops.footfall.take_step(by=1)
        assert [place_of(strip) for strip in (first, second)] == [(2, 2), (2, 2)]

    def test_with_one_take_it_says_so(self, takes: Any) -> None:
        strip = takes(1)
        before = playing(strip)
        bpy.ops.footfall.take_step(by=1)
        assert playing(strip) == before

    def test_the_users_choices_for_the_sound_stay(self, takes: Any) -> None:
        strip = takes(2)
        strip.sound.use_mono = True
        bpy.ops.footfall.take_step(by=1)
        assert strip.sound.use_mono

    def test_compare_goes_to_and_fro(self, takes: Any) -> None:
        strip = takes(4)
        bpy.ops.footfall.take_step(by=-1)
        heard = []
        for _ in range(4):
            bpy.ops.footfall.take_compare()
            heard.append(place_of(strip)[0])
        assert heard == [1, 4, 1, 4]

    def test_quick(self, takes: Any, measured: Any, sound: Any, store: Any) -> None:
        clips = [sound(0, take=n, seconds=10 + n) for n in range(6)]
        placing.place(store(clips, RATE, 1), placing.home(bpy.context.scene))
        activate(ours()[-1])
        took = []
        for _ in range(12):
            began = time.perf_counter()
            bpy.ops.footfall.take_step(by=1)
            took.append((time.perf_counter() - began) * 1000)
        measured(f"stepping among takes of 10 s: median {sorted(took)[6]:.1f} ms, longest {max(took):.1f} ms")
        assert sorted(took)[6] < 50


def _curves() -> str:
    found = []
    action = bpy.context.scene.animation_data.action
    curves = getattr(action, "fcurves", None)
    if curves is None:
        curves = [
            c for layer in action.layers for s in layer.strips for bag in s.channelbags for c in bag.fcurves
        ]
    found = [curve.data_path for curve in curves]
    return " ".join(found)


class TestList:
    def test_star_delete_and_bring_back(self, takes: Any) -> None:
        strip = takes(3)
        first, second, _ = take_strips.takes_of(strip).takes
        bpy.ops.footfall.take_star(take_id=second.id)
        assert take_strips.takes_of(strip).get(second.id).starred
        bpy.ops.footfall.take_delete()
        assert place_of(strip) == (1, 2)
        assert Path(bpy.path.abspath(first.path)).is_file()
        bpy.ops.footfall.take_play(take_id=first.id)
        assert place_of(strip) == (1, 3)

    def test_the_only_take_is_not_deleted(self, takes: Any) -> None:
        strip = takes(1)
        bpy.ops.footfall.take_delete()
        assert place_of(strip) == (1, 1)

    def test_purge_deletes_files_of_deleted_takes_only(self, takes: Any) -> None:
        strip = takes(3)
        gone, *kept = take_strips.takes_of(strip).takes
        bpy.ops.footfall.take_delete()
        bpy.ops.footfall.take_purge()
        assert not Path(bpy.path.abspath(gone.path)).exists()
        assert all(Path(bpy.path.abspath(take.path)).exists() for take in kept)
        after = take_strips.takes_of(strip)
        assert after.get(gone.id).path == ""
        assert after.get(gone.id).told.settings["prompt"] == "wet"
        with pytest.raises(SaveError, match="purged"):
            take_strips.play(bpy.context.scene, strip, gone.id)

    def test_purge_spares_what_a_copy_still_plays(self, takes: Any) -> None:
        strip = takes(2)
        first = take_strips.takes_of(strip).takes[0]
        copy = bpy.context.scene.copy()  # shares UUIDs and files
        bpy.ops.footfall.take_delete()
        bpy.ops.footfall.take_purge()
        assert Path(bpy.path.abspath(first.path)).exists()
        assert len(sequencer.all_strips(copy)) == 1

    def test_locked(self, takes: Any) -> None:
        strip = takes(2)
        bpy.ops.footfall.take_lock()
        assert take_strips.is_locked(strip)
        before = playing(strip)
        bpy.ops.footfall.take_step(by=1)
        assert playing(strip) == before
        bpy.ops.footfall.take_lock()
        assert not take_strips.is_locked(strip)

    def test_blenders_own_lock_counts(self, takes: Any) -> None:
        strip = takes(2)
        strip.lock = True
        assert take_strips.is_locked(strip)
