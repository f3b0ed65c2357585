# SPDX-License-Identifier: GPL-3.0-or-later
"""What each sound is to be like: from pictures and words to unit vectors in CLAP's space.

The picture's condition follows the shot: one vector for each window of the bed, from the frames that the
window shows, and one for each kind of hit, from the frame in which it is hardest, and from what is seen close
around it where its place in the picture is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..addon.wire.errors import BadInput
from ..addon.wire.messages import Event, FoleyRequest, Heard
from .control import JobControl
from .crops import crops
from .models.loaded import Models
from .models.nudge import move, pulled
from .sampling.noise import seed_of
from .sound.clusters import Cluster

WORDS_STRENGTH = 0.7  # the scene knows what is hit; the picture still says what it looks like
KIND_STRENGTH = 0.3  # of no more than "hit" or "step"
SYNC_STRENGTH = 0.5  # the bed is what is hit, and the place as well
MOST_WORDS = 8  # of hits in one window
CLOSE = 2 / 3  # how much what is seen close around a hit counts, against the whole picture


class Conditions:
    """All vectors of one request. Each is (rows, 512) float32 of length 1 on the CPU."""

    def __init__(self, request: FoleyRequest, models: Models, control: JobControl) -> None:
        self._request = request
        self._models = models
        self._control = control
        self.mapper_name = "auto"
        self._prompt = self._text(request.prompt) if request.prompt.strip() else None
        self._seen: Tensor | None = None  # (T, D), where pictures decide
        control.progress("looking", 0.0)
        self._row = self._starting_point(control)
        control.check()
        control.progress("mapping", 0.0)
        self.negative = self._text(request.negative_prompt)
        self._pulls = [
            (self._text(pull.words), pull.weight)
            for pull in request.pulls
            if pull.weight and pull.words.strip()
        ]

    def bed(self, spans_s: Iterable[tuple[float, float]]) -> Tensor:
        """(W, 512): one row for each window, given in seconds."""
        times, spans = self._request.times_s, list(spans_s)
        rows = self._row([self._seen_in(_frames_within(times, *span)) for span in spans])
        if self._request.in_sync:
            rows = torch.cat([self._hit(row, span) for row, span in zip(rows, spans, strict=True)])
        return self._nudged(rows)

    def _hit(self, row: Tensor, span_s: tuple[float, float]) -> Tensor:
        """(1, 512): one row of the bed, moved towards the words of what is hit then."""
        first_s, stop_s = span_s
        events = [event for event in self._request.events if first_s <= float(event.time_s) < stop_s]
        words = [
            words for words, _ in Counter(event.words.strip() for event in events).most_common(MOST_WORDS)
        ]
        texts = [self._text(one) for one in words if one]
        if not texts:
            return row.unsqueeze(0)
        return move(row.unsqueeze(0), normalize(torch.stack(texts).mean(0), dim=0), SYNC_STRENGTH)

    def spots(self, clusters: Sequence[Cluster]) -> Tensor:
        """(G, 512): one row for each kind of hit, moved towards its words."""
        rows = self._row(self._seen_at([cluster.strongest for cluster in clusters]))
        moved = []
        for row, cluster in zip(rows, clusters, strict=True):
            strength = WORDS_STRENGTH if cluster.named else KIND_STRENGTH
            moved.append(move(row.unsqueeze(0), self._text(cluster.words), strength))
        return self._nudged(torch.cat(moved))

    def looks(self, events: Sequence[Event]) -> Tensor:
        """(N, D): what is seen close around each hit, all of which have a place; no rows without pictures."""
        if self._seen is None or not len(events):
            return torch.zeros(0, 1)
        close = crops(self._request.frames, self._request.times_s, events)
        return self._models.clip.encode_images(close, self._control)

    def _seen_in(self, frames: list[int]) -> Tensor | None:
        """(D,) the mean of what CLIP saw in some frames; None where it looked at nothing."""
        return None if self._seen is None else self._seen[frames].mean(0)

    def _seen_at(self, events: Sequence[Event]) -> list[Tensor | None]:
        """What is seen at each hit: the whole picture, and closely where its place is known."""
        frames = [_frame_at(self._request.times_s, float(event.time_s)) for event in events]
        seen = [self._seen_in([] if frame is None else [frame]) for frame in frames]
        placed = [index for index, event in enumerate(events) if event.place]
        close = dict(zip(placed, self.looks([events[index] for index in placed]), strict=False))
        return [
            row if row is None or index not in close else (1.0 - CLOSE) * row + CLOSE * close[index]
            for index, row in enumerate(seen)
        ]

    def heard(self, rows: Tensor) -> tuple[Heard, ...]:
        """The captions nearest to ``rows``."""
        return self._models.bank.heard(rows)

    def _starting_point(self, control: JobControl) -> Callable[[Sequence[Tensor | None]], Tensor]:
        """A function from what was seen to rows; where words alone decide, it gives them for anything."""
        kind = self._request.condition
        if kind == "picture":
            self._seen = self._models.clip.encode_images(self._request.frames, control)
            control.check()
            return lambda seen: self._mapped(torch.stack([row for row in seen if row is not None]))
        prior = self._models.text_prior() if kind == "clip_text_prior" else None
        if self._prompt is None:
            raise BadInput("Without a picture the words decide; write in the prompt what is to be heard.")
        if kind == "clap_text":
            words = self._prompt.unsqueeze(0)
        else:
            read = self._models.clip.encode_text([self._request.prompt])
            if prior is not None:
                seed = seed_of(self._request.seed, "prior")
                read = prior.map(read, seed, self._tell).float().cpu()
            words = self._mapped(read)
        return lambda seen: words.expand(len(seen), -1)

    def _mapped(self, clip_rows: Tensor) -> Tensor:
        mapper = self._models.mapper(self._request.mapper)
        self.mapper_name = mapper.name
        return mapper.map(clip_rows, seed_of(self._request.seed, "mapper"), self._tell).float().cpu()

    def _tell(self, fraction: float) -> None:
        self._control.check()
        self._control.progress("mapping", 0.99 * fraction)

    def _nudged(self, rows: Tensor) -> Tensor:
        """Where the words of the prompt already are the condition, they do not push it too."""
        if self._request.condition == "picture":
            rows = move(rows, self._prompt, self._request.nudge)
        return pulled(rows, self._pulls)

    def _text(self, words: str) -> Tensor:
        """(512,) unit; alone in its batch, because the last bits depend on what is computed with it."""
        return self._models.clap.encode_text([words])[0]


def _frames_within(times_s: np.ndarray, start_s: float, stop_s: float) -> list[int]:
    """Frames shown in a window, or else the one nearest to its middle; none if there is no picture."""
    inside: list[int] = np.flatnonzero((times_s >= start_s) & (times_s < stop_s)).tolist()
    if inside:
        return inside
    frame = _frame_at(times_s, (start_s + stop_s) / 2)
    return [] if frame is None else [frame]


def _frame_at(times_s: np.ndarray, time_s: float) -> int | None:
    return int(np.abs(times_s - time_s).argmin()) if len(times_s) else None
