# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots in Blender: made together, placed where they belong, whatever happens meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.batch.journal import Journal
from footfall.addon.host import live, orders, sequencer
from footfall.addon.host.shots import batch as shot_batch
from footfall.addon.host.shots import properties as shot_properties
from footfall.addon.host.shots import rows as shot_rows
from footfall.addon.wire.errors import SaveError
from footfall.tests.blender.host_tools import our_strips, turn
from footfall.tests.blender.shots.coloured import begin, effect, placed_frames, shots_of_colours

pytestmark = pytest.mark.usefixtures("audio")


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

    def test_words_for_the_background_are_every_shots_and_others_are_a_change(self, tmp_path: Path) -> None:
        scene = shots_of_colours(2, path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        scene.footfall.background = "rain"
        scene.footfall_shots.entries[1].prompt = "wet gravel"
        begin()
        requests = [json.loads(s["footfall"])["request"] for s in our_strips(scene)]
        assert {(one["prompt"], one["background"]) for one in requests} == {
            ("", "rain"),
            ("wet gravel", "rain"),
        }
        assert all(entry.kept for entry in begin("changed").batch.entries)
        scene.footfall.background = "snow"
        assert [entry.kept for entry in begin("changed").batch.entries] == [False, False]

    def test_a_journal_of_before_there_was_a_background(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What it has is not made again because of the version, in either direction."""
        scene = shots_of_colours(2, path=tmp_path / "shot.blend")
        bpy.ops.footfall.shots_find()
        now = orders.panel_settings

        def before(chosen: Any) -> dict[str, Any]:
            return {name: value for name, value in now(chosen).items() if name != "background"}

        for settings in (before, now, before):
            monkeypatch.setattr(orders, "panel_settings", settings)
            running = begin()
            assert len(our_strips(scene)) == 2
        assert all(entry.kept for entry in running.batch.entries)
        monkeypatch.setattr(orders, "panel_settings", now)
        scene.footfall.background = "rain"
        assert not any(entry.kept for entry in begin().batch.entries)

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
        (job,) = (job for job in live.get().table.all() if job.state == "not_placed")
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
