# SPDX-License-Identifier: GPL-3.0-or-later
"""The bed of one request: what is to be made for it, and the clip of each take.

Usually one sound. Hard cuts make a sound for each part between them, a loop one that reaches beyond the end,
and in sync it is silent but for the hits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ...addon.wire.messages import Clip, FoleyRequest
from ..control import JobControl
from ..models.loaded import Models
from ..sampling import windows
from ..sampling.quality import Quality
from ..sound import bed, finishing, syncing
from ..sound.bed import Segment
from .conditions import Conditions
from .rendering import Batch


class Beds:
    """``silent``: takes that came out so."""

    def __init__(self, request: FoleyRequest, models: Models, quality: Quality) -> None:
        self._request = request
        self._models = models
        self._quality = quality
        self._takes = range(request.first_take, request.first_take + request.takes)
        self._samples = finishing.sample_count(request.duration_s, request.rate_hz)
        cuts = request.cuts if request.hard_cuts else ()
        # Under spots it is what goes on all the time: there from the first moment, without hits of its own.
        self._behind = "spots" in request.layers and bool(request.events) and not request.in_sync
        lead_s = self._lead_s() if self._behind else Fraction(0)
        self._parts = bed.segments(request.duration_s, cuts, loop=request.loop, lead_s=lead_s)
        self.silent: list[int] = []

    def batches(self, conditions: Conditions) -> tuple[dict[str, Batch], Tensor]:
        """Every take, and every candidate for it, of each part of the shot; and the conditions of all
        windows.
        """
        plans, spans = [], []
        column_s = self._models.column_samples / self._models.rate_hz
        for part in self._parts:
            samples = finishing.sample_count(part.length_s, self._models.rate_hz)
            columns = windows.columns_for(samples, self._models.column_samples)
            plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
            plans.append((samples, plan))
            spans += [_shown(part, start * column_s, stop * column_s) for start, stop in plan]
        rows = conditions.bed(spans)
        found, first = {}, 0
        for number, (part, (samples, plan)) in enumerate(zip(self._parts, plans, strict=True)):
            own = rows[first : first + len(plan)]
            first += len(plan)
            names = self._names(number)
            found[_key(number)] = Batch(
                names=names,
                seed=self._request.seed,
                samples=samples,
                windows=plan,
                conditions=own.expand(len(names), *own.shape),
                negative=conditions.negative,
                quality=self._quality,
                vary=self._request.vary,
                vary_seed=self._request.vary_seed,
                sounding=self._sounding(part, column_s, plan.columns),
            )
        return found, rows

    def _lead_s(self) -> Fraction:
        """What is made before the shot and not heard, if that costs no window more."""
        longest_s = Fraction(windows.LONGEST * self._models.column_samples, self._models.rate_hz)
        room_s = longest_s - self._request.duration_s
        return min(bed.LEAD_S, room_s) if room_s >= 0 else bed.LEAD_S

    def _names(self, number: int) -> tuple[tuple[object, ...], ...]:
        return tuple(
            ("bed", take, candidate, *([number] if number else []))
            for take in self._takes
            for candidate in range(self._quality.candidates)
        )

    def _sounding(self, part: Segment, column_s: float, count: int) -> tuple[tuple[int, int], ...] | None:
        if not self._request.in_sync or not self._request.events:
            return None
        own = [
            replace(event, time_s=event.time_s - part.from_s)
            for event in self._request.events
            if 0 <= event.time_s - part.from_s < part.length_s
        ]
        return syncing.columns(own, column_s, count)

    def clip(
        self,
        take: int,
        batches: Mapping[str, Batch],
        sounds: Mapping[str, np.ndarray],
        heard_s: Sequence[tuple[float, float]],
        control: JobControl,
    ) -> Clip:
        """One take's. sounds: (takes x candidates, samples) of each batch; heard_s: when its spots are."""
        request, rate_hz = self._request, self._request.rate_hz
        pieces, scores = [], []
        for number in range(len(self._parts)):
            key = _key(number)
            index, score = self._best(take, batches[key], sounds[key], control)
            pieces.append(sounds[key][index])
            scores.append(score)
        waveform = self._finished(pieces)
        if float(np.abs(waveform).max()) < finishing.FLOOR:
            self.silent.append(take)
        return Clip(
            take=take,
            layer="bed",
            start_s=Fraction(0),
            rate_hz=rate_hz,
            waveform=bed.ducked(waveform, heard_s, request.duck_db, rate_hz, loop=request.loop),
            label="bed",
            score=float(np.mean(scores)),
        )

    def _finished(self, pieces: Sequence[np.ndarray]) -> np.ndarray:
        request, rate_in_hz, rate_hz = self._request, self._models.rate_hz, self._request.rate_hz
        sound = pieces[0]
        if len(pieces) > 1 or request.loop or request.in_sync or self._behind:
            columns = [finishing.as_columns(piece) for piece in pieces]
            resampled = [finishing.resample(piece, rate_in_hz, rate_hz) for piece in columns]
            sound, rate_in_hz = bed.joined(resampled, self._parts, rate_hz), rate_hz
        if request.in_sync and request.events:
            sound = syncing.aligned(sound, request.events, rate_hz)
        if self._behind:
            sound = bed.calmed(sound, rate_hz)
        if request.loop:
            sound = bed.looped(sound, self._samples)
        behind_db = bed.BEHIND_DB if self._behind else 0.0
        return finishing.finish(
            sound,
            rate_in_hz,
            rate_hz,
            self._samples,
            request.loudness_lufs - behind_db,
            fades=not request.loop,
            ceiling_db=finishing.TRUE_PEAK_CEILING_DB - behind_db,
        )

    def _best(self, take: int, batch: Batch, sounds: np.ndarray, control: JobControl) -> tuple[int, float]:
        """(number, CLAP cosine to the condition) of a take's best candidate; 0.0 where there is only one."""
        each, first = self._quality.candidates, self._takes.index(take) * self._quality.candidates
        if each == 1:
            return first, 0.0
        asked = self._models.in_clap(batch.conditions[0])
        wanted = torch.nn.functional.normalize(asked.mean(0), dim=0)
        scores = []
        for sound in sounds[first : first + each]:
            control.check()
            heard = self._models.clap.encode_audio(sound[None].copy(), self._models.rate_hz)[0]
            scores.append(float((heard * wanted).sum().clamp(-1.0, 1.0)))
        best = int(np.argmax(scores))
        return first + best, scores[best]


def _key(number: int) -> str:
    return f"bed {number}" if number else "bed"


def _shown(part: Segment, start_s: float, stop_s: float) -> tuple[float, float]:
    """A window of a part's sound in seconds of the shot; beyond a cut lies another picture."""
    low, high = float(part.start_s), float(part.stop_s)
    first = float(part.from_s)
    return min(max(low, first + start_s), high), max(low, min(high, first + stop_s))
