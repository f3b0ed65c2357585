# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo shot: contacts on the frames that it claims, something to see, and the same each time."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import bpy
import pytest
from footfall.addon.host.capture import capture
from footfall.addon.host.capture.state import action_curves
from footfall.addon.host.demo import shot as demo_shot
from footfall.addon.host.demo.shot import BALL, BLOCK, CAN, FPS, HITS, MARBLE, STEEL, TOP
from footfall.addon.host.hits import events
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.errors import SaveError
from footfall.tests.blender.traces import changes, snapshot

FALLS = [(hit, TOP) for hit in HITS if hit.thing in (BALL, STEEL)]
FALLS += [(hit, 0.0) for hit in HITS if hit.thing == BLOCK and hit.kind == "hit"]
FALLS += [(hit, TOP) for hit in HITS if hit.thing == CAN]


@pytest.fixture
def shot() -> bpy.types.Scene:
    scene = demo_shot.build()
    bpy.context.window.scene = scene
    bpy.context.evaluated_depsgraph_get()  # in background nothing else makes the scene move
    return scene


def corners(scene: bpy.types.Scene, name: str, frame: int, subframe: float = 0.0) -> list[tuple[float, ...]]:
    """Every vertex of an object in the world."""
    scene.frame_set(frame, subframe=subframe)
    thing = scene.objects[name]
    return [tuple(thing.matrix_world @ vertex.co) for vertex in thing.data.vertices]


def lowest(scene: bpy.types.Scene, name: str, frame: int, subframe: float = 0.0) -> float:
    return min(z for _, _, z in corners(scene, name, frame, subframe))


def test_falls_end_exactly_on_their_frames(shot: bpy.types.Scene) -> None:
    for hit, ground in FALLS:
        assert lowest(shot, hit.thing, hit.frame) == pytest.approx(ground, abs=0.002), hit
        if hit.thing == CAN:  # it stands on an edge while it tips; what falls is its top
            before, after = (max(z for _, _, z in corners(shot, CAN, hit.frame + by)) for by in (-1, 0))
            assert before - after > 0.02
            continue
        fallen = lowest(shot, hit.thing, hit.frame - 1) - lowest(shot, hit.thing, hit.frame - 1, 0.5)
        assert fallen > 0.003, hit  # metres in half a frame
        assert lowest(shot, hit.thing, hit.frame - 1, 0.9) > ground + 0.001, hit


def test_nothing_sinks_into_the_ground(shot: bpy.types.Scene) -> None:
    for frame in range(shot.frame_start, shot.frame_end + 1, 3):
        shot.frame_set(frame)
        for name, radius in ((BALL, 0.13), (STEEL, 0.1), (MARBLE, 0.055)):
            assert shot.objects[name].location.z >= TOP + radius - 1e-4


def test_the_steel_ball_pushes_the_block(shot: bpy.types.Scene) -> None:
    push = next(hit.frame for hit in HITS if hit.kind == "slide")
    shot.frame_set(push)
    ball, block = shot.objects[STEEL].location.x, shot.objects[BLOCK].location.x
    assert block - ball == pytest.approx(0.1 + 0.12, abs=1e-4)
    shot.frame_set(push - 1)
    assert shot.objects[BLOCK].location.x == pytest.approx(block, abs=1e-6)
    shot.frame_set(push + 1)
    assert shot.objects[BLOCK].location.x > block + 0.02


def test_the_marble_touches_the_can_on_its_frame(shot: bpy.types.Scene) -> None:
    hit = next(hit.frame for hit in HITS if hit.thing == MARBLE)
    edge = min(x for x, _, _ in corners(shot, CAN, hit))
    assert shot.objects[MARBLE].location.x + 0.055 == pytest.approx(edge, abs=1e-3)
    shot.frame_set(hit - 1)
    assert shot.objects[MARBLE].location.x + 0.055 < edge - 0.01


def test_markers_are_events_at_the_known_times(shot: bpy.types.Scene) -> None:
    span = FrameRange(shot.frame_start, shot.frame_end)
    found = events.read(shot, span, Rate(FPS))
    assert [(e.time_s, e.kind, e.words) for e in found] == [(h.time_s, h.kind, h.words) for h in HITS]
    assert [e.strength for e in found] == pytest.approx([h.strength for h in HITS])
    assert all(shot.objects[hit.thing] for hit in HITS)


def test_length_rate_and_start(shot: bpy.types.Scene) -> None:
    assert shot.frame_start != 1
    assert 6 <= (shot.frame_end - shot.frame_start + 1) / FPS <= 8
    assert (shot.render.fps, shot.render.fps_base) == (24, 1.0)


def test_it_touches_nothing_else_and_is_the_same_each_time() -> None:
    before = snapshot()["Scene"]
    first, second = motion(demo_shot.build()), motion(demo_shot.build())
    assert first == second
    assert not changes(before, snapshot()["Scene"])


def motion(scene: bpy.types.Scene) -> list[object]:
    found: list[object] = []
    for thing in scene.objects:
        curves = action_curves(thing.animation_data) if thing.animation_data else []
        keys = [(c.data_path, c.array_index, [tuple(p.co) for p in c.keyframe_points]) for c in curves]
        found.append((thing.name.partition(".")[0], tuple(thing.location), keys))
    return sorted(found, key=repr)


def test_it_can_be_seen(shot: bpy.types.Scene) -> None:
    """Neither dark nor burnt out nor dull, and something moves from picture to picture."""
    wanted = capture.CaptureOptions(route="render", engine="cycles", side=72, per_second=1)
    running = capture.begin(bpy.context, wanted)
    while running.step():
        pass
    frames, _ = running.finish()
    pictures = frames.astype(float)
    assert 45 < pictures.mean() < 150
    assert pictures.std() > 30
    for earlier, later in itertools.pairwise(pictures):
        assert abs(later - earlier).max(axis=2).reshape(-1).max() > 60


def test_preview_frames(shot: bpy.types.Scene, tmp_path: Path) -> None:
    shot.frame_set(150)
    before = snapshot()[shot.name]
    paths = demo_shot.render(shot, tmp_path / "frames", width=64, samples=1, frames=range(117, 134, 16))
    assert [path.name for path in paths] == ["0117.png", "0133.png"]
    assert all(path.stat().st_size > 500 for path in paths)
    assert len(list((tmp_path / "frames").iterdir())) == 2
    # Matrices are only made by the first evaluation, which is the render's.
    assert not [line for line in changes(before, snapshot()[shot.name]) if "/matrix_" not in line]


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_full_disk_is_told(shot: bpy.types.Scene, tmp_path: Path) -> None:
    from footfall.tests.fakes.small_disk import small_disk

    with small_disk(200), pytest.raises(SaveError, match="make room"):
        demo_shot.render(shot, tmp_path, width=64, samples=1, frames=range(117, 118))
