# SPDX-License-Identifier: GPL-3.0-or-later
"""Small renders in background: every picture shows the frame that it claims, and nothing else changes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host.capture import capture
from footfall.addon.host.capture import quick as capture_quick
from footfall.addon.host.capture import stage as capture_stage
from footfall.addon.host.capture.capture import CaptureOptions
from footfall.addon.timeline import Rate
from footfall.addon.wire.errors import BadInput, Cancelled
from footfall.tests.blender.traces import changes, snapshot
from footfall.tests.blender.tracks import coded_scene

SIDE = 48
RATES = [
    (24, 1.001),
    (24, 1.0),
    (25, 1.0),
    (30, 1.001),
    (30, 1.0),
    (60, 1.001),
    (60, 1.0),
    (24, 0.5),
    (10, 3.3333),
]


def options(**more: Any) -> CaptureOptions:
    return CaptureOptions(**({"route": "render", "engine": "cycles", "side": SIDE} | more))


def run(wanted: CaptureOptions) -> tuple[capture.Capture, np.ndarray, np.ndarray]:
    running = capture.begin(bpy.context, wanted)
    fractions = [running.progress]
    while running.step():
        fractions.append(running.progress)
    assert fractions == sorted(fractions)
    assert running.progress == 1.0
    return running, *running.finish()


@pytest.fixture
def coded() -> bpy.types.Scene:
    return coded_scene.build(bpy.context.scene, 101, 400)


@pytest.mark.parametrize(("fps", "base"), RATES)
def test_each_picture_shows_the_frame_of_its_time(coded: bpy.types.Scene, fps: int, base: float) -> None:
    coded.render.fps, coded.render.fps_base = fps, base
    running, frames, times_s = run(options(per_second=3.0 if fps > 12 else 1.0))
    rate = Rate(fps, Fraction(str(base)) if base != 1.001 else Fraction(1001, 1000))
    assert running.rate == rate
    assert running.duration_s == rate.seconds(300)
    assert len(frames) == len(times_s) >= 9
    assert (np.diff(times_s) > 0).all()
    for picture, time_s, exact in zip(frames, times_s, running.times, strict=True):
        assert time_s == pytest.approx(float(exact), abs=1e-12)
        assert coded_scene.decode(picture) == 101 + rate.frames(exact)


def test_time_remapping_shows_the_remapped_animation_at_the_same_time(coded: bpy.types.Scene) -> None:
    coded.render.frame_map_old, coded.render.frame_map_new = 100, 200
    coded.frame_start, coded.frame_end = 220, 319
    running, frames, _ = run(options(per_second=4))
    for picture, exact in zip(frames, running.times, strict=True):
        assert coded_scene.decode(picture) == int(220 + exact * 24) // 2


def test_frame_step_changes_no_time(coded: bpy.types.Scene) -> None:
    coded.frame_step = 7
    running, frames, _ = run(options(end=150, per_second=8))
    for picture, exact in zip(frames, running.times, strict=True):
        assert coded_scene.decode(picture) == 101 + exact * 24


def test_more_pictures_than_frames_gives_each_frame_once(coded: bpy.types.Scene) -> None:
    _, frames, times_s = run(options(end=110, per_second=100))
    assert [coded_scene.decode(picture) for picture in frames] == list(range(101, 111))
    assert times_s[0] == 0.0


def test_the_preview_range_is_taken_when_it_is_on(coded: bpy.types.Scene) -> None:
    coded.use_preview_range = True
    coded.frame_preview_start, coded.frame_preview_end = 201, 212
    running, frames, _ = run(options(per_second=100))
    assert running.span.start == 201
    assert [coded_scene.decode(picture) for picture in frames] == list(range(201, 213))


def test_workbench_shows_the_same(coded: bpy.types.Scene) -> None:
    _, frames, _ = run(options(end=140, engine="workbench", per_second=2))
    assert [coded_scene.decode(picture) for picture in frames] == [106, 116, 126, 136]


def test_size_and_aspect_are_the_scene_cameras(coded: bpy.types.Scene) -> None:
    coded.render.resolution_percentage = 17
    coded.render.pixel_aspect_x = 2.0
    _, frames, _ = run(options(end=101))
    assert frames.shape == (1, 48, 171, 3)
    assert coded_scene.decode(frames[0]) == 101


def test_a_marker_switches_the_camera(coded: bpy.types.Scene) -> None:
    blind = bpy.data.objects.new("blind", bpy.data.cameras.new("blind"))
    blind.location.z = -50.0
    coded.collection.objects.link(blind)
    for frame, camera in ((101, coded.camera), (106, blind)):
        coded.timeline_markers.new("cut", frame=frame).camera = camera
    _, frames, _ = run(options(end=110, per_second=100))
    assert coded_scene.decode(frames[0]) == 101
    assert frames[7].max() == 0
    assert coded.camera.name == "camera"


def test_a_camera_that_is_chosen_meanwhile_stays(coded: bpy.types.Scene) -> None:
    """Only what markers have switched is switched back."""
    mine = bpy.data.objects.new("mine", bpy.data.cameras.new("mine"))
    coded.collection.objects.link(mine)
    running = capture.Capture(coded, options(end=105))
    running.step()
    coded.camera = mine
    running.abort()
    assert coded.camera == mine


def prepare(scene: bpy.types.Scene) -> None:
    """Settings that a careless capture would spoil."""
    scene.frame_set(123, subframe=0.25)
    scene.render.filepath = "//mine/####"
    scene.render.resolution_percentage = 63
    scene.render.use_stamp = True
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.cycles.samples = 77
    scene.sequence_editor_create()
    bit = scene.objects["bit 3"]
    bit.select_set(True)
    scene.view_layers[0].objects.active = bit
    bit.location.y = 1.5
    bit.keyframe_insert("location", index=1, frame=123)
    bit.location.y = 1.25  # posed, not keyed
    bit.rotation_euler.z = 0.5
    scene.view_layers[0].update()


ENDINGS = ["finish", "abort", "camera gone", "scene gone"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_is_as_before(coded: bpy.types.Scene, ending: str) -> None:
    prepare(coded)
    other = bpy.data.scenes.new("other")
    before = snapshot()
    running = capture.begin(bpy.context, options(per_second=1))
    running.step()
    if ending == "finish":
        while running.step():
            pass
        running.finish()
    elif ending == "abort":
        running.abort()
        running.abort()
        with pytest.raises(Cancelled):
            running.step()
    elif ending == "camera gone":
        bpy.data.objects.remove(coded.camera)
        with pytest.raises(BadInput, match="no camera"):
            running.step()
        with pytest.raises(BadInput, match="no camera"):  # and again
            running.step()
        assert {scene.name for scene in bpy.data.scenes} == {"Scene", "other"}
        assert coded.frame_current == 123
        assert coded.objects["bit 3"].location.y == 1.25
        return
    else:
        bpy.context.window.scene = other
        bpy.data.scenes.remove(coded)
        with pytest.raises(BadInput, match="is gone"):
            running.step()
        assert [scene.name for scene in bpy.data.scenes] == ["other"]
        assert snapshot()["files"] == before["files"]
        return
    assert not changes(before, snapshot())


def test_opening_another_file_ends_the_capture_in_words(coded: bpy.types.Scene) -> None:
    running = capture.begin(bpy.context, options())
    running.step()
    files = snapshot()["files"]
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert len(snapshot()["files"]) == len(files) - 1
    with pytest.raises(BadInput, match="Another file"):
        running.step()
    running.abort()


def test_saving_during_a_capture_saves_the_users_frame(coded: bpy.types.Scene, tmp_path: Any) -> None:
    prepare(coded)
    running = capture.begin(bpy.context, options(per_second=1))
    running.step()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"), copy=True, check_existing=False)
    while running.step():
        pass
    running.finish()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert bpy.context.scene.frame_current == 123
    assert bpy.context.scene.frame_subframe == 0.25


def test_no_undo_step_is_left(coded: bpy.types.Scene) -> None:
    coded.objects["bit 0"].location.z = 1.0
    bpy.ops.ed.undo_push(message="one")
    coded.objects["bit 0"].location.z = 2.0
    bpy.ops.ed.undo_push(message="two")
    run(options(end=110))
    bpy.ops.ed.undo()
    assert bpy.context.scene.objects["bit 0"].location.z == 1.0


def test_undo_during_a_capture_does_no_harm(coded: bpy.types.Scene) -> None:
    bpy.ops.ed.undo_push(message="one")
    coded.objects["bit 0"].location.z = 0.5
    bpy.ops.ed.undo_push(message="two")
    running = capture.begin(bpy.context, options(per_second=1))
    running.step()
    bpy.ops.ed.undo()
    while running.step():
        pass
    frames, times_s = running.finish()
    assert coded_scene.decode(frames[-1]) == 101 + round(times_s[-1] * 24)
    assert len(bpy.data.scenes) == 1


@pytest.mark.skipif(bpy.app.version < (4, 3), reason="4.2 cannot render from a throwaway scene")
def test_the_render_result_is_the_users(coded: bpy.types.Scene, tmp_path: Any) -> None:
    coded.render.engine = "CYCLES"
    coded.cycles.samples = 1
    coded.frame_set(255)
    bpy.ops.render.render()
    result = bpy.data.images["Render Result"]
    result.save_render(str(tmp_path / "before.png"), scene=coded)
    run(options(end=110))
    bpy.data.images["Render Result"].save_render(str(tmp_path / "after.png"), scene=coded)
    assert (tmp_path / "before.png").read_bytes() == (tmp_path / "after.png").read_bytes()


def test_unbaked_physics_is_played_first(coded: bpy.types.Scene) -> None:
    """A falling square is out of sight at the end; jumping over frames would leave it hanging."""
    square = coded.objects["bit 0"]
    square.animation_data_clear()
    square.location = (-6.4, 2.0, 0.0)
    coded.gravity = (0.0, -9.81, 0.0)
    bpy.context.view_layer.objects.active = square
    bpy.ops.rigidbody.object_add(type="ACTIVE")
    coded.rigidbody_world.point_cache.frame_start = 101
    before = snapshot()
    running, frames, _ = run(options(end=160, per_second=1))
    assert running.progress == 1.0
    assert coded_scene.decode(frames[-1]) & 1 == 0
    assert frames[0][:, :20].max() == 255
    assert not coded.rigidbody_world.point_cache.is_baked
    assert not changes(before, snapshot())


@pytest.mark.parametrize("wanted", [(120, 110), (120, 119)])
def test_an_empty_range_is_refused(coded: bpy.types.Scene, wanted: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="empty"):
        capture.begin(bpy.context, options(start=wanted[0], end=wanted[1]))


def test_too_long_a_range_is_refused(coded: bpy.types.Scene) -> None:
    with pytest.raises(BadInput, match="20 minutes"):
        capture.begin(bpy.context, options(start=1, end=24 * 1200 + 1))


def test_no_camera_is_refused(coded: bpy.types.Scene) -> None:
    coded.camera = None
    for route in ("auto", "render"):
        with pytest.raises(BadInput, match="no camera; add one"):
            capture.begin(bpy.context, options(route=route))


def test_a_linked_scene_is_refused(coded: bpy.types.Scene, tmp_path: Any) -> None:
    path = str(tmp_path / "library.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path, copy=True, check_existing=False)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(path, link=True) as (_, wanted):
        wanted.scenes = ["Scene"]
    linked = next(scene for scene in bpy.data.scenes if scene.library)
    with pytest.raises(BadInput, match="linked from another file"):
        capture.Capture(linked, options())


def test_wrong_names_are_refused(coded: bpy.types.Scene) -> None:
    with pytest.raises(BadInput, match="no scene “elsewhere”"):
        capture.begin(bpy.context, options(scene="elsewhere"))
    with pytest.raises(BadInput, match="no source"):
        capture.begin(bpy.context, options(route="dream"))
    if bpy.app.background:
        with pytest.raises(BadInput, match="no window"):
            capture.begin(bpy.context, options(route="camera"))


@pytest.mark.parametrize("damage", [b"", b"\0" * 18, b"\0" * 100])
def test_a_picture_that_was_cut_short_is_noticed(damage: bytes) -> None:
    with pytest.raises(BadInput, match="cut short"):
        capture_stage.read_tga(damage)
    header = bytes([0, 0, 2, *[0] * 9, 2, 0, 2, 0, 24, 0])
    with pytest.raises(BadInput, match="cut short"):
        capture_stage.read_tga(header + bytes(11))


@pytest.mark.parametrize("top_first", [False, True])
def test_pictures_are_read_lowest_row_first(top_first: bool) -> None:
    header = bytes([0, 0, 2, *[0] * 9, 1, 0, 2, 0, 24, 0x20 if top_first else 0])
    pixels = capture_stage.read_tga(header + bytes([1, 2, 3, 4, 5, 6]))
    assert pixels.tolist() == ([[[6, 5, 4]], [[3, 2, 1]]] if top_first else [[[3, 2, 1]], [[6, 5, 4]]])


def test_the_engine_is_chosen_by_what_there_is(coded: bpy.types.Scene) -> None:
    assert capture_quick.pick_engine(coded, "workbench") == "BLENDER_WORKBENCH"
    assert capture_quick.pick_engine(coded, "cycles") == "CYCLES"
    expected = "BLENDER_WORKBENCH" if capture_quick.has_gpu() else "CYCLES"
    assert capture_quick.pick_engine(coded) == expected


def test_finishing_early_is_refused(coded: bpy.types.Scene) -> None:
    running = capture.begin(bpy.context, options())
    with pytest.raises(BadInput, match="Not all"):
        running.finish()
    running.abort()
