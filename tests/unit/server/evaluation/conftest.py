# SPDX-License-Identifier: GPL-3.0-or-later
"""A training's folder as small as can be: a held-out world of noises, and a judge that was never trained."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from footfall.server.train.shards import SIDE, shard_name, write_frames, write_sounds
from footfall.server.train.synth.shot import RATE_HZ, SAMPLES, Hit, Shot
from footfall.server.train.synth.world import frame_times

FAMILIES = ("impact_wood", "rain", "creak")  # the last one cannot be seen
EACH = 6  # shots of a family in "scene"
COMBO = 3  # of the first family
JUDGED = 6  # shots of a family that only the judge learns from; sounds alone


def make_shot(split: str, number: int, family: str) -> Shot:
    return Shot(
        key=f"{split}-{number:06d}",
        split=split,
        number=number,
        family=family,
        seed=number,
        parameters={},
        hits=(Hit(time_s=0.5, strength=1.0), Hit(time_s=1.5, strength=0.5)) if family == FAMILIES[0] else (),
        captions=tuple(f"{family} {word}" for word in ("close", "far", "again", "outside")),
    )


def sound_of(shot: Shot) -> np.ndarray:
    """Noise of a colour of its own for each family; knocks at the hits."""
    draw = np.random.default_rng(shot.number + 100 * FAMILIES.index(shot.family))
    noise = draw.standard_normal(SAMPLES) * 0.02
    width = 2 + 6 * FAMILIES.index(shot.family)
    sound = np.convolve(noise, np.ones(width) / np.sqrt(width), mode="same")
    for hit in shot.hits:
        start = round(hit.time_s * RATE_HZ)
        fall = np.exp(-np.arange(SAMPLES - start) / RATE_HZ / 0.05)
        sound[start:] += draw.standard_normal(SAMPLES - start) * fall * 0.4 * hit.strength
    return sound.astype(np.float32)


def jpegs_of(shot: Shot) -> list[bytes]:
    from PIL import Image

    made = []
    for number in range(len(frame_times(shot))):
        draw = np.random.default_rng((shot.number, number))
        picture = draw.integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(SIDE // 8, 0).repeat(SIDE // 8, 1)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG")
        made.append(buffer.getvalue())
    return made


def write_world(folder: Path) -> None:
    splits = {"scene": FAMILIES * EACH, "combo": FAMILIES[:1] * COMBO, "judge": FAMILIES * JUDGED}
    for split, families in splits.items():
        shots = [make_shot(split, number, family) for number, family in enumerate(families)]
        write_sounds(folder / shard_name(split, 0), ((shot, sound_of(shot)) for shot in shots))
        if split != "judge":
            write_frames(folder / shard_name(split, 0, frames=True), ((s.key, jpegs_of(s)) for s in shots))


def write_judge(folder: Path) -> None:
    import torch
    from footfall.server.train.judge import JudgeTask

    nothing = torch.zeros(1, 256, 64)
    task = JudgeTask(
        nothing, torch.zeros(1, dtype=torch.int64), channels=(8, 8, 8, 8), embedding=8, batch=1, seed=0
    )
    task.write_part(folder)


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so nothing may be written into it but what any run would write."""
    folder = tmp_path_factory.mktemp("work")
    write_world(folder / "world")
    write_judge(folder / "judge" / "part")
    return folder
