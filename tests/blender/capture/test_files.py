# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that are already rendered: images and movies, whole, stepped, stale, missing and damaged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host.capture import capture
from footfall.addon.host.capture import files as capture_files
from footfall.addon.host.capture.capture import CaptureOptions
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.errors import BadInput
from footfall.tests.blender import media
from footfall.tests.blender.traces import changes, snapshot
from footfall.tests.blender.tracks import coded_scene

FIRST, LAST = 101, 124


@pytest.fixture
def shot(tmp_path: Path) -> bpy.types.Scene:
    """A saved file whose frames can be rendered in no time."""
    bpy.ops.wm.read_factory_settings(
        use_empty=True
    )  # in background, an undo step counts as a change for ever
    scene = coded_scene.build(bpy.context.scene, FIRST, LAST)
    scene.render.resolution_x, scene.render.resolution_y = media.WIDTH, media.HEIGHT
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.use_denoising = False
    scene.render.filepath = "//renders of it/shot_####"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"), check_existing=False)
    return scene


def render(scene: bpy.types.Scene) -> None:
    bpy.ops.render.render(animation=True)
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)


def as_film(scene: bpy.types.Scene) -> None:
    media.film_output(scene, Path("//film"))
    scene.render.filepath = "//film_"
    bpy.ops.wm.save_mainfile()


def taken(**more: Any) -> tuple[list[int], np.ndarray, capture.Capture]:
    before = snapshot()
    wanted = {"route": "rendered", "per_second": 100, "side": 48} | more
    running = capture.begin(bpy.context, CaptureOptions(**wanted))
    while running.step():
        pass
    frames, _ = running.finish()
    assert not changes(before, snapshot())
    return [coded_scene.decode(picture) for picture in frames], frames, running


def test_rendered_images_are_read(shot: bpy.types.Scene) -> None:
    render(shot)
    found, frames, running = taken()
    assert found == list(range(FIRST, LAST + 1))
    assert frames.shape == (24, 48, 85, 3)
    assert [float(time) for time in running.times] == [number / 24 for number in range(24)]


def test_only_rendered_steps_are_read_at_their_own_times(shot: bpy.types.Scene) -> None:
    shot.frame_step = 5
    render(shot)
    found, _, running = taken()
    assert found == [101, 106, 111, 116, 121]
    assert [float(time * 24) for time in running.times] == [0, 5, 10, 15, 20]


@pytest.mark.parametrize(("fps", "base"), [(24, 1.0), (24, 1.001), (60, 1.001), (25, 1.0)])
def test_a_rendered_film_is_read(shot: bpy.types.Scene, fps: int, base: float) -> None:
    shot.render.fps, shot.render.fps_base = fps, base
    as_film(shot)
    render(shot)
    found, _, running = taken(start=105)
    assert found == list(range(105, LAST + 1))
    assert running.rate.per_second == Rate(fps, base).per_second


def test_a_film_rendered_in_steps(shot: bpy.types.Scene) -> None:
    shot.frame_step = 3
    as_film(shot)
    render(shot)
    found, _, running = taken()
    assert found == list(range(FIRST, LAST + 1, 3))
    assert running.times[1] * 24 == 3


def test_linear_files_get_the_scenes_view(shot: bpy.types.Scene) -> None:
    """Half light in an EXR must come out as it does in a PNG."""
    shot.render.image_settings.file_format = "OPEN_EXR"
    shot.view_settings.exposure = -2.0
    bpy.ops.wm.save_mainfile()
    render(shot)
    _, frames, _ = taken(end=FIRST)
    assert int(frames.max()) == pytest.approx(137, abs=2)  # a quarter of the light, encoded


def test_pngs_keep_the_view_that_is_in_them(shot: bpy.types.Scene) -> None:
    shot.view_settings.exposure = -2.0
    bpy.ops.wm.save_mainfile()
    render(shot)
    _, frames, _ = taken(end=FIRST)
    assert int(frames.max()) == pytest.approx(137, abs=2)


def route(scene: bpy.types.Scene, first: int = FIRST, last: int = LAST) -> str:
    return capture.choose_route(scene, FrameRange(first, last), window=False).route


def test_fresh_frames_are_chosen_without_asking(shot: bpy.types.Scene) -> None:
    assert route(shot) == "render"
    render(shot)
    assert capture_files.why_not_fresh(shot, FrameRange(FIRST, LAST)) == ""
    assert route(shot) == "rendered"
    assert route(shot, FIRST, LAST + 1) == "render"  # one is missing
    os.utime(bpy.data.filepath)
    saved = os.stat(bpy.data.filepath).st_mtime
    os.utime(shot.render.frame_path(frame=110), (saved - 60, saved - 60))
    assert route(shot) == "render"
    assert "older" in capture_files.why_not_fresh(shot, FrameRange(FIRST, LAST))


def test_an_empty_file_is_not_fresh(shot: bpy.types.Scene) -> None:
    render(shot)
    Path(shot.render.frame_path(frame=110)).write_bytes(b"")
    assert route(shot) == "render"


def test_an_unsaved_file_has_nothing_fresh() -> None:
    scene = coded_scene.build(bpy.context.scene, FIRST, LAST)
    assert "changes" in capture_files.why_not_fresh(scene, FrameRange(FIRST, LAST))
    assert route(scene) == "render"


def test_missing_frames_are_named(shot: bpy.types.Scene) -> None:
    with pytest.raises(BadInput, match=r"shot_0101\.png is not rendered yet .*render the range first"):
        taken()
    render(shot)
    Path(shot.render.frame_path(frame=110)).unlink()
    with pytest.raises(BadInput, match=r"shot_0110\.png is not rendered yet"):
        taken()


def test_a_missing_film_is_named(shot: bpy.types.Scene) -> None:
    as_film(shot)
    with pytest.raises(BadInput, match=r"film_0101-0124\.mp4 is not rendered yet"):
        taken()


def test_damaged_files_end_in_a_sentence(shot: bpy.types.Scene) -> None:
    render(shot)
    Path(shot.render.frame_path(frame=FIRST)).write_bytes(b"no picture")
    before = snapshot()
    with pytest.raises(BadInput, match=r"cannot read shot_0101\.png"):
        taken()
    as_film(shot)
    Path(shot.render.frame_path()).write_bytes(b"no film")
    with pytest.raises(BadInput, match=r"cannot read film_0101-0124\.mp4"):
        taken()
    assert snapshot()["files"] == before["files"]
    assert len(bpy.data.scenes) == 1


def test_a_film_of_another_length_is_refused(shot: bpy.types.Scene, tmp_path: Path) -> None:
    as_film(shot)
    images = media.write_images(tmp_path / "images", range(1, 6))
    media.write_movie(Path(shot.render.frame_path()), images, 24, 1.0)
    with pytest.raises(BadInput, match="has 5 pictures, the scene 24"):
        taken()


def test_a_range_beyond_the_film_is_refused(shot: bpy.types.Scene) -> None:
    as_film(shot)
    render(shot)
    with pytest.raises(BadInput, match="does not cover this range"):
        taken(end=LAST + 1)
