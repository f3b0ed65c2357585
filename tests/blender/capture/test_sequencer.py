# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sequencer shows: images, movies, scenes, metas, effects; trimmed, stacked, muted, missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import live, sequencer
from footfall.addon.host.capture import capture
from footfall.addon.host.capture.capture import CaptureOptions
from footfall.addon.timeline import FrameRange
from footfall.addon.wire.errors import BadInput
from footfall.tests.blender import media
from footfall.tests.blender.traces import changes, snapshot
from footfall.tests.blender.tracks import coded_scene

FRAMES = 40


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Pictures that show 1, 2, 3, ..."""
    return media.write_images(tmp_path / "pictures with space", range(1, FRAMES + 1))


@pytest.fixture
def edit() -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 101, 100 + FRAMES
    scene.render.resolution_x, scene.render.resolution_y = media.WIDTH, media.HEIGHT
    scene.view_settings.view_transform = "Standard"
    scene.sequence_editor_create()
    return scene


def strips(scene: bpy.types.Scene) -> Any:
    return sequencer.strips(scene.sequence_editor)


def taken(**more: Any) -> tuple[np.ndarray, capture.Capture]:
    """The captured pictures; nothing in the file has changed."""
    before = snapshot()
    wanted = {"route": "sequencer", "per_second": 100, "side": 48, "engine": "cycles"} | more
    running = capture.begin(bpy.context, CaptureOptions(**wanted))
    while running.step():
        pass
    frames, _ = running.finish()
    assert not changes(before, snapshot())
    return frames, running


def shown(**more: Any) -> list[int]:
    """The numbers that the captured pictures show."""
    return [coded_scene.decode(picture) for picture in taken(**more)[0]]


def numbers(running: capture.Capture) -> list[int]:
    return [running.span.start + int(time * running.rate.per_second) for time in running.times]


def test_images_show_the_frames_of_their_times(edit: bpy.types.Scene, images: list[Path]) -> None:
    edit.render.fps, edit.render.fps_base = 24, 1.001
    media.add_images(edit, images, 101)
    frames, running = taken(per_second=8)
    assert [coded_scene.decode(picture) for picture in frames] == [
        number - 100 for number in numbers(running)
    ]


@pytest.mark.parametrize(("fps", "base"), [(24, 1.0), (24, 1.001), (30, 1.001), (60, 1.001)])
def test_a_movie_of_the_scenes_rate_shows_frame_by_frame(
    edit: bpy.types.Scene, images: list[Path], tmp_path: Path, fps: int, base: float
) -> None:
    edit.render.fps, edit.render.fps_base = fps, base
    movie = media.write_movie(tmp_path / "film.mp4", images, fps, base)
    strips(edit).new_movie("film", str(movie), 1, 101)
    frames, running = taken(per_second=8)
    assert [coded_scene.decode(picture) for picture in frames] == [
        number - 100 for number in numbers(running)
    ]


def test_trims_gaps_and_stacks(edit: bpy.types.Scene, images: list[Path]) -> None:
    """Trimmed by 5 at the start, moved to 121; nothing before; a red strip on top at the end."""
    strip = media.add_images(edit, images, 116)
    sequencer.set_span(strip, 121, 131)
    red = media.add_colour(edit, 2, 131, 10)
    red.color = (1.0, 0.0, 0.0)
    frames, _ = taken()
    assert [coded_scene.decode(picture) for picture in frames[20:30]] == list(range(6, 16))
    assert frames[:20].max() <= 2
    assert frames[35][20, 20].tolist() == [255, 0, 0]


def test_strips_placed_in_pixels_stay_in_place_when_reduced(
    edit: bpy.types.Scene, images: list[Path]
) -> None:
    strip = media.add_images(edit, images, 101)
    strip.transform.offset_x = media.WIDTH / 2
    frames, _ = taken(end=101, side=90)
    assert frames[0].shape == (90, 160, 3)
    assert frames[0][:, :79].max() <= 2
    assert frames[0].max() == 255


@pytest.mark.skipif(
    bpy.app.version < (5, 0), reason="images moved by a script stand still in metas before 5.0"
)
def test_meta_strips_show_their_inside(edit: bpy.types.Scene, images: list[Path]) -> None:
    meta = strips(edit).new_meta("meta", 3, 101)
    media.add_images(edit, images, 101).move_to_meta(meta)
    sequencer.set_span(meta, 101, 101 + FRAMES)
    assert shown(end=110) == list(range(1, 11))


def test_scene_strips_show_the_other_scene(edit: bpy.types.Scene) -> None:
    shot = coded_scene.build(bpy.data.scenes.new("shot"), 201, 240)
    shot.frame_set(222)
    shot.render.resolution_x, shot.render.resolution_y = media.WIDTH, media.HEIGHT
    shot.render.engine = "BLENDER_WORKBENCH"
    strips(edit).new_scene("shot", shot, 1, 101)
    assert shown(end=120) == list(range(201, 221))


def test_a_scene_strip_of_a_sequencer_shows_that_sequencer(edit: bpy.types.Scene, images: list[Path]) -> None:
    inner = bpy.data.scenes.new("inner")
    inner.frame_end = FRAMES
    inner.render.resolution_x, inner.render.resolution_y = media.WIDTH, media.HEIGHT
    inner.sequence_editor_create()
    media.add_images(inner, images, 1)
    strips(edit).new_scene("inner", inner, 1, 101).scene_input = "SEQUENCER"
    assert shown(end=110) == list(range(1, 11))


def test_a_range_of_one_frame(edit: bpy.types.Scene, images: list[Path]) -> None:
    media.add_images(edit, images, 101)
    frames, running = taken(start=107, end=107)
    assert coded_scene.decode(frames[0]) == 7
    assert running.times == (0,)


def test_no_sequencer() -> None:
    bpy.context.scene.sequence_editor_clear()
    with pytest.raises(BadInput, match="has no sequencer"):
        shown()


def test_an_empty_sequencer(edit: bpy.types.Scene) -> None:
    with pytest.raises(BadInput, match="shows no picture in this range"):
        shown()


def test_strips_outside_the_range(edit: bpy.types.Scene, images: list[Path]) -> None:
    media.add_images(edit, images, 201)
    with pytest.raises(BadInput, match="shows no picture in this range"):
        shown()


@pytest.mark.parametrize("what", ["strip", "channel"])
def test_all_muted(edit: bpy.types.Scene, images: list[Path], what: str) -> None:
    strip = media.add_images(edit, images, 101)
    if what == "strip":
        strip.mute = True
    else:
        edit.sequence_editor.channels[strip.channel].mute = True
    with pytest.raises(BadInput, match="are muted; unmute one"):
        shown()


def test_missing_images_are_named_only_if_they_would_show(edit: bpy.types.Scene, images: list[Path]) -> None:
    media.add_images(edit, images, 101)
    images[19].unlink()
    assert shown(end=119) == list(range(1, 20))
    with pytest.raises(BadInput, match=r"has lost its file .*0020\.png"):
        shown()


def test_a_missing_movie_is_named(edit: bpy.types.Scene, images: list[Path], tmp_path: Path) -> None:
    movie = media.write_movie(tmp_path / "film.mp4", images, 24, 1.0)
    strips(edit).new_movie("film", str(movie), 1, 101)
    movie.unlink()
    with pytest.raises(BadInput, match=r"“film” has lost its file .*film\.mp4"):
        shown()
    strips(edit)[0].mute = True
    media.add_images(edit, images, 101)
    assert shown(end=105) == [1, 2, 3, 4, 5]  # a muted strip may have lost what it wants


def test_a_scene_strip_without_camera(edit: bpy.types.Scene) -> None:
    strips(edit).new_scene("shot", bpy.data.scenes.new("shot"), 1, 101)
    with pytest.raises(BadInput, match="which has no camera"):
        shown()


def test_choosing(edit: bpy.types.Scene, images: list[Path]) -> None:
    span = FrameRange(101, 120)
    with pytest.raises(BadInput, match="no camera"):
        capture.choose_route(edit, span, window=False)
    media.add_colour(edit, 2, 101, 10)
    assert capture.choose_route(edit, span, window=False).route == "sequencer"  # there is nothing else
    coded_scene.build(edit, 101, 140)
    assert capture.choose_route(edit, span, window=False).route == "render"
    media.add_images(edit, images, 101)
    assert capture.choose_route(edit, span, window=False).route == "sequencer"
    assert capture.choose_route(edit, FrameRange(301, 320), window=False).route == "render"
    edit.render.use_sequencer = False
    assert capture.choose_route(edit, span, window=False).route == "render"
    assert all(capture.choose_route(edit, span, window=False))  # each with its reason


def test_a_picture_waits_until_our_thread_is_at_rest(
    edit: bpy.types.Scene, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rendering while Python runs elsewhere crashed Blender; so a tick without rest changes nothing."""
    media.add_images(edit, images, 101)

    class Busy:
        asked = 0

        @contextlib.contextmanager
        def held(self, patience_s: float) -> Iterator[bool]:
            self.asked += 1
            yield self.asked % 3 == 0

    class Session:
        client = Busy()

    monkeypatch.setattr(live, "session", Session)
    running = capture.begin(bpy.context, CaptureOptions(route="sequencer", per_second=2, side=48))
    ticks = 1
    while running.step():
        ticks += 1
    frames, _ = running.finish()
    assert Session.client.asked == ticks == 3 * len(frames)
