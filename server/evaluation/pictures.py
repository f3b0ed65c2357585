# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioToken's comparison, from held-out sounds to a report: what do pictures of them show?"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput, ModelMissing
from ..models import device as devices
from ..models.audiotoken import PROMPT, load_audiotoken
from ..models.bundle import STARTER, Bundle
from ..models.bundle_parts import EMBEDDER
from ..models.clap import ClapEncoder
from ..models.clip import ClipEncoder
from ..models.finding import find_bundle
from ..train import features, mel
from ..train.features import Features
from ..train.kept import keep
from ..train.parts import fingerprint
from ..train.shards import Sample
from ..train.world_pairs import space_of
from . import metrics, picture_scores, picture_systems, references
from .ears import called_to_mind
from .linear import PictureJudge, picture_judge
from .meter import LISTENING, Meter
from .picture_bars import picture_bars
from .picture_scores import Difference, Truth
from .picture_systems import AUDIOTOKEN, Painting, Told, at_size
from .scores import Row
from .shots import Item, Selection, is_seen, select

if TYPE_CHECKING:
    from ..models.audiotoken import AudioToken
    from ..models.painter import Painter
    from .bars import Bar

REAL = "true pictures"
CHANCE = "AudioToken, of other shots' sounds"
LOOKS = "eval/looks"  # below the training's folder
PAINTING = 3.0  # what a picture costs beside listening to a sound
TIMED = 3  # pictures made one by one, to see how long one takes

Say = Callable[[str, float, float | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePlan:
    """work: the training's folder; model: a bundle that paints sounds; ears: the bundle whose CLIP and CLAP
    look and listen, empty for the same one, or the starter where it has none.
    """

    work: Path
    models_dir: Path
    model: str
    ears: str = ""
    most: int = 200
    device: str = "auto"
    painting: Painting = Painting()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """All that takes part. ``share``: of the whole model that was learnt for sounds, where it is known."""

    bundle: Bundle
    clip: ClipEncoder
    clap: ClapEncoder
    painter: Painter
    embedder: AudioToken
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureReport:
    """examples: system -> pictures (E, H, W, 3), of the shots ``example_families``; chance: of AIC."""

    model: dict[str, Any]
    ears: str
    device: str
    shots: int
    families: int
    others: int
    size: int
    chance: float
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    bars: tuple[Bar, ...]
    examples: dict[str, np.ndarray]
    example_families: tuple[str, ...]
    seconds_each: float
    warnings: tuple[str, ...]
    seconds: float


def load(plan: PicturePlan, device: torch.device) -> Hands:
    """Raises ModelMissing, ModelRefused, OutOfMemory."""
    from ..models.painter import load_painter

    bundle = find_bundle(plan.model, plan.models_dir, paths=True)
    own = bundle.has("clip") and bundle.has("clap")
    ears = bundle if own and not plan.ears else find_bundle(plan.ears or STARTER, plan.models_dir, paths=True)
    dtype = devices.pick_dtype(device)
    clap = ClapEncoder.load(ears, device, dtype)
    painter = load_painter(bundle, device, dtype, lambda: None)
    trained = bundle.json(f"{EMBEDDER}/config.json").get("trained", {}) if bundle.has(EMBEDDER) else {}
    return Hands(
        bundle=bundle,
        clip=ClipEncoder.load(ears, device, dtype),
        clap=clap,
        painter=painter,
        embedder=load_audiotoken(bundle, painter, clap),
        share=float(trained.get("share", "nan")),
    )


def run(
    plan: PicturePlan, say: Say = lambda words, fraction, left: None, loader: Callable[..., Hands] = load
) -> PictureReport:
    """Raises BadInput, ModelMissing, ModelRefused, OutOfMemory."""
    began = time.monotonic()
    return _Pictures(plan, say, loader).report(began)


def seen_whole(data: Features, work: Path, clip: ClipEncoder) -> Features:
    """``data`` with rows of the whole pictures, made at the first call."""

    def rows(sample: Sample) -> np.ndarray:
        frames = sample.frames
        if not len(frames):
            return np.zeros((0, clip.size), np.float32)
        return clip.encode_images(frames, whole=True).numpy()

    mark = f"1-{clip.space.sha256}"
    kept = keep(work / "world", "train", work / LOOKS, rows, mark, frames=True)
    counts = dict(zip((shot.key for shot in kept.shots), np.diff(kept.start).tolist(), strict=True))
    start = np.cumsum([0, *(counts.get(key, 0) for key in data.keys)])
    return replace(data, pictures=torch.from_numpy(np.array(kept.rows)), start=torch.from_numpy(start))


class _Pictures:
    def __init__(self, plan: PicturePlan, say: Say, loader: Callable[..., Hands]) -> None:
        self.warnings: list[str] = []
        self._plan = plan
        self._device = devices.pick_device(plan.device)
        self._hands = loader(plan, self._device)
        say("reading the shots", 0.0, None)
        chosen = select(plan.work / "world", plan.most, self.warnings.append)
        self._selection = Selection(
            evaluated=tuple(filter(is_seen, chosen.evaluated)), others=tuple(filter(is_seen, chosen.others))
        )
        if min(len(self._selection.evaluated), len(self._selection.others)) < 2:
            raise BadInput("Too few held-out shots have pictures; make a larger world: footfall train world")
        self._known = self._features()
        count = len(self._selection.evaluated)
        total = count * LISTENING + count * PAINTING * len(picture_systems.SYSTEMS)
        self._meter = Meter(total, say)

    def _features(self) -> Features:
        """What CLIP and CLAP make of the training split, pictures looked at whole as painted ones are. Raises
        ModelMissing, where others made it.
        """
        work, clip = self._plan.work, self._hands.clip.space
        found = features.load(work, "train", ("clap", "clip"))
        for part, space in (("clip", clip), ("clap", self._hands.clap.space)):
            if space.sha256 != space_of(work, part).sha256:
                raise ModelMissing(
                    f"The {part.upper()} that is asked is not the one of {work}; name with --ears a bundle "
                    "that was made there.",
                    f"{space.sha256} is not {fingerprint(work, part)}",
                )
        return seen_whole(found, work, self._hands.clip)

    def report(self, began: float) -> PictureReport:
        items, hands = self._selection.evaluated, self._hands
        truth, sounds = self._truth()
        told = Told(
            items=items,
            painter=hands.painter,
            embedder=hands.embedder,
            rows=sounds,
            known=self._known,
        )
        made: dict[str, np.ndarray] = {}
        for system in picture_systems.SYSTEMS:
            conditions = told.conditions(system)
            tick = functools.partial(self._meter.add, f"painting: {system}", PAINTING)
            made[system] = picture_systems.paint(hands.painter, conditions, self._plan.painting, tick)
        shown = {REAL: [at_size(one.frames, hands.painter.size)[len(one.frames) // 2] for one in items]}
        looks = {REAL: self._looks(np.stack(shown[REAL]))} | {
            name: self._looks(pictures) for name, pictures in made.items()
        }
        rows = list(_rows(looks, truth))
        seconds_each = self._timed(told)
        others = tuple(name for name in made if name != AUDIOTOKEN)
        differences = picture_scores.differences(AUDIOTOKEN, others, looks, truth)
        chance = 1.0 / len(set(truth.families))
        examples = _one_of_each(items)
        return PictureReport(
            model={"name": hands.bundle.root.name, "bundle_sha256": hands.bundle.sha256},
            ears=hands.clip.space.name,
            device=devices.describe(self._device),
            shots=len(items),
            families=len(set(truth.families)),
            others=len(truth.others),
            size=hands.painter.size,
            chance=chance,
            rows=tuple(rows),
            differences=differences,
            bars=picture_bars(rows, differences, chance, hands.share, seconds_each),
            examples={
                name: np.stack([shown_of[n] for n in examples]) for name, shown_of in (shown | made).items()
            },
            example_families=tuple(items[n].shot.family for n in examples),
            seconds_each=seconds_each,
            warnings=tuple(self.warnings),
            seconds=time.monotonic() - began,
        )

    def _truth(self) -> tuple[Truth, np.ndarray]:
        """What pictures are held against, and CLAP's rows of the sounds (N, D)."""
        hands, size = self._hands, self._hands.painter.size
        items, others = self._selection.evaluated, self._selection.others
        levelled = np.stack([mel.level(item.sound) for item in items])
        sounds = hands.clap.encode_audio(levelled, mel.RATE_HZ).double().numpy()
        self._meter.add("listening to the sounds", len(items) * LISTENING)
        texts = tuple(sorted({caption for item in items for caption in item.shot.captions}))
        judge = _judge_of(self._known)
        families = [item.shot.family for item in items]
        unknown = set(families) - set(judge.families)
        if unknown:
            raise BadInput(
                f"No picture of {sorted(unknown)[0]} is in the training split; make the world anew."
            )
        # the mean of all frames is what a shot looks like; of others one frame each, as of what is painted
        seen = [self._looks(at_size(item.frames, size)).mean(0) for item in items]
        far = [at_size(item.frames, size)[len(item.frames) // 2] for item in others]
        truth = Truth(
            families=families,
            seen=metrics.unit(np.stack(seen)),
            heard=called_to_mind(sounds, *bridge(texts, hands.clip, hands.clap)),
            others=self._looks(np.stack(far)),
            labels=np.array([judge.families.index(name) for name in families]),
            judge=judge,
        )
        return truth, sounds

    def _looks(self, pictures: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) -> (N, D) unit CLIP rows."""
        return metrics.unit(self._hands.clip.encode_images(pictures, whole=True).double().numpy())

    def _timed(self, told: Told) -> float:
        """Seconds from a sound to its picture, one by one, all loaded."""
        hands, spent = self._hands, []
        for item in told.items[: TIMED + 1]:
            began = time.perf_counter()
            tokens = hands.embedder.tokens([item.sound], mel.RATE_HZ)
            with torch.inference_mode():
                words = hands.painter.read([PROMPT], tokens)
            picture_systems.paint(hands.painter, words, self._plan.painting, lambda: None)
            spent.append(time.perf_counter() - began)
        return float(np.median(spent[1:]))


def bridge(texts: tuple[str, ...], clip: ClipEncoder, clap: ClapEncoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows of texts, float64: (U, C) in CLIP, (U, D) in CLAP."""
    return normalize(clip.encode_text(texts).double(), dim=-1), clap.encode_text(texts).double()


def _rows(looks: dict[str, np.ndarray], truth: Truth) -> list[Row]:
    rows = [picture_scores.row(REAL, "reference", looks[REAL], truth)]
    shuffled = looks[AUDIOTOKEN][references.wrong_partners(truth.families)]
    rows.append(picture_scores.row(CHANCE, "reference", shuffled, truth, paired_alone=True))
    rows += [
        picture_scores.row(name, "bundle", found, truth) for name, found in looks.items() if name != REAL
    ]
    return rows


def _judge_of(data: Features) -> PictureJudge:
    """A judge of pictures, from the true pictures of the training split."""
    rows: list[int] = []
    families: list[str] = []
    start = data.start.tolist()
    for family, first, stop in zip(data.families, start, start[1:], strict=False):
        rows += range(first, stop)
        families += [family] * (stop - first)
    return picture_judge(metrics.unit(data.pictures[rows].double().numpy()), families)


def _one_of_each(items: tuple[Item, ...]) -> list[int]:
    first: dict[str, int] = {}
    for number, item in enumerate(items):
        first.setdefault(item.shot.family, number)
    return list(first.values())
