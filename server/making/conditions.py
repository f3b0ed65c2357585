# SPDX-License-Identifier: GPL-3.0-or-later
"""What each sound is to be like: from pictures and words to unit vectors in the space that the bundle's
generator knows. That is CLAP's, to which a mapper leads, or CLIP's, where what was seen is taken as it is.

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

from ...addon.wire.errors import BadInput
from ...addon.wire.messages import Event, FoleyRequest, Heard
from ..control import JobControl
from ..models.bundle_parts import TEXT_PRIOR
from ..models.captions import TextEncoder
from ..models.loaded import Models
from ..models.nudge import move, pulled
from ..sampling.noise import seed_of
from ..sound.clusters import Cluster
from .crops import crops

WORDS_STRENGTH = 0.7  # the scene knows what is hit; the picture still says what it looks like
KIND_STRENGTH = 0.3  # of no more than "hit" or "step"
SYNC_STRENGTH = 0.5  # the bed is what is hit, and the place as well
MOST_WORDS = 8  # of hits in one window
LONG = 24  # words, from which on it is worth asking whether the model reads them all
CLOSE = 2 / 3  # how much what is seen close around a hit counts, against the whole picture


class Conditions:
    """All vectors of one request. Each is (rows, D) float32 of length 1 on the CPU.

    ``warnings``: what the model makes little of.
    """

    def __init__(self, request: FoleyRequest, models: Models, control: JobControl) -> None:
        self._request = request
        self._models = models
        self._control = control
        self._by_clip = models.bundle.condition == "clip"
        self._words: dict[str, Tensor] = {}
        self.mapper_name = "none"
        self.warnings: list[str] = []
        self._seen: Tensor | None = None  # (T, D), where pictures decide
        self._prompt: Tensor | None = None  # (D,), where it pushes what pictures decide
        control.progress("looking", 0.0)
        self._row = self._starting_point(control)
        control.check()
        control.progress("mapping", 0.0)
        self.negative = self._kept_out()
        self._pulls = [
            (self._text(pull.words), pull.weight)
            for pull in request.pulls
            if pull.weight and pull.words.strip()
        ]

    def bed(self, spans_s: Iterable[tuple[float, float]]) -> Tensor:
        """(W, D): one row for each window, given in seconds."""
        times, spans = self._request.times_s, list(spans_s)
        rows = self._row([self._seen_in(_frames_within(times, *span)) for span in spans])
        words, in_sync = self._request.background, self._request.in_sync
        if words.strip():
            rows = move(rows, self._text(words), WORDS_STRENGTH)
        if in_sync:
            rows = torch.cat([self._hit(row, span) for row, span in zip(rows, spans, strict=True)])
        return self._nudged(rows, by_prompt=in_sync or not words.strip())

    def _hit(self, row: Tensor, span_s: tuple[float, float]) -> Tensor:
        """(1, D): one row of the bed, moved towards the words of what is hit then."""
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
        """(G, D): one row for each kind of hit, moved towards its words."""
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
        return self._models.captions.heard(self._models.in_clap(rows))

    def _starting_point(self, control: JobControl) -> Callable[[Sequence[Tensor | None]], Tensor]:
        """A function from what was seen to rows; where words alone decide, it gives them for anything."""
        request = self._request
        if request.condition != "picture":
            words = self._spoken(request.prompt, request.condition)
            return lambda seen: words.expand(len(seen), -1)
        if request.prompt.strip():
            self._prompt = self._text(request.prompt)
        self._seen = self._models.clip.encode_images(request.frames, control)
        control.check()
        return lambda seen: self._mapped(torch.stack([row for row in seen if row is not None]))

    def _spoken(self, words: str, kind: str) -> Tensor:
        """(1, D): words as the condition. Raises BadInput, ModelMissing, ModelRefused."""
        bundle = self._models.bundle
        if not words.strip():
            raise BadInput("Without a picture the words decide; write in the prompt what is to be heard.")
        if kind == "clap_text" and self._by_clip:
            raise BadInput(
                f"The model {bundle.title} has learnt from pictures alone and reads words through CLIP; "
                "ask for that, or choose another model."
            )
        self._doubt(words, self._models.clap if kind == "clap_text" else self._models.clip)
        if kind == "clap_text":
            return self._text(words).unsqueeze(0)
        return self._mapped(self._read(words, self._tell, by_prior=kind == "clip_text_prior"))

    def _doubt(self, words: str, reader: TextEncoder) -> None:
        """Warns of words that the model does not know, or does not read to their end."""
        if not any(letter.isascii() and letter.isalpha() for letter in words):
            self.warnings.append("The words have no Latin letters; the models know English, so try that.")
        if len(words.split()) < LONG:
            return
        shorter = words.rsplit(None, 1)[0]
        if torch.equal(reader.encode_text([words]), reader.encode_text([shorter])):
            self.warnings.append("The words are more than the model reads; their end changes nothing.")

    def _read(self, words: str, tell: Callable[[float], None], *, by_prior: bool) -> Tensor:
        """(1, D): words as CLIP reads them, or as what CLIP would see where they hold."""
        clip = self._models.clip
        if not by_prior:
            return clip.encode_text([words])
        seed = seed_of(self._request.seed, "prior")
        return self._models.text_prior().pictured(clip, [words], seed, tell).float().cpu()

    def _mapped(self, clip_rows: Tensor) -> Tensor:
        if self._by_clip:
            return normalize(clip_rows.float().cpu(), dim=-1)
        mapper = self._models.mapper(self._request.mapper, self._tell)
        self.mapper_name = mapper.name
        return mapper.map(clip_rows, seed_of(self._request.seed, "mapper"), self._tell).float().cpu()

    def _tell(self, fraction: float) -> None:
        self._control.check()
        self._control.progress("mapping", 0.99 * fraction)

    def _nudged(self, rows: Tensor, *, by_prompt: bool = True) -> Tensor:
        prompt = self._prompt if by_prompt else None
        return pulled(move(rows, prompt, self._request.nudge), self._pulls)

    def _kept_out(self) -> Tensor:
        """(D,) what guidance leads away from; without words what the generator knows as nothing."""
        words = self._request.negative_prompt
        if self._by_clip and not words.strip():
            return torch.zeros(self._models.clip.size)
        return self._text(words)

    def _text(self, words: str) -> Tensor:
        """(D,) unit; alone in its batch, because the last bits depend on what is computed with it."""
        if not self._by_clip:
            return self._models.clap.encode_text([words])[0]
        if words not in self._words:
            by_prior = self._models.bundle.has(TEXT_PRIOR)
            row = self._read(words, lambda fraction: self._control.check(), by_prior=by_prior)
            self._words[words] = normalize(row, dim=-1)[0]
        return self._words[words]


def _frames_within(times_s: np.ndarray, start_s: float, stop_s: float) -> list[int]:
    """Frames shown in a window, or else the one nearest to its middle; none if there is no picture."""
    inside: list[int] = np.flatnonzero((times_s >= start_s) & (times_s < stop_s)).tolist()
    if inside:
        return inside
    frame = _frame_at(times_s, (start_s + stop_s) / 2)
    return [] if frame is None else [frame]


def _frame_at(times_s: np.ndarray, time_s: float) -> int | None:
    return int(np.abs(times_s - time_s).argmin()) if len(times_s) else None
