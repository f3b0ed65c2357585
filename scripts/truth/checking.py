# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a truth is true, and the whole truth: every meeting is found by trying, slowly.

All pairs of which one moves are measured many times a frame, by their surfaces. A meeting is where a gap that
was open closes while the two come on; what no true hit explains is told.
"""

from __future__ import annotations

import itertools

import bpy
import numpy as np

from .model import AUDIBLE, Truth
from .stage import Stage

TOUCH = 0.002  # metres: a true hit's surfaces are no further apart
OPEN, SHUT = 0.004, 0.001  # metres
STEP_S = 1.0 / 240.0


def faults(scene: bpy.types.Scene, truth: Truth) -> list[str]:
    """What is wrong: nothing hits, a hit whose things are apart, or a meeting that the truth does not know.

    A simulation has whole frames only, and its truth was taken from its own steps: nothing is tried there.
    """
    wrong = [] if truth.wanted() else ["nothing hits"]
    if truth.kind == "rigid":
        return wrong
    wrong += [
        f"{hit.who} and {hit.against} are {hit.gap * 1000:.1f} mm apart at {hit.time_s:.3f} s"
        for hit in truth.hits
        if hit.must and not hit.baked and abs(hit.gap) > TOUCH
    ]
    return wrong + unexplained(scene, truth)


def unexplained(scene: bpy.types.Scene, truth: Truth) -> list[str]:
    """Meetings of two things, both rendered, faster than what must be told, that the truth does not know."""
    things = [one for one in scene.objects if one.type == "MESH" and not one.hide_render]
    boxes, times = _boxes(scene, things, truth)
    found = []
    for one, other in itertools.combinations(range(len(things)), 2):
        if not (np.ptp(boxes[:, one], axis=0).any() or np.ptp(boxes[:, other], axis=0).any()):
            continue
        for step in _meets(boxes, one, other):
            name, partner = things[one].name, things[other].name
            speed = _speed(scene, truth, (name, partner), times[step])
            told = any(
                {hit.who, hit.against} == {name, partner} and abs(hit.time_s - times[step]) < 0.03
                for hit in truth.hits
            )
            if speed > AUDIBLE and not told:
                found.append(f"{name} meets {partner} at {times[step]:.3f} s, {speed:.2f} m/s")
    return found


def _boxes(
    scene: bpy.types.Scene, things: list[bpy.types.Object], truth: Truth
) -> tuple[np.ndarray, np.ndarray]:
    """(steps, things, 2, 3) lowest and highest corners in the world, (steps,) seconds."""
    times = np.arange(0.0, truth.duration_s, STEP_S)
    boxes = np.zeros((len(times), len(things), 2, 3))
    for step, time_s in enumerate(times):
        depsgraph = _go(scene, truth, float(time_s))
        for number, thing in enumerate(things):
            corners = Stage.shape(thing.name, depsgraph)[0]
            boxes[step, number] = corners.min(axis=0), corners.max(axis=0)
    return boxes, times


def _meets(boxes: np.ndarray, one: int, other: int) -> list[int]:
    """Steps at which two boxes begin to touch, having been apart."""
    gap = np.maximum(boxes[:, one, 0] - boxes[:, other, 1], boxes[:, other, 0] - boxes[:, one, 1]).max(axis=1)
    steps, apart = [], False
    for step, width in enumerate(gap):
        if width > OPEN:
            apart = True
        elif width <= SHUT and apart:
            steps.append(step)
            apart = False
    return steps


def _speed(scene: bpy.types.Scene, truth: Truth, pair: tuple[str, str], time_s: float) -> float:
    """How fast the surfaces come upon each other just before, m/s; 0 where only the boxes touch."""
    gaps = [
        Stage.gap(*pair, _go(scene, truth, max(time_s + step * STEP_S, 0.0)))[0] for step in (-3, -2, -1, 0)
    ]
    return max(gaps[1] - gaps[2], gaps[0] - gaps[1]) / STEP_S if min(gaps) < OPEN else 0.0


def _go(scene: bpy.types.Scene, truth: Truth, time_s: float) -> bpy.types.Depsgraph:
    frame = truth.start + time_s * truth.per_second
    scene.frame_set(int(frame // 1), subframe=frame % 1)
    return scene.view_layers[0].depsgraph
