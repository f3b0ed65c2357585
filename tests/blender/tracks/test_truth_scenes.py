# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth of the truth scenes: what is said to hit does, nothing else does, and a seed is a scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from footfall.scripts.truth import checking, rigid
from footfall.scripts.truth.long import make_long
from footfall.scripts.truth.make import make
from footfall.scripts.truth.model import GRAVITY, KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_the_whole_truth(kind: str) -> None:
    scene, truth = make(kind, 2)
    assert checking.faults(scene, truth) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_truth_is_the_whole_truth_of_more_scenes(kind: str) -> None:
    for seed in range(10, 16):
        scene, truth = make(kind, seed)
        assert checking.faults(scene, truth) == [], seed


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_a_scene(kind: str) -> None:
    first, again, other = make(kind, 3)[1], make(kind, 3)[1], make(kind, 4)[1]
    assert first == again
    assert first.hits != other.hits


def test_a_wrong_truth_is_noticed() -> None:
    scene, truth = make("keyed", 2)
    hits = truth.wanted()
    assert checking.faults(scene, replace(truth, hits=(replace(hits[0], gap=0.1), *hits[1:])))
    assert checking.faults(scene, replace(truth, hits=tuple(hits[1:])))
    assert "nothing hits" in checking.faults(scene, replace(truth, hits=()))


def test_a_falling_ball_is_pushed_when_it_lands() -> None:
    """A ball's steps by hand: it falls for 50, lands between two, and springs back at half the speed."""
    step_s, places, speed, z = 1 / 240, [], 0.0, 0.5
    for _ in range(120):
        places.append((0.0, 0.0, z))
        speed -= GRAVITY * step_s
        if z + speed * step_s < 0.0:
            speed *= -0.5
        z += speed * step_s
    landed = next(n for n in range(1, 120) if places[n][2] > places[n - 1][2])
    found = rigid.pushes(np.array(places), step_s)
    assert found[0][0] == landed - 1
    assert found[0][1] == pytest.approx(1.5 * (2 * GRAVITY * 0.5) ** 0.5, rel=0.05)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_soft_touch_counts_in_one_step_or_in_two(steps: int) -> None:
    """A ball sinks at 0.4 m/s and is then held up, the push spread over the solver's steps."""
    step_s, start = 1 / 240, 30
    speeds = [-0.4] * start + [-0.4 * (1 - n / steps) for n in range(1, steps + 1)] + [0.0] * 30
    falls = np.cumsum([-GRAVITY * step_s] * start + [0.0] * (30 + steps))
    heights = np.cumsum([0.0, *(np.array(speeds) + falls - falls[start - 1]) * step_s])
    places = np.zeros((len(heights), 3))
    places[:, 2] = np.where(np.arange(len(heights)) > start + steps, heights[start + steps], heights)
    found = rigid.pushes(places, step_s)
    assert [step for step, _ in found] == [start]
    assert found[0][1] == pytest.approx(0.4, rel=0.25)


def test_the_long_shot_has_its_hits_and_keeps_them_apart() -> None:
    _, truth = make_long(5, hits=40, seconds=60.0)
    assert len(truth.wanted()) == 40
    assert truth.duration_s == pytest.approx(60.0, abs=0.05)
    assert max(abs(hit.gap) for hit in truth.hits) < checking.TOUCH
