# SPDX-License-Identifier: GPL-3.0-or-later
"""The sequencer's ways in every Blender: strips, channels, names, metas; nothing of the user's is touched."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import orders, sequencer
from footfall.addon.host.sounds.strips import add_sound
from footfall.addon.sounds.placement import PlannedStrip, Seat
from footfall.addon.takes.provenance import KEY
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.errors import BadInput, SaveError

RATE = Rate(24)


@pytest.fixture(autouse=True)
def no_old_names() -> Iterator[None]:
    """Nothing of ours asks for a name that Blender warns about."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        yield


@pytest.fixture
def scene() -> Any:
    return bpy.context.scene


@pytest.fixture
def planned(sound: Any, store: Any) -> Any:
    """``planned(start=1, frames=12, **changes)`` -> (path, PlannedStrip, story), with a WAV on disk."""

    def make(start: int = 1, frames: int = 12, **changes: Any) -> tuple[Path, PlannedStrip, str]:
        waveform = np.full((frames * 2_000, 1), 0.5, np.float32)
        item = store([sound(0, waveform=waveform, label="glass")], RATE, start).strips[0]
        return item.path, replace(item.strip, **changes), item.story

    return make


def block(scene: Any, channel: int, first: int, end: int, name: str = "Mine") -> Any:
    """A strip of the user's, of colour, so that it needs no sound."""
    collection = sequencer.strips(sequencer.ensure_editor(scene))
    kind = collection.bl_rna.functions["new_effect"].parameters
    length = {"length": end - first} if "length" in kind else {"frame_end": end}
    return collection.new_effect(name=name, type="COLOR", channel=channel, frame_start=first, **length)


class TestScene:
    def test_the_sequencer_of_a_scene_without_one(self, scene: Any) -> None:
        scene.sequence_editor_clear()
        assert scene.sequence_editor is None
        assert sequencer.all_strips(scene) == []
        assert sequencer.shown_strips(scene) == []
        assert sequencer.selected_spans(scene) == []
        assert sequencer.strips_between(scene, 1, 10) == []
        assert sequencer.find(scene, "x") == []
        editor = sequencer.ensure_editor(scene)
        assert sequencer.ensure_editor(scene) == editor

    def test_which_scene_the_user_sees(self, scene: Any) -> None:
        assert sequencer.seq_scene(bpy.context) == scene
        other = bpy.data.scenes.new("Edit")
        workspace = bpy.context.workspace
        if not hasattr(workspace, "sequencer_scene"):
            assert not sequencer.show_scene(bpy.context, other)
            return
        assert sequencer.show_scene(bpy.context, other)
        assert workspace.sequencer_scene == other
        assert not sequencer.show_scene(bpy.context, scene)
        assert workspace.sequencer_scene == other

    def test_scenes_are_found_by_uid_or_name(self, scene: Any) -> None:
        uid = scene.session_uid
        scene.name = "Renamed"
        assert sequencer.find_scene("Scene", uid) == scene
        assert sequencer.find_scene("Scene") is None
        assert sequencer.find_scene("Renamed") == scene
        assert sequencer.find_scene("Renamed", uid + 10_000) is None

    def test_the_rate_is_exact(self, scene: Any) -> None:
        scene.render.fps, scene.render.fps_base = 30, 1.001
        assert sequencer.scene_rate(scene).per_second == Fraction(30_000, 1_001)

    def test_a_linked_scene_is_refused(self, scene: Any, tmp_path: Path) -> None:
        path = tmp_path / "library.blend"
        scene.name = "Linked"
        bpy.data.libraries.write(str(path), {scene})
        bpy.ops.wm.read_factory_settings(use_empty=True)
        with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
            wanted.scenes = ["Linked"]
        linked = next(s for s in bpy.data.scenes if s.library is not None)
        with pytest.raises(BadInput, match="linked"):
            sequencer.ensure_editor(linked)
        assert sequencer.find_scene("Linked") is None


class TestSpans:
    def test_a_strip_trimmed_to_nothing(self, scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Blender keeps a frame of it; of one without any frame the range is empty, and said to be."""
        strip = block(scene, 1, 10, 30)
        setattr(strip, "right_handle" if hasattr(strip, "right_handle") else "frame_final_end", 10)
        assert orders.frame_range(scene, "strips") == FrameRange(10, 10)
        monkeypatch.setattr(sequencer, "selected_spans", lambda scene: [(10, 10)])
        with pytest.raises(BadInput, match="empty"):
            orders.frame_range(scene, "strips")

    def test_span_and_trim(self, scene: Any) -> None:
        strip = block(scene, 3, 10, 40)
        assert sequencer.span(strip) == (10, 40)
        for first, end in [(12, 30), (40, 60), (-20, -10), (5, 6)]:
            sequencer.set_span(strip, first, end)
            assert sequencer.span(strip) == (first, end)
        with pytest.raises(BadInput):
            sequencer.set_span(strip, 5, 5)

    def test_what_is_selected(self, scene: Any) -> None:
        strips = [block(scene, 1, 10, 20), block(scene, 2, 30, 45), block(scene, 3, 50, 60)]
        for strip in strips:
            strip.select = False
        assert sequencer.selected_spans(scene) == []
        strips[1].select = strips[2].select = True
        assert sequencer.selected_spans(scene) == [(30, 45), (50, 60)]

    def test_what_lies_between(self, scene: Any) -> None:
        block(scene, 1, 10, 20, "a")
        block(scene, 2, 30, 45, "b")
        names = lambda first, end: [s.name for s in sequencer.strips_between(scene, first, end)]  # noqa: E731
        assert names(20, 30) == []
        assert names(19, 30) == ["a"]
        assert names(0, 100) == ["a", "b"]


class TestChannels:
    def test_as_they_are(self, scene: Any) -> None:
        block(scene, 2, 10, 20)
        editor = scene.sequence_editor
        editor.channels[5].name = "Dialogue"
        editor.channels[5].lock = True
        editor.channels[6].mute = True
        found = sequencer.channels(editor)
        assert [c.number for c in found] == list(range(1, 129))
        assert found[1].spans == ((10, 20),)
        assert all(c.unnamed for c in found if c.number != 5)
        assert (found[4].name, found[4].unnamed, found[4].locked) == ("Dialogue", False, True)
        assert found[5].muted

    def test_a_free_one_near_the_preferred(self, scene: Any) -> None:
        for channel in (4, 5, 6):
            block(scene, channel, 10, 20)
        editor = scene.sequence_editor
        assert sequencer.free_channel(editor, 10, 20, preferred=5) == 3
        editor.channels[3].lock = True
        assert sequencer.free_channel(editor, 10, 20, preferred=5) == 7
        assert sequencer.free_channel(editor, 20, 30, preferred=5) == 5

    def test_all_128_full(self, scene: Any) -> None:
        for channel in range(1, 129):
            block(scene, channel, 10, 20)
        editor = scene.sequence_editor
        with pytest.raises(BadInput, match="No channel has room"):
            sequencer.free_channel(editor, 15, 16)
        assert sequencer.free_channel(editor, 20, 21) == 1


@pytest.mark.usefixtures("audio")
class TestAddSound:
    def test_all_that_a_strip_is(self, scene: Any, planned: Any) -> None:
        path, strip, story = planned(start=37, frames=12)
        made = add_sound(scene, path, strip, Seat(channel=4, name="Footfall bed"), story)
        assert sequencer.span(made) == (37, 49)
        assert (made.name, made.channel, made.mute, made.select) == ("Footfall glass", 4, False, False)
        assert made.color_tag == strip.color
        assert made.sound.samplerate == 48_000
        assert Path(bpy.path.abspath(made.sound.filepath)) == path
        assert scene.sequence_editor.channels[4].name == "Footfall bed"
        assert sequencer.find(scene, strip.uuid) == [made]
        told = sequencer.story_of(made)
        assert (told.uuid, told.settings["seed"]) == (strip.uuid, 7)
        assert made.get(KEY) == story

    def test_a_muted_take(self, scene: Any, planned: Any) -> None:
        path, strip, story = planned(audible=False)
        assert add_sound(scene, path, strip, Seat(channel=1), story).mute

    def test_an_unnamed_seat_leaves_the_name(self, scene: Any, planned: Any) -> None:
        sequencer.ensure_editor(scene).channels[2].name = "Dialogue"
        path, strip, story = planned()
        add_sound(scene, path, strip, Seat(channel=2), story)
        assert scene.sequence_editor.channels[2].name == "Dialogue"

    def test_a_missing_file(self, scene: Any, planned: Any) -> None:
        path, strip, story = planned()
        path.unlink()
        with pytest.raises(SaveError, match="gone"):
            add_sound(scene, path, strip, Seat(channel=1), story)
        assert sequencer.all_strips(scene) == []

    @pytest.mark.parametrize("content", [b"", b"not a sound at all" * 50])
    def test_a_damaged_file(self, scene: Any, planned: Any, content: bytes) -> None:
        path, strip, story = planned()
        path.write_bytes(content)
        with pytest.raises(SaveError):
            add_sound(scene, path, strip, Seat(channel=1), story)
        assert sequencer.all_strips(scene) == []
        assert len(bpy.data.sounds) == 0

    @pytest.mark.parametrize(("failures", "kept"), [(1, 1), (2, 0)])
    def test_blender_that_silently_adds_nothing(
        self, scene: Any, planned: Any, monkeypatch: pytest.MonkeyPatch, failures: int, kept: int
    ) -> None:
        path, strip, story = planned()
        original, calls = sequencer.strips, iter(range(10))

        class Forgetful:
            def __init__(self, holder: Any) -> None:
                self.all = original(holder)

            def new_sound(self, *arguments: Any) -> Any:
                return None if next(calls) < failures else self.all.new_sound(*arguments)

            def get(self, name: str) -> Any:
                return self.all.get(name)

        monkeypatch.setattr(sequencer, "strips", Forgetful)
        if kept:
            add_sound(scene, path, strip, Seat(channel=1), story)
        else:
            with pytest.raises(BadInput, match="open a Sequencer"):
                add_sound(scene, path, strip, Seat(channel=1), story)
        assert len(sequencer.all_strips(scene)) == kept

    def test_relative_beside_the_file_and_full_elsewhere(
        self, scene: Any, planned: Any, tmp_path: Path
    ) -> None:
        elsewhere = planned()[0]
        assert sequencer.stored_path(elsewhere) == str(elsewhere)
        (tmp_path / "project").mkdir()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "project" / "shot.blend"))
        assert sequencer.stored_path(elsewhere) == str(elsewhere)
        beside = planned()[0]
        assert beside.parent == tmp_path / "project" / "footfall"
        assert sequencer.stored_path(beside) == f"//footfall/{beside.name}"

    @pytest.mark.parametrize("name", ["with space", 'it\'s "quoted"', "🎬 für Ton", "x" * 250])
    def test_folders_of_any_name(self, sound: Any, store: Any, tmp_path: Path, name: str) -> None:
        (tmp_path / name).mkdir()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / name / "shot.blend"))
        item = store([sound(0)], RATE).strips[0]
        made = add_sound(bpy.context.scene, item.path, item.strip, Seat(channel=1), item.story)
        assert made.sound.samplerate == 48_000
        bpy.ops.wm.save_mainfile()
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / name / "shot.blend"))
        kept = sequencer.find(bpy.context.scene, item.strip.uuid)[0]
        assert Path(bpy.path.abspath(kept.sound.filepath)) == item.path
        assert sequencer.media(kept).missing == ()

    def test_long_and_foreign_names(self, scene: Any, sound: Any, store: Any) -> None:
        item = store([sound(0, label="Schritt auf Glas 🥂" * 10)], RATE).strips[0]
        made = add_sound(scene, item.path, item.strip, Seat(channel=1), item.story)
        assert made.name == item.strip.name
        again = add_sound(scene, item.path, item.strip, Seat(channel=2), item.story)
        assert again.name != made.name

    def test_found_inside_metas_and_as_copies(self, scene: Any, planned: Any) -> None:
        path, strip, story = planned(start=10)
        made = add_sound(scene, path, strip, Seat(channel=1), story)
        meta = sequencer.strips(scene.sequence_editor).new_meta("Meta", 5, 1)
        made.move_to_meta(meta)
        assert [s.name for s in sequencer.find(scene, strip.uuid)] == ["Footfall glass"]
        copy = add_sound(scene, path, strip, Seat(channel=7), story)
        assert len(sequencer.find(scene, strip.uuid)) == 2
        assert sequencer.span(copy) == (10, 22)

    def test_removing_ours_leaves_the_rest(self, scene: Any, planned: Any) -> None:
        mine = block(scene, 1, 10, 20)
        path, strip, story = planned()
        add_sound(scene, path, strip, Seat(channel=2), story)
        sequencer.remove(scene, {strip.uuid})
        assert sequencer.all_strips(scene) == [mine]
        assert len(bpy.data.sounds) == 0

    def test_prefetch_is_off_meanwhile(self, scene: Any) -> None:
        editor = sequencer.ensure_editor(scene)
        editor.use_prefetch = True
        with sequencer.undisturbed(scene):
            assert not editor.use_prefetch
        assert editor.use_prefetch
        editor.use_prefetch = False
        with sequencer.undisturbed(scene):
            assert not editor.use_prefetch
        assert not editor.use_prefetch


class TestMedia:
    def test_sound(self, scene: Any, planned: Any, audio: None) -> None:
        path, strip, story = planned(start=20)
        made = add_sound(scene, path, strip, Seat(channel=1), story)
        found = sequencer.media(made)
        assert (found.kind, found.paths, found.missing, found.start) == ("SOUND", (path,), (), 20)
        path.unlink()
        assert sequencer.media(made).missing == (path,)

    def test_images(self, scene: Any, tmp_path: Path) -> None:
        picture = bpy.data.images.new("x", 8, 8)
        picture.filepath_raw, picture.file_format = str(tmp_path / "a.png"), "PNG"
        picture.save()
        editor = sequencer.ensure_editor(scene)
        strip = sequencer.strips(editor).new_image("i", str(tmp_path / "a.png"), 1, 5)
        strip.elements.append("b.png")
        found = sequencer.media(strip)
        assert (found.kind, found.start) == ("IMAGE", 5)
        assert found.paths == (tmp_path / "a.png", tmp_path / "b.png")
        assert found.missing == (tmp_path / "b.png",)

    def test_scene_and_others(self, scene: Any) -> None:
        other = bpy.data.scenes.new("Other")
        strip = sequencer.strips(sequencer.ensure_editor(scene)).new_scene("s", other, 1, 5)
        assert sequencer.media(strip).scene_name == "Other"
        bpy.data.scenes.remove(other)
        assert sequencer.media(strip).scene_name == ""
        assert sequencer.media(block(scene, 3, 1, 5)) is None
