# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of shots elsewhere: stems, mixes, timelines for other editors."""

from __future__ import annotations

import wave
from pathlib import Path

import bpy
import numpy as np
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.shots.export import write_text
from footfall.addon.host.sounds import export as sound_export
from footfall.addon.sounds import otio_text, wav
from footfall.addon.timeline import FrameRange
from footfall.addon.wire.errors import SaveError
from footfall.tests.blender.host_tools import our_strips
from footfall.tests.blender.shots.coloured import FRAMES, begin, shots_of_colours

pytestmark = pytest.mark.usefixtures("audio")


class TestExport:
    def sounding(self, tmp_path: Path) -> bpy.types.Scene:
        scene = shots_of_colours(2, path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        begin()
        return scene

    def test_stems_are_what_the_strips_play(self, tmp_path: Path) -> None:
        """Trims, volume and muting count, sample for sample."""
        scene = self.sounding(tmp_path)
        first, second = sorted(our_strips(scene), key=sequencer.span)
        sequencer.set_span(first, 4, 10)
        first.volume = 0.5
        assert bpy.ops.footfall.export_sound(filepath=str(tmp_path / "out.wav")) == {"FINISHED"}
        mixed, rate = wav.read(tmp_path / "out.mix.wav", 0, 10**7)
        assert rate == 48_000
        assert len(mixed) == 2 * FRAMES * 2_000  # 24 frames a second
        source, _ = wav.read(Path(bpy.path.abspath(first.sound.filepath)), 0, 10**7)
        assert not mixed[: 3 * 2_000].any()
        assert np.abs(mixed[6_000:18_000] - 0.5 * source[6_000:18_000]).max() < 1e-6
        assert not mixed[18_000:24_000].any()
        later, _ = wav.read(Path(bpy.path.abspath(second.sound.filepath)), 0, 10**7)
        assert np.abs(mixed[24_000:] - later[:24_000]).max() < 1e-6
        with wave.open(str(tmp_path / "out.bed.wav")) as bed:
            assert bed.getsampwidth() == 3
        assert (tmp_path / "out.otio").is_file()
        second.mute = True
        plan = sound_export.plan(scene, sound_export.sounds(scene), tmp_path / "x.wav")
        assert [len(parts) for parts in plan.stems.values()] == [1]

    def test_inside_a_meta(self, tmp_path: Path) -> None:
        scene = self.sounding(tmp_path)
        before = sound_export.sounds(scene)
        editor = scene.sequence_editor
        meta = (editor.strips if hasattr(editor, "strips") else editor.sequences).new_meta("m", 30, 1)
        for strip in our_strips(scene):
            strip.move_to_meta(meta)
        sequencer.set_span(meta, 1, 25)
        after = sound_export.sounds(scene)
        assert sorted((one.start, one.end, one.heard) for one in after) == sorted(
            (one.start, one.end, one.heard) for one in before
        )
        meta.mute = True
        assert not any(one.heard for one in sound_export.sounds(scene))

    def test_what_is_not_in_the_stems_is_told(self, tmp_path: Path) -> None:
        scene = self.sounding(tmp_path)
        strip = our_strips(scene)[0]
        strip.volume = 0.3
        strip.keyframe_insert("volume", frame=2)
        doubts = {one.name: one.doubt for one in sound_export.sounds(scene)}
        assert doubts[strip.name] == "its animated volume"
        assert sorted(doubts.values())[0] == ""

    def test_the_stamp_is_the_timecode_of_the_first_frame(self, tmp_path: Path) -> None:
        scene = bpy.context.scene
        scene.render.fps, scene.render.fps_base = 24, 1.001
        stamp = sound_export.stamp(scene, sequencer.scene_rate(scene), FrameRange(1001, 1100))
        assert stamp.start == round(1001 * 1.001 / 24 * 48_000)

    def test_nothing_to_export(self) -> None:
        assert not bpy.ops.footfall.export_sound.poll()

    def test_overlapping_sounds_get_tracks_of_their_own(self) -> None:
        clips = [
            otio_text.TrackClip(name=str(start), path=Path("a.wav"), start=start, frames=10)
            for start in (1, 5, 11, 12)
        ]
        lanes = sound_export._lanes(clips)
        assert [[clip.name for clip in lane] for lane in lanes] == [["1", "11"], ["5"], ["12"]]


def test_a_timeline_in_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="make room there"):
        write_text(tmp_path / "file" / "a.otio", "all of it")
