# SPDX-License-Identifier: GPL-3.0-or-later
"""Which held-out shots are looked at: evenly over families, half to be given sound, half as real sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...addon.wire.errors import BadInput
from ..train import mel
from ..train.shards import Sample, read_shards
from ..train.synth.families import family
from ..train.synth.shot import SECONDS, Shot
from ..train.synth.world import frame_times

SPLITS = ("scene", "combo")
FEWEST = 4  # shots in all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """One held-out shot. sound: its true one, (40,960,) at 16 kHz; frames: (T, H, W, 3) uint8 at times_s
    (T,), T is 0 where pictures cannot show it.
    """

    shot: Shot
    sound: np.ndarray
    frames: np.ndarray
    times_s: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """``evaluated``: shots that systems make sounds for; ``others``: as many more, known for their sounds."""

    evaluated: tuple[Item, ...]
    others: tuple[Item, ...]


def select(
    world: Path, most: int, report: Callable[[str], None], families: Iterable[str] | None = None
) -> Selection:
    """At most ``most`` shots to evaluate, the same number of each family as far as there are any.

    Raises BadInput when the world holds too few held-out shots.
    """
    wanted = None if families is None else set(families)
    kin: dict[str, list[list[Sample]]] = {}
    for number, split in enumerate(SPLITS):
        for sample in read_shards(world, split, report):
            if wanted is None or sample.shot.family in wanted:
                kin.setdefault(sample.shot.family, [[] for _ in SPLITS])[number].append(sample)
    each = max(1, -(-most // max(1, len(kin))))
    evaluated, others = [], []
    for lists in kin.values():
        evaluated += interleaved([samples[0::2] for samples in lists])[:each]
        others += interleaved([samples[1::2] for samples in lists])[:each]
    if len(evaluated) < FEWEST or len(others) < FEWEST:
        raise BadInput(
            f"{world} has too few held-out shots to measure anything; make them with: footfall train world"
        )
    return Selection(
        evaluated=tuple(item(sample) for sample in evaluated), others=tuple(item(sample) for sample in others)
    )


def interleaved(lists: list[list[Sample]]) -> list[Sample]:
    """All of them, spread so that any beginning holds each list in its own share."""
    placed = [
        ((index + 0.5) / len(samples), number, sample)
        for number, samples in enumerate(lists)
        for index, sample in enumerate(samples)
    ]
    return [sample for _, _, sample in sorted(placed, key=lambda row: row[:2])]


def item(sample: Sample) -> Item:
    frames = sample.frames
    times = frame_times(sample.shot)
    if len(times) != len(frames):  # a damaged picture was left out
        times = tuple((index + 0.5) / max(1, len(frames)) * SECONDS for index in range(len(frames)))
    return Item(
        shot=sample.shot,
        sound=mel.to_16k(sample.sound_48k),
        frames=frames,
        times_s=np.asarray(times, np.float64),
    )


def is_seen(item: Item) -> bool:
    """Whether pictures show what is heard."""
    return family(item.shot.family).seen and len(item.frames) > 0
