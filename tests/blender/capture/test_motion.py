# SPDX-License-Identifier: GPL-3.0-or-later
"""Small grey pictures of every frame come out of the same pass as the pictures for the models."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.capture import capture
from footfall.addon.host.capture import jobs as capturing
from footfall.addon.host.capture.capture import CaptureOptions
from footfall.tests.blender import media
from footfall.tests.blender.traces import changes, snapshot
from footfall.tests.blender.tracks import coded_scene

FRAMES = 14


@pytest.fixture
def edit(tmp_path: Path) -> bpy.types.Scene:
    """A sequence of pictures that show 1, 2, 3, ... from frame 101."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 101, 100 + FRAMES
    scene.render.resolution_x, scene.render.resolution_y = media.WIDTH, media.HEIGHT
    scene.view_settings.view_transform = "Standard"
    scene.sequence_editor_create()
    media.add_images(scene, media.write_images(tmp_path, range(1, FRAMES + 1)), 101)
    return scene


def taken(**more: Any) -> tuple[np.ndarray, capture.Capture]:
    before = snapshot()
    wanted = {"route": "sequencer", "per_second": 4, "side": 48, "engine": "cycles"} | more
    running = capture.begin(bpy.context, CaptureOptions(**wanted))
    steps = 1
    while running.step():
        steps += 1
    frames, times_s = running.finish()
    assert not changes(before, snapshot())
    assert len(frames) == len(times_s) == len(running.times)
    grey = () if running.motion is None else running.motion.grey
    assert max(len(frames), len(grey)) <= steps <= FRAMES
    return frames, running


def number(grey: np.ndarray) -> int:
    return coded_scene.decode(np.repeat(grey[:, :, None], 3, 2))


@pytest.mark.parametrize("motion", ["footage", "always"])
def test_every_frame_once(edit: bpy.types.Scene, motion: str) -> None:
    edit.render.fps, edit.render.fps_base = 24, 1.001
    frames, running = taken(motion=motion)
    plain, _ = taken()
    assert np.array_equal(frames, plain)
    assert running.motion is not None
    assert [number(grey) for grey in running.motion.grey] == list(range(1, FRAMES + 1))
    assert running.motion.plan.rate == Fraction(24000, 1001)


def test_many_frames_a_second_are_thinned_out(edit: bpy.types.Scene) -> None:
    edit.render.fps = 120
    frames, running = taken(motion="footage", per_second=24)
    assert running.motion is not None
    assert [number(grey) for grey in running.motion.grey] == list(range(1, FRAMES + 1, 2))
    assert running.motion.plan.rate == 60
    assert [coded_scene.decode(picture) for picture in frames] == [
        1 + int(time * 120) for time in running.times
    ]


def test_only_when_asked(edit: bpy.types.Scene) -> None:
    assert taken()[1].motion is None
    for strip in sequencer.all_strips(edit):
        strip.mute = True
    coded_scene.build(edit, 101, 104)
    _, running = taken(route="render", motion="footage")
    assert running.motion is None
    _, running = taken(route="render", motion="always")
    assert running.motion is not None
    assert [number(grey) for grey in running.motion.grey] == [101, 102, 103, 104]


@pytest.mark.parametrize(
    ("hits", "settings", "motion"),
    [
        ("pixels", {"layers": ("spots",)}, "always"),
        ("pixels", {"layers": (), "events": ()}, "always"),
        ("pixels", {"layers": ("bed",)}, "never"),
        ("pixels", {"layers": ("spots",), "events": ()}, "never"),
        ("scene", {"layers": ("bed", "spots")}, "footage"),
        ("scene", {"layers": ("bed",), "hard_cuts": True}, "footage"),
        ("scene", {"layers": ("bed",)}, "never"),
        ("markers", {"layers": ("spots",)}, "never"),
    ],
)
def test_when_pictures_of_every_frame_are_asked_for(hits: str, settings: dict[str, Any], motion: str) -> None:
    assert capturing._motion(SimpleNamespace(hits=hits, settings=settings, source="auto")) == motion  # type: ignore[arg-type]
