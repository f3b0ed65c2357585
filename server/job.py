# SPDX-License-Identifier: GPL-3.0-or-later
"""One request on its way: which sounds are to be made for it, and the clips that are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import torch

from .. import __version__
from ..addon.wire import limits
from ..addon.wire.errors import BadInput
from ..addon.wire.messages import Clip, FoleyRequest, Heard, Provenance
from .conditions import Conditions
from .control import JobControl
from .models.device import describe
from .models.loaded import Models
from .rendering import Batch, Report
from .sampling import windows
from .sampling.quality import Quality, quality
from .sound import finishing, layers

MOST_GROUPS = 16  # different sounds among the hits of a shot


class Job:
    """``heard`` and ``warnings`` are filled on the way."""

    def __init__(self, request: FoleyRequest, models: Models, control: JobControl) -> None:
        self.request = request
        self.models = models
        self.control = control
        self.warnings: list[str] = []
        self.heard: tuple[Heard, ...] = ()
        self._quality = chosen_quality(request, models.bundle.sampling)
        self._samples = finishing.sample_count(request.duration_s, request.rate_hz)
        self._groups = self._group_hits() if "spots" in request.layers else ()
        self._conditions = Conditions(request, models, control)

    def batches(self) -> dict[str, Batch]:
        """Layer -> the sounds to make for it."""
        found = {}
        if "bed" in self.request.layers:
            found["bed"] = self._bed()
        if self._groups:
            found["spots"] = self._spots()
        if not self.heard and self._groups:
            self.heard = self._conditions.heard(found["spots"].conditions[: len(self._groups), 0])
        self.control.progress("mapping", 1.0)
        return found

    def _bed(self) -> Batch:
        """Every take, and every candidate for it, as long as the shot."""
        samples = finishing.sample_count(self.request.duration_s, self.models.rate_hz)
        columns = windows.columns_for(samples, self.models.column_samples)
        plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
        column_s = self.models.column_samples / self.models.rate_hz
        rows = self._conditions.bed((start * column_s, stop * column_s) for start, stop in plan)
        self.heard = self._conditions.heard(rows)
        names = tuple(
            ("bed", take, candidate)
            for take in range(self.request.takes)
            for candidate in range(self._quality.candidates)
        )
        return self._batch(names, samples, plan, rows.expand(len(names), *rows.shape))

    def _spots(self) -> Batch:
        """Every take of one short sound for each group of hits."""
        samples = finishing.sample_count(layers.SPOT_S, self.models.rate_hz)
        columns = windows.columns_for(samples, self.models.column_samples)
        rows = self._conditions.spots(self._groups)
        takes = self.request.takes
        names = tuple(("spots", take, group.words) for take in range(takes) for group in self._groups)
        plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
        return self._batch(names, samples, plan, rows.repeat(takes, 1).unsqueeze(1))

    def _batch(
        self, names: tuple[tuple[object, ...], ...], samples: int, plan: windows.Plan, rows: torch.Tensor
    ) -> Batch:
        return Batch(
            names=names,
            seed=self.request.seed,
            samples=samples,
            windows=plan,
            conditions=rows,
            negative=self._conditions.negative,
            quality=self._quality,
        )

    def _group_hits(self) -> tuple[layers.Group, ...]:
        request = self.request
        if not request.events:
            raise BadInput(
                "There are no hits to put spots on; find events in the scene first, or use the bed."
            )
        most = min(MOST_GROUPS, limits.CLIPS // request.takes - 1)
        groups = layers.group_events(request.events, request.duration_s, most)
        outside = len(request.events) - sum(len(group.events) for group in groups)
        if outside:
            self.warnings.append(f"{outside} hits are after the end of the shot and were left out.")
        return groups

    def shares(self, phase: str, batches: dict[str, Batch]) -> Iterator[tuple[str, Batch, Report]]:
        """Each batch with a report that gives its share of the phase."""
        total = sum(batch.work for batch in batches.values())
        done = 0
        for layer, batch in batches.items():
            self.control.check()
            start, share = done / total, batch.work / total

            def report(fraction: float, start: float = start, share: float = share) -> None:
                self.control.check()
                self.control.progress(phase, start + share * fraction)

            report(0.0)
            yield layer, batch, report
            done += batch.work

    def finished(self, batches: dict[str, Batch], sounds: dict[str, np.ndarray]) -> Iterator[Clip]:
        """Clips of every take: the bed, then the spots."""
        if "bed" in sounds:
            best = self._best(batches["bed"], sounds["bed"])
            for take, (index, score) in enumerate(best):
                self._tell("finishing", take / len(best) / 2)
                yield self._bed_clip(take, sounds["bed"][index], score)
        if "spots" in sounds:
            yield from self._spot_clips(sounds["spots"])

    def _best(self, batch: Batch, sounds: np.ndarray) -> list[tuple[int, float]]:
        """(number, CLAP cosine to the condition) of each take's best candidate; 0.0 where there is only
        one.
        """
        each = self._quality.candidates
        if each == 1:
            return [(take, 0.0) for take in range(self.request.takes)]
        wanted = torch.nn.functional.normalize(batch.conditions[0].mean(0), dim=0)
        scores = []
        for sound in sounds:
            self._tell("finishing", 0.0)
            heard = self.models.clap.encode_audio(sound[None].copy(), self.models.rate_hz)[0]
            scores.append(float((heard * wanted).sum().clamp(-1.0, 1.0)))
        takes = np.array(scores).reshape(-1, each)
        return [(take * each + int(row.argmax()), float(row.max())) for take, row in enumerate(takes)]

    def _bed_clip(self, take: int, sound: np.ndarray, score: float) -> Clip:
        request = self.request
        waveform = finishing.finish(
            sound, self.models.rate_hz, request.rate_hz, self._samples, request.loudness_lufs
        )
        if float(np.abs(waveform).max()) < finishing.FLOOR:
            self.warnings.append(f"Take {take + 1} came out silent; try another seed or another prompt.")
        return Clip(
            take=take,
            layer="bed",
            start_s=Fraction(0),
            rate_hz=request.rate_hz,
            waveform=waveform,
            label="bed",
            score=score,
        )

    def _spot_clips(self, sounds: np.ndarray) -> Iterator[Clip]:
        request, takes = self.request, self.request.takes
        count = sum(len(group.events) for group in self._groups)
        placing = layers.Placing(
            rate_hz=request.rate_hz,
            seed=request.seed,
            one_each=takes * (count + 1) <= limits.CLIPS,
            most_samples=self._samples,
            distance_m=layers.middle_distance(request.events),
        )
        for number, sound in enumerate(sounds):
            self._tell("finishing", 0.5 + number / len(sounds) / 2)
            take, group = divmod(number, len(self._groups))
            hits = self._groups[group]
            short = layers.spot(
                sound, self.models.rate_hz, request.rate_hz, request.loudness_lufs, dies_away=hits.dies_away
            )
            yield from layers.clips(hits, short, take, placing)

    def provenance(self) -> Provenance:
        bundle = self.models.bundle
        return Provenance(
            bundle=bundle.name,
            bundle_sha256=bundle.sha256,
            licence=bundle.licence,
            commercial=bundle.commercial,
            mapper=self._conditions.mapper_name,
            version=__version__,
            device=describe(self.models.device),
            dtype=str(self.models.dtype).removeprefix("torch."),
            steps=self._quality.steps,
            guidance=self._quality.guidance,
        )

    def _tell(self, phase: str, fraction: float) -> None:
        self.control.check()
        self.control.progress(phase, fraction)


def chosen_quality(
    request: FoleyRequest, own: Mapping[str, Mapping[str, float | int | str]] = MappingProxyType({})
) -> Quality:
    """The quality's row of the table, changed by what the bundle wants (``own``), and then by the request's
    own steps and guidance where it has any.
    """
    row = quality(request.quality, own)
    return replace(row, steps=request.steps or row.steps, guidance=request.guidance or row.guidance)
