# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots in Blender: found where the user keeps them, made together, placed where they belong, exported."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import footfall
import numpy as np
import pytest
from footfall.addon.batch.journal import Journal
from footfall.addon.host import live, orders, sequencer
from footfall.addon.host.commands import run as commands
from footfall.addon.host.shots import batch as shot_batch
from footfall.addon.host.shots import find as shot_find
from footfall.addon.host.shots import properties as shot_properties
from footfall.addon.host.shots import rows as shot_rows
from footfall.addon.host.sounds import export as sound_export
from footfall.addon.sounds import otio_text, wav
from footfall.addon.timeline import FrameRange
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.tests.blender.host_tools import fake_python, our_strips, turn

pytestmark = pytest.mark.usefixtures("audio")

FRAMES = 12


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(fake_python(tmp_path)))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    footfall.register()
    yield
    footfall.unregister()


def effect(scene: Any, name: str, first: int, frames: int, channel: int = 1, kind: str = "COLOR") -> Any:
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    length = {"length": frames} if bpy.app.version >= (5, 0) else {"frame_end": first + frames}
    return strips.new_effect(name=name, type=kind, channel=channel, frame_start=first, **length)


def shots_of_colours(count: int = 3, path: Path | None = None) -> bpy.types.Scene:
    """A scene of ``count`` shots, a camera marker and a colour each; saved if ``path`` is given."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, count * FRAMES
    scene.render.resolution_x, scene.render.resolution_y = 64, 36
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    for number in range(count):
        first = 1 + number * FRAMES
        effect(scene, f"colour {number}", first, FRAMES).color = (number / count, 0.5, 0.5)
        scene.timeline_markers.new(f"sh{number}", frame=first).camera = camera
    scene.footfall.source = "sequencer"
    scene.footfall.spots = False
    if path is not None:
        bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return scene


def found(kind: str) -> list[tuple[str, int, int]]:
    shots = shot_find.find(bpy.context.scene, kind)
    return [(shot.name, shot.span.start, shot.span.end) for shot in shots]


class TestFind:
    def test_camera_markers(self) -> None:
        shots_of_colours()
        bpy.context.scene.timeline_markers.new("hit glass", frame=5)  # no camera, no shot
        assert found("markers") == [("sh0", 1, 12), ("sh1", 13, 24), ("sh2", 25, 36)]
        assert found("auto") == found("markers")

    def test_scene_strips_but_muted_ones(self) -> None:
        scene = bpy.context.scene
        other = bpy.data.scenes.new("Other")
        other.frame_end = 20
        editor = scene.sequence_editor_create()
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strips.new_scene("a", other, 1, 10)
        strips.new_scene("b", other, 1, 40).mute = True
        assert found("scene_strips") == [("a", 10, 29)]
        assert found("auto") == [("a", 10, 29)]
        assert shot_find.find(scene, "scene_strips")[0].sequencer

    def test_meta_strips_that_show_something(self) -> None:
        scene = bpy.context.scene
        editor = scene.sequence_editor_create()
        metas = []
        for name, first in (("picture", 1), ("none", 50)):
            meta = (editor.strips if hasattr(editor, "strips") else editor.sequences).new_meta(name, 2, first)
            metas.append(meta)
        inside = metas[0].strips if hasattr(metas[0], "strips") else metas[0].sequences
        other = bpy.data.scenes.new("Other")
        other.frame_end = 10
        inside.new_scene("in", other, 1, 1)
        assert [name for name, _, _ in found("meta_strips")] == ["picture"]

    def test_scenes(self) -> None:
        bpy.context.scene.frame_end = 10
        bpy.data.scenes.new("Zoo").frame_end = 5
        assert found("scenes") == [("Scene", 1, 10), ("Zoo", 1, 5)]

    def test_nothing_found_is_told(self) -> None:
        with pytest.raises(BadInput, match="no camera markers"):
            found("markers")
        assert found("auto") == [("Scene", 1, bpy.context.scene.frame_end)]


def begin(which: str = "all", key: str = "") -> Any:
    assert bpy.ops.footfall.shots_generate(which=which, key=key) == {"FINISHED"}
    session = live.get()
    turn(session, lambda: session.batch.over)
    return session.batch


def placed_frames(scene: bpy.types.Scene, *, heard: bool = True) -> list[int]:
    return sorted(sequencer.span(strip)[0] for strip in our_strips(scene) if not strip.mute or not heard)


class TestBatch:
    def test_the_list_is_made_and_each_lies_where_it_belongs(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        assert bpy.ops.footfall.shots_find() == {"FINISHED"}
        scene.footfall.prompt = "rain"
        scene.footfall_shots.entries[1].prompt = "wet gravel"
        running = begin()
        assert [entry.state for entry in running.batch.entries] == ["done"] * 3
        assert placed_frames(scene) == [1, 13, 25]
        stories = {sequencer.span(s)[0]: json.loads(s["footfall"]) for s in our_strips(scene)}
        assert stories[13]["request"]["prompt"] == "rain, wet gravel"
        assert stories[1]["request"]["prompt"] == "rain"
        assert stories[13]["shot"]["shot"] == "markers/Scene/sh1"
        assert len({story["request"]["seed"] for story in stories.values()}) == 3
        assert {shot_batch.state(live.session(), shot)[0] for shot in shot_properties.read(scene)} == {"made"}

    def test_made_once_and_only_what_is_asked_anew(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        begin()
        again = begin()
        assert all(entry.kept for entry in again.batch.entries)
        assert placed_frames(scene) == [1, 13, 25]
        scene.footfall_shots.entries[2].prompt = "snow"
        third = begin()
        assert [entry.kept for entry in third.batch.entries] == [True, True, False]
        assert placed_frames(scene) == [1, 13, 25]  # the old one stays, muted
        assert placed_frames(scene, heard=False) == [1, 13, 25, 25]

    def test_after_a_crash_the_strips_come_back_without_a_new_sound(self, tmp_path: Path) -> None:
        shots_of_colours(path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        bpy.ops.wm.save_mainfile()
        begin()
        before = sorted((tmp_path / "footfall").glob("*.wav"))
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))  # never saved since
        assert our_strips(bpy.context.scene) == []
        states = {shot_batch.state(None, shot)[0] for shot in shot_properties.read(bpy.context.scene)}
        assert states == {"made"}
        running = begin()
        assert all(entry.kept for entry in running.batch.entries)
        assert placed_frames(bpy.context.scene) == [1, 13, 25]
        assert sorted((tmp_path / "footfall").glob("*.wav")) == before

    def test_changed_only(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        begin()
        editor = scene.sequence_editor
        strips = editor.strips if hasattr(editor, "strips") else editor.sequences
        strips["colour 1"].color = (0.0, 0.0, 0.0)
        running = begin("changed")
        assert [entry.kept for entry in running.batch.entries] == [True, False, True]

    def test_one_shot_again(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        begin()
        running = begin("again", "markers/Scene/sh1")
        assert [entry.wish.shot.name for entry in running.batch.entries] == ["sh1"]
        assert placed_frames(scene) == [1, 13, 25]
        seeds = {json.loads(s["footfall"])["request"]["seed"] for s in our_strips(scene)}
        assert len(seeds) == 4

    def test_a_locked_sound_is_left_alone(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        begin()
        next(strip for strip in our_strips(scene) if sequencer.span(strip)[0] == 13).lock = True
        scene.footfall.prompt = "snow"
        running = begin()
        assert [entry.state for entry in running.batch.entries] == ["done", "unchanged", "done"]
        assert not next(strip for strip in our_strips(scene) if sequencer.span(strip)[0] == 13).mute

    def test_failures_are_told_and_tried_again(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        scene.footfall_shots.entries[1].prompt = "bad-input"
        running = begin()
        assert [entry.state for entry in running.batch.entries] == ["done", "failed", "done"]
        state, sentence = shot_batch.state(live.session(), shot_properties.read(scene)[1])
        assert state == "failed"
        assert "nothing to see" in sentence
        scene.footfall_shots.entries[1].prompt = ""
        assert [entry.state for entry in begin("failed").batch.entries] == ["done"]
        with pytest.raises(RuntimeError, match="No shot has failed"):
            bpy.ops.footfall.shots_generate(which="failed")

    def test_cancel_and_go_on(self, tmp_path: Path) -> None:
        scene = shots_of_colours(5, path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        bpy.ops.footfall.shots_generate(which="all")
        session = live.get()
        turn(session, lambda: any(entry.state == "done" for entry in session.batch.batch.entries))
        bpy.ops.footfall.shots_cancel()
        turn(session, lambda: session.batch.over)
        states = [entry.state for entry in session.batch.batch.entries]
        assert "cancelled" in states
        running = begin()
        assert [entry.state for entry in running.batch.entries] == ["done"] * 5
        assert placed_frames(scene) == [1, 13, 25, 37, 49]
        assert len(list((tmp_path / "footfall").glob("*.wav"))) == 5

    def test_another_file_in_the_middle(self, tmp_path: Path) -> None:
        """R13: what was sent is kept for its own file, the other file gets nothing, and it goes on later."""
        shots_of_colours(5, path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        bpy.ops.wm.save_mainfile()
        bpy.ops.footfall.shots_generate(which="all")
        session = live.get()
        turn(session, lambda: any(entry.state == "done" for entry in session.batch.batch.entries))
        bpy.ops.wm.read_homefile(use_empty=True)
        turn(session, lambda: session.batch.over)
        assert our_strips(bpy.context.scene) == []
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
        begin()
        assert placed_frames(bpy.context.scene) == [1, 13, 25, 37, 49]
        assert len(list((tmp_path / "footfall").glob("*.wav"))) == 5

    def test_a_sound_that_could_not_be_entered_is_kept_and_placed_later(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """R23: the disk is back, Place is pressed, and the journal knows the shot."""
        scene = shots_of_colours(1, path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()

        def full(*_: Any, **__: Any) -> bool:
            raise SaveError("The disk is full; make room.")

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "finish", full)
            running = begin()
        (entry,) = running.batch.entries
        assert (entry.state, entry.sentence) == ("failed", "The disk is full; make room.")
        assert our_strips(scene) == []
        assert not list(tmp_path.rglob("*.wav"))
        (job,) = live.get().table.not_placed()
        assert bpy.ops.footfall.place(job_id=job.job_id) == {"FINISHED"}
        assert placed_frames(scene) == [1]
        assert all(entry.kept for entry in begin().batch.entries)
        assert placed_frames(scene, heard=False) == [1]

    def test_each_scene_gets_its_own(self, tmp_path: Path) -> None:
        first = shots_of_colours(1)
        second = bpy.data.scenes.new("Second")
        second.frame_end = 5
        effect(second, "colour", 1, 5)
        second.render.resolution_x, second.render.resolution_y = 64, 36
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "two.blend"))
        first.footfall_shots.kind = "scenes"
        bpy.ops.footfall.shots_find()
        begin()
        assert [len(our_strips(scene)) for scene in (first, second)] == [1, 1]

    def test_an_unsaved_file_is_told_to_be_saved(self) -> None:
        shots_of_colours()
        bpy.ops.footfall.shots_find()
        with pytest.raises(RuntimeError, match="Save the file first"):
            bpy.ops.footfall.shots_generate(which="all")

    def test_none_chosen(self, tmp_path: Path) -> None:
        scene = shots_of_colours(path=tmp_path / "shot.blend")
        with pytest.raises(RuntimeError, match="find shots first"):
            bpy.ops.footfall.shots_generate(which="all")
        bpy.ops.footfall.shots_find()
        for entry in list(scene.footfall_shots.entries)[1:]:
            entry.use = False
        assert len(begin().batch.entries) == 1

    def test_found_again_words_are_kept(self) -> None:
        scene = shots_of_colours()
        bpy.ops.footfall.shots_find()
        scene.footfall_shots.entries[1].prompt = "snow"
        scene.timeline_markers.new("sh new", frame=7).camera = scene.camera
        bpy.ops.footfall.shots_find()
        words = {entry.name: entry.prompt for entry in scene.footfall_shots.entries}
        assert words == {"sh0": "", "sh new": "", "sh1": "snow", "sh2": ""}

    def test_every_state_has_an_icon(self) -> None:
        from footfall.addon.batch import running as batch

        states = {value for name, value in vars(batch).items() if name.isupper() and isinstance(value, str)}
        assert states - set(batch.CHOICES) <= set(shot_rows.ICONS)


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capfd.readouterr()
    code = commands.run(["batch", "--json", *words])
    out, _ = capfd.readouterr()
    assert out.count("\n") == 1, out
    return code, json.loads(out)


class TestCommand:
    def test_several_files_through_one_worker(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from footfall.addon.host.session import Session

        pids = set()
        take = Session.take

        def noticed(self: Session, event: Any) -> None:
            pids.add(self.status.pid)
            take(self, event)

        monkeypatch.setattr(Session, "take", noticed)
        shots_of_colours(2, path=tmp_path / "a.blend")
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "b.blend"))
        (tmp_path / "broken.blend").write_text("nonsense")
        names = ["a.blend", "broken.blend", "b.blend", "none.blend"]
        words = [str(tmp_path / name) for name in names]
        code, report = run(capfd, *words, "--source", "sequencer", "--report", str(tmp_path / "report.json"))
        assert code == 3
        assert [blend["ok"] for blend in report["blends"]] == [True, False, True, False]
        assert json.loads((tmp_path / "report.json").read_text()) == report
        assert len(pids - {0}) == 1
        for name in ("a", "b"):
            bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "with_sound" / f"{name}.blend"))
            strips = our_strips(bpy.context.scene)
            assert len(strips) == 2
            assert all(strip.sound.filepath.startswith("//footfall") for strip in strips)
            assert (tmp_path / "with_sound" / f"{name}.mix.wav").is_file()
            assert (tmp_path / "with_sound" / f"{name}.otio").is_file()

    def test_the_open_file(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        shots_of_colours(2, path=tmp_path / "a.blend")
        before = (tmp_path / "a.blend").read_bytes()
        code, report = run(capfd, "--out", str(tmp_path / "out"), "--source", "sequencer")
        assert code == 0
        assert report["blends"][0]["blend"] == str(tmp_path / "out" / "a.blend")
        assert (tmp_path / "a.blend").read_bytes() == before

    @pytest.mark.parametrize(
        ("words", "code", "name"),
        [
            (["--scene", "Nowhere"], 3, "bad_input"),
            (["--shots", "movie_strips"], 3, "bad_input"),
            (["--jobs", "none.toml"], 3, "bad_input"),
            (["--out", "."], 3, "bad_input"),
            (["--prompt", "missing"], 4, "model_missing"),
            (["--prompt", "oom"], 5, "out_of_memory"),
            (["--only", "some"], 2, "usage"),
        ],
    )
    def test_exit_codes(
        self,
        words: list[str],
        code: int,
        name: str,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shots_of_colours(2, path=tmp_path / "a.blend")
        ended, report = run(capfd, "--source", "sequencer", *words)
        assert (ended, report["code"]) == (code, name), report
        assert report["error"]

    def test_a_shot_that_the_jobs_file_names_must_exist(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        shots_of_colours(2, path=tmp_path / "a.blend")
        jobs = tmp_path / "jobs.toml"
        jobs.write_text('[[file]]\npath = "a.blend"\n[[file.shot]]\nname = "sh9"\n')
        code, report = run(capfd, "--jobs", str(jobs))
        assert code == 3
        assert "'sh9'" in report["blends"][0]["error"]
        assert "sh0" in report["blends"][0]["error"]


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
        stamp = sound_export.stamp(scene, orders.scene_rate(scene), FrameRange(1001, 1100))
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
