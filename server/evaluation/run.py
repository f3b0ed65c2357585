# SPDX-License-Identifier: GPL-3.0-or-later
"""One evaluation, from held-out shots to a report: every system and every reference point alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from ...addon.wire.errors import BadInput
from ..models import device as devices
from ..models.finding import find_bundle
from ..models.loaded import Models, load_models
from ..train import mel
from ..train.judge import Judge
from . import queries, real_spread, references, scores, statistics
from .bars import Bar, Comparison, bars, comparisons
from .ears import Ears, Hearing
from .intervals import Estimate, bootstrap
from .meter import LISTENING, MAKING, Meter
from .metrics import top
from .queries import Gap
from .scores import Row, Truth
from .shots import Item, Selection, is_seen, select
from .systems import Silent, System, folder_sounds, made, resolved

JUDGE = "judge/part"  # below the training's folder
CACHE = "eval/sounds"

Say = Callable[[str, float, float | None], None]  # words, fraction, seconds left if known
Load = Callable[..., Models]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to compare. work: the training's folder; systems: bundles at work; folders: other systems' sounds;
    conditions: of systems.CONDITIONS, or ``query``; most: shots to evaluate over all families.
    """

    work: Path
    models_dir: Path
    systems: tuple[System, ...]
    folders: tuple[Path, ...] = ()
    conditions: tuple[str, ...] = ("picture", "text")
    most: int = 320
    device: str = "auto"
    ears: str = ""  # the bundle whose CLIP and CLAP listen; empty: the first system's


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A shot's true sound and one that a system made for it, as log-mels (256, 64)."""

    key: str
    family: str
    real: np.ndarray
    made: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One condition. ``others``: real sounds that sets are compared with; spread_of: real sounds of a family
    that make its spread, at the median; gaps: between queries.
    """

    condition: str
    keys: tuple[str, ...]
    families: int
    others: int
    rows: tuple[Row, ...]
    examples: dict[str, tuple[Example, ...]]
    spread_of: int = 0
    gaps: tuple[Gap, ...] = ()

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """judge: its accuracy on the true held-out sounds, ``top1`` and ``top5``."""

    judge: dict[str, Estimate]
    ears: str
    device: str
    sections: tuple[Section, ...]
    bars: tuple[Bar, ...]
    comparisons: tuple[Comparison, ...]
    warnings: tuple[str, ...]
    seconds: float


def run(plan: Plan, say: Say = lambda words, fraction, left: None, load: Load = load_models) -> Report:
    """``load``: how a bundle becomes models.

    Raises BadInput, ModelMissing (a judge or a bundle), ModelRefused, OutOfMemory.
    """
    began = time.monotonic()
    evaluation = _Evaluation(plan, say, load)
    sections = tuple(evaluation.sections())
    return Report(
        judge=evaluation.judged(),
        ears=Path(evaluation.ears_name).name,
        device=devices.describe(evaluation.device),
        sections=sections,
        bars=bars(evaluation.judged(), sections),
        comparisons=comparisons(sections),
        warnings=tuple(evaluation.warnings),
        seconds=time.monotonic() - began,
    )


@dataclass(slots=True)
class _Heard:
    """A selection's true sounds."""

    selection: Selection
    evaluated: Hearing
    others: Hearing


class _Evaluation:
    def __init__(self, plan: Plan, say: Say, load: Load) -> None:
        self.warnings: list[str] = []
        self._plan = plan
        self.device = devices.pick_device(plan.device)
        self._bundles = _Bundles(plan, self.device, load)
        self.ears_name = plan.ears or (plan.systems[0].model if plan.systems else "")
        judge = Judge.load(plan.work / JUDGE)
        self._known = self._describe(say)
        say("reading the shots", 0.0, None)
        selection = select(plan.work / "world", plan.most, self.warnings.append)
        self._meter = Meter(self._work(selection), say)
        self._ears = Ears(judge, self._bundles.kept(self.ears_name) if self.ears_name else None)
        self._labels = _labels(selection.evaluated, judge)
        listen = self._listener("listening to the true sounds")
        self._truth = _Heard(
            selection,
            self._ears.listen([one.sound for one in selection.evaluated], listen),
            self._ears.listen([one.sound for one in selection.others], listen),
        )

    def _describe(self, say: Say) -> statistics.Table:
        def tick(done: int) -> None:
            if done % 100 == 1:
                say(f"describing the real families' sounds: {done}", 0.0, None)

        return real_spread.described(self._plan.work, tick)

    def _work(self, selection: Selection) -> float:
        """A measure of the time that all of it takes."""
        every = selection.evaluated
        seen = sum(map(is_seen, every))
        total = (len(every) + len(selection.others)) * LISTENING
        for condition in self._plan.conditions:
            shots = len(every) if condition == "text" else seen
            systems = sum(system.condition == condition for system in self._plan.systems)
            total += shots * (systems * (MAKING + LISTENING) + (2 + len(self._plan.folders)) * LISTENING)
        return total

    def _listener(self, words: str) -> Callable[[], None]:
        return lambda: self._meter.add(words, LISTENING)

    def judged(self) -> dict[str, Estimate]:
        """The judge on every true sound that was heard."""
        heard, selection = self._truth, self._truth.selection
        said = np.concatenate([heard.evaluated.verdicts.probabilities, heard.others.verdicts.probabilities])
        labels = np.concatenate([self._labels, _labels(selection.others, self._ears.judge)])
        return {f"top{count}": bootstrap(top(said, labels, count)) for count in (1, 5)}

    def sections(self) -> Iterator[Section]:
        for condition in self._plan.conditions:
            yield self._section(condition)

    def _section(self, condition: str) -> Section:
        truth = self._truth_of(condition)
        rows = list(self._references(truth))
        examples: dict[str, tuple[Example, ...]] = {}
        asked: list[tuple[System, Hearing]] = []
        for system in self._plan.systems:
            if system.condition == condition:
                row, examples[row.name], heard = self._system(system, truth)
                rows.append(row)
                asked.append(heard)
        rows += [self._folder(folder, truth) for folder in self._plan.folders]
        return Section(
            condition=condition,
            keys=tuple(one.shot.key for one in truth.items),
            families=len(set(truth.families)),
            others=len(truth.others),
            rows=tuple(rows),
            examples=examples,
            spread_of=round(float(np.median([len(truth.real[name]) for name in set(truth.families)]))),
            gaps=queries.gaps(asked, truth) if condition == "query" else (),
        )

    def _truth_of(self, condition: str) -> Truth:
        heard = self._truth
        wanted = is_seen if condition != "text" else lambda one: True
        mine = [n for n, one in enumerate(heard.selection.evaluated) if wanted(one)]
        others = [n for n, one in enumerate(heard.selection.others) if wanted(one)]
        if len(mine) < 2 or len(others) < 2:
            raise BadInput(f"Too few held-out shots for the condition {condition}; make a larger world.")
        items = [heard.selection.evaluated[n] for n in mine]
        # never those that are evaluated: true sounds are to be held against others, as made ones are
        kin = scores.by_family(heard.others, heard.selection.others)
        real = {
            name: [*self._known.get(name, ()), *kin.get(name, ())]
            for name in {one.shot.family for one in items}
        }
        hears = self._ears.models is not None
        return Truth(
            items=items,
            paired=heard.evaluated.take(mine),
            others=heard.others.take(others),
            labels=self._labels[mine],
            real=real,
            words=self._ears.texts(items) if hears else None,
            pictures=self._ears.pictures(items) if hears and condition != "text" else None,
        )

    def _references(self, truth: Truth) -> Iterator[Row]:
        everyone = np.arange(len(truth.items))
        yield self._row(references.REAL, "reference", truth.paired, everyone, truth)
        shuffled = truth.paired.take(references.wrong_partners(truth.families))
        row = self._row(references.SHUFFLED, "reference", shuffled, everyone, truth)
        kept = {name: row.scores[name] for name in (*scores.PAIRED, "spread") if name in row.scores}
        yield Row(name=row.name, kind=row.kind, scores=kept)
        true = [mel.level(one.sound) for one in truth.items]
        for name, sounds in (
            (references.SILENCE, references.silence(len(true), len(true[0]))),
            (references.NOISE, references.shaped_noise(true, len(true))),
        ):
            hearing = self._ears.listen(sounds, self._listener(f"listening to {name}"))
            yield self._row(name, "reference", hearing, everyone, truth)

    def _row(
        self, name: str, kind: str, hearing: Hearing, numbers: Sequence[int] | np.ndarray, truth: Truth
    ) -> Row:
        found, outside = scores.score(hearing, numbers, truth, self._ears)
        return Row(
            name=name,
            kind=kind,
            scores=found,
            outside=outside,
            families=scores.per_family(hearing, numbers, truth),
        )

    def _system(
        self, system: System, truth: Truth
    ) -> tuple[Row, tuple[Example, ...], tuple[System, Hearing]]:
        models = self._bundles.loaded(system.model)
        system = resolved(system, models)
        meter = self._meter
        sounds = made(
            system,
            truth.items,
            models,
            self._plan.work / CACHE,
            lambda: meter.add(f"making sounds: {system.name}", MAKING),
        )
        everyone = np.arange(len(sounds))
        hearing = self._ears.listen(sounds, self._listener(f"listening: {system.name}"))
        row = self._row(system.name, "bundle", hearing, everyone, truth)
        if system.condition == "query":
            row.scores.update(queries.asked(system, models, truth))
        elif (
            models.bundle.condition == "clap"
            and models.bundle.clap_space == (self._ears.models or models).bundle.clap_space
        ):
            row.scores.update(scores.retrieval(_conditions(system, truth.items, models), truth))
        row.made_of.update(asdict(system))
        row.made_of.update(model=models.bundle.root.name, bundle_sha256=models.bundle.sha256)
        return row, _examples(truth.items, sounds), (system, hearing)

    def _folder(self, folder: Path, truth: Truth) -> Row:
        sounds = folder_sounds(folder, truth.items)
        numbers = sorted(sounds)
        if len(numbers) < len(truth.items):
            self.warnings.append(f"{folder.name} has sounds for {len(numbers)} of {len(truth.items)} shots.")
        words = f"listening to {folder.name}"
        self._meter.add(words, LISTENING * (len(truth.items) - len(numbers)))
        hearing = self._ears.listen([sounds[n] for n in numbers], self._listener(words))
        return self._row(folder.name, "folder", hearing, numbers, truth)


@dataclass(slots=True)
class _Bundles:
    """Bundles by name or folder. One is held beside the one that listens, so that memory stays small."""

    plan: Plan
    device: torch.device
    load: Load
    _ears: dict[str, Models] = field(default_factory=dict)
    _last: dict[str, Models] = field(default_factory=dict)

    def kept(self, name: str) -> Models:
        self._ears[name] = self._load(name)
        return self._ears[name]

    def loaded(self, name: str) -> Models:
        if name in self._ears:
            return self._ears[name]
        if name not in self._last:
            self._last.clear()
            self._last[name] = self._load(name)
        return self._last[name]

    def _load(self, name: str) -> Models:
        bundle = find_bundle(name, self.plan.models_dir, paths=True)
        dtype = devices.pick_dtype(self.device)
        cache = self.plan.work / "eval" / "captions"
        return self.load(bundle, self.device, dtype, Silent(), cache)


def _labels(items: Sequence[Item], judge: Judge) -> np.ndarray:
    unknown = {one.shot.family for one in items} - set(judge.families)
    if unknown:
        raise BadInput(
            f"The judge does not know {', '.join(sorted(unknown)[:3])}; train it again with: "
            "footfall train judge"
        )
    return np.array([judge.families.index(one.shot.family) for one in items], np.int64)


def _conditions(system: System, items: Sequence[Item], models: Models) -> np.ndarray:
    """(N, 512) in CLAP's space: what the system would make its sounds from."""
    if system.condition == "text":
        prompts = [system.request(one, models.bundle.root.name).prompt for one in items]
        return models.clap.encode_text(prompts).double().numpy()
    rows = torch.stack([models.clip.encode_images(one.frames).mean(0) for one in items])
    return models.mapper(system.mapper).map(rows, system.seed).double().cpu().numpy()


def _examples(items: Sequence[Item], sounds: Sequence[np.ndarray]) -> tuple[Example, ...]:
    """The first shot of each family."""
    found: dict[str, Example] = {}
    for one, sound in zip(items, sounds, strict=True):
        if one.shot.family not in found:
            real, new = (mel.log_mel_of(mel.level(wave)) for wave in (one.sound, sound))
            found[one.shot.family] = Example(key=one.shot.key, family=one.shot.family, real=real, made=new)
    return tuple(found.values())
