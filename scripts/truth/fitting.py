# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.scripts.truth.fitting --seeds 2000-2023 --pictures DIR``: what speaks for a hit in
pictures, weighed by logistic regression on scenes whose hits are known. Held-out seeds are refused.

Prints the weights of ``server/vision/judging.py``, and how many true and false hits each threshold would tell
of scenes that the weights were not fitted to (a fifth at a time).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from footfall.server.vision.cuts import cut_pictures
from footfall.server.vision.hits import Seen, may_hit
from footfall.server.vision.judging import WEIGHTS
from footfall.server.vision.look import look_at
from PIL import Image

from .lines import scene_arguments
from .model import HELD_OUT, Truth, from_json
from .process import in_blender, scene_words

NEAR_S, NEAR = 0.05, 0.22  # seconds, of the picture's height: a turn as close as this to a hit is that hit
AROUND_S = 0.1  # as close as this to what may be told, nobody says that it is false
FOLDS = 5
SHRINK = 2.0
ROUNDS = 40
THRESHOLDS = (-2.2, -2.0, -1.8, -1.6, -1.4, -1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """One scene's turns. signs: (N, S); true: (N,) 1 for a hit, 0 for none, -1 for one that may be told."""

    seed: int
    wanted: int
    signs: np.ndarray
    true: np.ndarray


def rows_of(grey: np.ndarray, truth: Truth, places: list[tuple[float, float]]) -> Rows:
    """grey: (T, h, w) uint8, all pictures of the scene; places: of the hits, across and down, 0 to 1."""
    look = look_at(grey)
    seen = [
        replace(one, time=one.time + first)
        for first, end in itertools.pairwise([0, *cut_pictures(look), len(grey)])
        for one in may_hit(replace(look, grey=grey[first:end]))
    ]
    wide = grey.shape[2] / grey.shape[1]
    at = dict(zip(map(id, truth.hits), places, strict=True))
    wanted = truth.wanted()
    true = np.array([_maybe(one, truth) for one in seen], int)
    for hit in wanted:
        across, down = at[id(hit)]
        near = [
            number
            for number, one in enumerate(seen)
            if abs(one.time / truth.per_second - hit.time_s) < NEAR_S
            and math.dist((across * wide, down), np.array(one.place) / look.height) < NEAR
        ]
        true[near] = 0  # only one of them is to be told
        if near:
            true[max(near, key=lambda number: seen[number].odds)] = 1
    signs = np.array([one.signs for one in seen]).reshape(-1, len(WEIGHTS))
    return Rows(truth.seed, len(wanted), signs, true)


def _maybe(one: Seen, truth: Truth) -> int:
    time_s = one.time / truth.per_second
    return -any(abs(hit.time_s - time_s) < AROUND_S for hit in truth.hits if hit.may)


def fit(signs: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, float]:
    """(weights, bias) of (N, S) signs of what is true (1) or not (0), by Newton's method."""
    middle, spread = signs.mean(0), signs.std(0) + 1e-9
    known = np.hstack([np.ones((len(signs), 1)), (signs - middle) / spread])
    shrink = SHRINK * np.eye(known.shape[1])
    shrink[0, 0] = 0.0
    found = np.zeros(known.shape[1])
    for _ in range(ROUNDS):
        chance = 1.0 / (1.0 + np.exp(-known @ found))
        bend = known.T @ (known * (chance * (1.0 - chance) + 1e-6)[:, None]) + shrink
        found += np.linalg.solve(bend, known.T @ (true - chance) - shrink @ found)
    weights = found[1:] / spread
    return weights, float(found[0] - weights @ middle)


def _scenes(words: list[str], out: Path) -> Iterator[Rows]:
    for scene in in_blender("pictures", "--out", str(out), *words):
        truth = from_json(scene["truth"])
        grey = np.stack(
            [np.asarray(Image.open(path)) for path in sorted(Path(scene["folder"]).glob("*.png"))]
        )
        yield rows_of(grey, truth, scene["places"])


def main() -> int:
    parser = scene_arguments("footfall.scripts.truth.fitting", __doc__, range(2000, 2024))
    parser.add_argument("--pictures", type=Path, required=True, metavar="DIR", help="where pictures are kept")
    options = parser.parse_args()
    if set(options.seeds) & set(HELD_OUT):
        parser.error("These seeds are held out; nothing may be fitted to them.")
    scenes = list(_scenes(scene_words(options), options.pictures))
    told: list[np.ndarray] = []
    for scene in scenes:
        others = [one for one in scenes if one.seed % FOLDS != scene.seed % FOLDS] or scenes
        weights, bias = fit(*_joined(others))
        told.append(scene.signs @ weights + bias)
    wanted = sum(scene.wanted for scene in scenes)
    true, odds = np.concatenate([scene.true for scene in scenes]), np.concatenate(told)
    for threshold in THRESHOLDS:
        above = true[odds > threshold]
        print(
            f"{threshold:5.1f}: {100 * (above == 1).sum() / wanted:.1f} % found, {(above == 0).sum()} false"
        )
    weights, bias = fit(*_joined(scenes))
    for name, weight in zip(WEIGHTS, weights, strict=True):
        print(f"{name} {weight:.2f}")
    print(f"bias {bias:.2f}")
    return 0


def _joined(scenes: list[Rows]) -> tuple[np.ndarray, np.ndarray]:
    signs, true = np.concatenate([one.signs for one in scenes]), np.concatenate([one.true for one in scenes])
    return signs[true >= 0], true[true >= 0]


if __name__ == "__main__":
    raise SystemExit(main())
