# SPDX-License-Identifier: GPL-3.0-or-later
"""One truth scene from its kind and seed: one to three acts, what only moves behind them, a camera."""

from __future__ import annotations

import random
from pathlib import Path

import bpy

from . import constrained, distractors, keyed, parented, rigid, rigs
from .model import Truth, rate_of
from .stage import Stage

ACTS = {
    "keyed": keyed.ACTS,
    "rigid": rigid.ACTS,
    "parented": parented.ACTS,
    "armature": rigs.ACTS,
    "constraint": constrained.ACTS,
}
APART = 1.3  # metres between two acts


def make(kind: str, seed: int, rate: str = "") -> tuple[bpy.types.Scene, Truth]:
    """A new file with the scene in it, and its truth. ``rate``: another than the seed's own."""
    chance = random.Random(f"{kind} {seed}")
    rate = rate or rate_of(kind, seed)
    stage = Stage(chance, rate, chance.uniform(2.8, 4.2))
    count = chance.randint(1, 3)
    places = [APART * (number - (count - 1) / 2) for number in range(count)]
    for x in places:
        act = chance.choice(ACTS[kind])
        begin = 0.0 if kind == "rigid" else chance.uniform(0.1, 0.3 * stage.duration_s)
        act(stage, x, begin, stage.duration_s - 0.15)
        stage.acts.append(act.__name__)
    for row, distractor in enumerate(chance.sample(distractors.ALL, chance.randint(1, 3))):
        distractor(stage, chance.choice(places), distractors.BEHIND + distractors.ROW * row)
        stage.acts.append(distractor.__name__)
    return stage.scene, _settle(stage, kind, seed, rate, places)


def _settle(stage: Stage, kind: str, seed: int, rate: str, places: list[float]) -> Truth:
    stage.camera((places[0] - 0.65, -0.3, 0.0), (places[-1] + 0.65, 0.5, 1.15))
    stage.light()
    hits = stage.hits
    if kind == "rigid":
        hits = hits + rigid.simulate(stage)
    seen = stage.look(hits)
    stage.scene.frame_set(stage.scene.frame_start)
    return Truth(
        kind=kind,
        seed=seed,
        rate=rate,
        start=stage.scene.frame_start,
        end=stage.scene.frame_end,
        acts=tuple(stage.acts),
        hits=tuple(seen),
    )


def save(folder: Path, name: str) -> Path:
    """The scene as a .blend of its own."""
    path = folder / f"{name}.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True)
    return path
