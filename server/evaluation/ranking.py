# SPDX-License-Identifier: GPL-3.0-or-later
"""What it is worth to let the round trip choose among takes (making/round_trip.py).

Several takes of held-out shots are made from their pictures, and the one that a way of ranking puts first is
judged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...addon.wire.errors import BadInput
from ..making.round_trip import RoundTrip
from ..models import device as devices
from ..models.bundle import STARTER
from ..models.finding import find_bundle
from ..models.loaded import Models, load_models
from ..sampling.noise import seed_of
from ..train import mel
from ..train.judge import Judge
from . import metrics, plots, tables
from .ears import called_to_mind
from .intervals import bootstrap
from .meter import LISTENING, MAKING, Meter
from .pictures import Hands, PicturePlan, Say, bridge, load
from .run import CACHE, JUDGE
from .scores import FIGURES as SOUND_FIGURES
from .scores import Row
from .shots import Item, is_seen, select
from .systems import Silent, System, made, resolved

TAKES = 4
PAINTING = 6.0  # what the pictures of a sound cost beside listening to it
FIGURES = {name: SOUND_FIGURES[name] for name in ("top1", "top5", "clap_sound", "clap_text")}
ANY, TRIP, BRIDGED, BEST = "any take", "round trip", "CLIP score by captions", "the best take (judge)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingReport:
    """``apart``: share of shots where the round trip's choice is not the first take."""

    model: str
    sounds: str
    shots: int
    takes: int
    rows: tuple[Row, ...]
    apart: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Takes:
    """What is known of N shots' T takes, each (N, T). right: the judge names the family first."""

    right: np.ndarray
    five: np.ndarray
    sound: np.ndarray
    words: np.ndarray
    trip: np.ndarray
    bridged: np.ndarray
    sure: np.ndarray  # the judge's own probability of the family


def run(
    plan: PicturePlan,
    say: Say = lambda words, fraction, left: None,
    loader: Callable[..., Hands] = load,
    load_sounds: Callable[..., Models] = load_models,
) -> RankingReport:
    """Raises BadInput, ModelMissing, ModelRefused, OutOfMemory."""
    began = time.monotonic()
    device = devices.pick_device(plan.device)
    judge = Judge.load(plan.work / JUDGE)
    hands = loader(plan, device)
    bundle = hands.bundle
    if "sound" not in bundle.makes:
        bundle = find_bundle(plan.ears or STARTER, plan.models_dir, paths=True)
    models = load_sounds(
        bundle, device, devices.pick_dtype(device), Silent(), plan.work / "eval" / "captions"
    )
    chosen = select(plan.work / "world", plan.most, lambda words: None).evaluated
    items = tuple(item for item in chosen if is_seen(item) and item.shot.family in judge.families)
    if len(items) < 2:
        raise BadInput("Too few held-out shots have pictures; make a larger world: footfall train world")
    meter = Meter(len(items) * TAKES * (MAKING + LISTENING + PAINTING), say)
    takes = _heard(items, hands, models, judge, plan, meter)
    return RankingReport(
        model=hands.bundle.root.name,
        sounds=bundle.root.name,
        shots=len(items),
        takes=TAKES,
        rows=tuple(rows(takes)),
        apart=float(np.mean(takes.trip.argmax(1) != 0)),
        seconds=time.monotonic() - began,
    )


def _heard(
    items: tuple[Item, ...], hands: Hands, models: Models, judge: Judge, plan: PicturePlan, meter: Meter
) -> Takes:
    """Makes the takes, and asks everybody about them."""
    system = resolved(System(model=models.bundle.root.name, condition="picture"), models)
    columns: list[dict[str, np.ndarray]] = []
    trip = RoundTrip(painter=hands.painter, embedder=hands.embedder, clip=hands.clip)
    seen = torch.stack([hands.clip.encode_images(item.frames, whole=True).mean(0) for item in items])
    texts = tuple(sorted({caption for item in items for caption in item.shot.captions}))
    between = bridge(texts, hands.clip, hands.clap)
    truth = _clap(hands, [item.sound for item in items])
    words = np.stack([_mean(hands, item) for item in items])
    labels = np.array([judge.families.index(item.shot.family) for item in items])
    for take in range(TAKES):
        one = replace(system, seed=plan.painting.seed + take)
        sounds = made(one, items, models, plan.work / CACHE, lambda: meter.add("making takes", MAKING))
        said = judge.hear([mel.level(sound) for sound in sounds]).probabilities
        clap = _clap(hands, sounds)
        meter.add("listening to takes", LISTENING * len(items))
        scores = []
        for item, sound, look in zip(items, sounds, seen, strict=True):
            seed = seed_of(plan.painting.seed, item.shot.key) % 2**31  # the same for all takes of a shot
            scores.append(trip.scores([sound], mel.RATE_HZ, look, seed=seed)[0])
            meter.add("painting takes", PAINTING)
        columns.append(
            {
                "right": metrics.top(said, labels, 1),
                "five": metrics.top(said, labels, 5),
                "sound": metrics.cosines(clap, truth),
                "words": metrics.cosines(clap, words),
                "trip": np.array(scores),
                "bridged": metrics.cosines(called_to_mind(clap, *between), seen.double().numpy()),
                "sure": said[np.arange(len(items)), labels],
            }
        )
    return Takes(**{name: np.stack([column[name] for column in columns], axis=1) for name in columns[0]})


def _clap(hands: Hands, sounds: list[np.ndarray]) -> np.ndarray:
    levelled = np.stack([mel.level(sound) for sound in sounds])
    return hands.clap.encode_audio(levelled, mel.RATE_HZ).double().numpy()


def _mean(hands: Hands, item: Item) -> np.ndarray:
    return hands.clap.encode_text(item.shot.captions).double().numpy().mean(0)


def rows(takes: Takes) -> Iterator[Row]:
    """Each way of ranking by what its first take is like; any take is chance, the judge's is the bound."""
    ways = {TRIP: takes.trip, BRIDGED: takes.bridged, BEST: takes.sure}
    values = {"top1": takes.right, "top5": takes.five, "clap_sound": takes.sound, "clap_text": takes.words}
    yield Row(
        name=ANY, kind="reference", scores={name: bootstrap(found.mean(1)) for name, found in values.items()}
    )
    every = np.arange(len(takes.right))
    for name, scores in ways.items():
        first = scores.argmax(1)
        yield Row(
            name=name,
            kind="reference" if name == BEST else "bundle",
            scores={score: bootstrap(found[every, first]) for score, found in values.items()},
        )


def plain(report: RankingReport) -> dict[str, Any]:
    """For JSON."""
    return {
        "model": report.model,
        "sounds": report.sounds,
        "shots": report.shots,
        "takes": report.takes,
        "not_the_first": report.apart,
        "seconds": round(report.seconds, 1),
        "rankings": [
            {"name": row.name, "scores": {name: one.plain() for name, one in row.scores.items()}}
            for row in report.rows
        ],
    }


def markdown(report: RankingReport) -> str:
    """The whole report. Figures in brackets are 95 % intervals."""
    lines = [
        "# Ranking takes",
        "",
        f"{report.takes} takes of each of {report.shots} held-out shots, by {report.sounds} from pictures; "
        f"what the take is like that comes first. The round trip asks {report.model} what pictures of "
        f"the sound show; it put another take first in {report.apart:.0%} of the shots.",
        f"{report.seconds:.0f} s.",
        "",
        *tables.score_table("The first take", FIGURES, report.rows),
    ]
    return "\n".join(lines)


def draw(report: RankingReport, folder: Path) -> list[Path]:
    """Raises OSError."""
    title = f"First of {report.takes} takes, {report.shots} held-out shots, 95 % intervals"
    return [plots.panels(report.rows, FIGURES, title, folder / "scores-ranking.png")]
