# SPDX-License-Identifier: GPL-3.0-or-later
"""A world that costs nothing: shots with real words, whose sound is one tone and whose picture one colour."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from footfall.server.train.shards import shard_name, write_frames, write_sounds
from footfall.server.train.synth.families import NAMES, family
from footfall.server.train.synth.shot import RATE_HZ, SAMPLES, Shot
from footfall.server.train.synth.shots import make_shot
from PIL import Image


def write_world(folder: Path, train: int, scene: int) -> None:
    """``train`` and ``scene``: how many shots of each split."""
    folder.mkdir(parents=True)
    for split, count in (("train", train), ("scene", scene)):
        shots = [make_shot(split, number) for number in range(count)]
        write_sounds(folder / shard_name(split, 0), ((shot, sound(shot)) for shot in shots))
        seen = [shot for shot in shots if family(shot.family).seen]
        pictures = [(shot.key, [picture(shot, k) for k in range(2)]) for shot in seen]
        write_frames(folder / shard_name(split, 0, frames=True), pictures)


def sound(shot: Shot) -> np.ndarray:
    """A tone whose pitch is the family, louder at its beginning, over faint noise."""
    draw = np.random.default_rng(shot.seed)
    time_s = np.arange(SAMPLES) / RATE_HZ
    tone = np.sin(2 * np.pi * 150.0 * 1.09 ** NAMES.index(shot.family) * time_s)
    return (0.5 * tone * np.exp(-time_s) + 0.002 * draw.standard_normal(SAMPLES)).astype(np.float32)


def picture(shot: Shot, number: int) -> bytes:
    """Stripes whose colour and number are the family."""
    place = NAMES.index(shot.family)
    draw = np.random.default_rng([shot.seed, number])
    colour = np.random.default_rng(place).random(3) * 200
    stripes = np.sin(np.arange(112) * (0.05 + 0.02 * place))[:, None, None] * 40
    pixels = colour + stripes + draw.normal(0, 8, (112, 112, 3)) + np.zeros((1, 112, 1))
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=88)
    return stream.getvalue()
