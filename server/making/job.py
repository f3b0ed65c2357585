# SPDX-License-Identifier: GPL-3.0-or-later
"""One request on its way: which sounds are to be made for it, and the clips that are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch

from ... import __version__
from ...addon.wire import limits
from ...addon.wire.errors import BadInput
from ...addon.wire.messages import Clip, FoleyRequest, Heard, Provenance
from ..control import JobControl
from ..models.device import describe
from ..models.loaded import Models
from ..sampling import windows
from ..sampling.quality import Quality, quality
from ..sound import clusters, finishing, layers, spots
from ..sound.clusters import Cluster
from .beds import Beds
from .conditions import Conditions
from .rendering import Batch, Report

SILENT = "came out silent; try another seed or another prompt."
NO_HITS = "There are no hits to put spots on; add some under Hits, or switch on the bed."


class Job:
    """``heard``, ``warnings`` and ``silent``, takes of which nothing is heard, are filled on the way."""

    def __init__(self, request: FoleyRequest, models: Models, control: JobControl) -> None:
        self.request = request
        self.models = models
        self.control = control
        self.warnings: list[str] = []
        self.silent: tuple[int, ...] = ()
        self.heard: tuple[Heard, ...] = ()
        self._quality = chosen_quality(request, models.bundle.sampling)
        self._takes = range(request.first_take, request.first_take + request.takes)
        self._samples = finishing.sample_count(request.duration_s, request.rate_hz)
        kinds = self._kinds_of_hits() if "spots" in request.layers else ()
        self._conditions = Conditions(request, models, control)
        self.warnings += self._conditions.warnings
        self._clusters, self._rows = self._kinds_of_sounds(kinds)
        self._shares = clusters.shares(self._clusters)
        self._bed = Beds(request, models, self._quality) if "bed" in request.layers else None
        if self._bed is not None and request.in_sync and not request.events:
            self.warnings.append("There are no hits to be in sync with, so the bed goes on all the time.")

    def batches(self) -> dict[str, Batch]:
        """Layer -> the sounds to make for it."""
        found: dict[str, Batch] = {}
        if self._bed is not None:
            found, rows = self._bed.batches(self._conditions)
            self.heard = self._conditions.heard(rows)
        if self._clusters:
            found["spots"] = self._spots()
        if not self.heard and self._clusters:
            self.heard = self._conditions.heard(self._rows)
        self.control.progress("mapping", 1.0)
        return found

    def _spots(self) -> Batch:
        """Every take of the short sounds for each kind of hit."""
        samples = finishing.sample_count(spots.SPOT_S, self.models.rate_hz)
        columns = windows.columns_for(samples, self.models.column_samples)
        own = [
            (*cluster.name, sound)
            for cluster, count in zip(self._clusters, self._shares, strict=True)
            for sound in range(count)
        ]
        names = tuple(("spots", take, *name) for take in self._takes for name in own)
        rows = self._rows.repeat_interleave(torch.tensor(self._shares), dim=0)
        plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
        return Batch(
            names=names,
            seed=self.request.seed,
            samples=samples,
            windows=plan,
            conditions=rows.repeat(len(self._takes), 1).unsqueeze(1),
            negative=self._conditions.negative,
            quality=self._quality,
            vary=self.request.vary,
            vary_seed=self.request.vary_seed,
        )

    def _kinds_of_hits(self) -> tuple[Cluster, ...]:
        """The hits by their words. Raises BadInput where there are none, and nothing else is to be heard."""
        request = self.request
        if not request.events and "bed" not in request.layers:
            raise BadInput(NO_HITS)
        if not request.events:
            self.warnings.append("No hits were found, so there are no spots.")
            return ()
        kinds = clusters.by_words(request.events, request.duration_s)
        outside = len(request.events) - sum(len(kind.events) for kind in kinds)
        if outside:
            self.warnings.append(f"{outside} hits are after the end of the shot and were left out.")
        return kinds

    def _kinds_of_sounds(self, kinds: tuple[Cluster, ...]) -> tuple[tuple[Cluster, ...], torch.Tensor]:
        """The hits by what they are to sound like, and the condition (G, 512) of each kind."""
        if not kinds:
            return (), torch.zeros(0, 512)
        parted: list[Cluster] = []
        for kind in kinds:
            looked_at = clusters.to_look_at(kind)
            looks = self._conditions.looks([kind.events[index] for index in looked_at])
            parted += clusters.by_looks(kind, looked_at[: len(looks)], looks.numpy())
        rows = self._conditions.spots(parted)
        joined, kept = clusters.join_most_alike(parted, rows.numpy())
        return joined, rows[kept]

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
        takes = self._takes
        placing = self._placing()
        placed = [self._placed(take, sounds["spots"], placing) for take in takes if "spots" in sounds]
        for number, take in enumerate(takes):
            self._tell("finishing", 0.5 + number / len(takes) / 2)
            hits = placed[number] if placed else []
            spots = layers.clips(hits, take, placing)
            if self._bed is not None:
                heard_s = [one.heard_s(placing.rate_hz) for one in hits]
                bed = self._bed.clip(take, batches, sounds, heard_s, self.control)
                self.silent = tuple(self._bed.silent)
                yield bed
                spots = layers.over(bed, spots, self.control.check)
            yield from spots
        self._tell("finishing", 1.0)

    def _placing(self) -> layers.Placing:
        request = self.request
        hits = sum(len(cluster.events) for cluster in self._clusters)
        too_many = request.takes * (hits + 1) > limits.CLIPS
        if too_many and request.spots_as == "each":
            self.warnings.append(f"{hits} hits are too many for a clip each; each kind of hit is one clip.")
        return layers.Placing(
            rate_hz=request.rate_hz,
            seed=request.seed,
            one_each=request.spots_as == "each" and not too_many,
            most_samples=self._samples,
            distance_m=layers.middle_distance(request.events),
        )

    def _placed(self, take: int, sounds: np.ndarray, placing: layers.Placing) -> list[layers.Placed]:
        """The hits of one take, as they sound. sounds: (takes x sounds, samples) of all takes."""
        request = self.request
        each, before = sum(self._shares), self._takes.index(take)
        own = iter(sounds[before * each : (before + 1) * each])
        shaped: list[list[np.ndarray]] = []
        for number, (cluster, count) in enumerate(zip(self._clusters, self._shares, strict=True)):
            self._tell("finishing", (before + number / len(self._clusters)) / request.takes / 2)
            shaped.append(
                [
                    spots.spot(
                        next(own),
                        self.models.rate_hz,
                        request.rate_hz,
                        request.loudness_lufs,
                        dies_away=cluster.dies_away,
                    )
                    for _ in range(count)
                ]
            )
        return layers.place(self._clusters, shaped, take, placing, self.control.check)

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
