# SPDX-License-Identifier: GPL-3.0-or-later
"""What each sound is to be like: from pictures and words to unit vectors in CLAP's space.

The picture's condition follows the shot: one vector for each window of the bed, from the frames that the
window shows, and one for each kind of hit, from the frame in which it is hardest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..addon.wire.errors import BadInput
from ..addon.wire.messages import FoleyRequest, Heard
from .control import JobControl
from .models.loaded import Models
from .models.nudge import move
from .sampling.noise import seed_of
from .sound.layers import Group

WORDS_STRENGTH = 0.7  # the scene knows what is hit; the picture still says what it looks like


class Conditions:
    """All vectors of one request. Each is (rows, 512) float32 of length 1 on the CPU."""

    def __init__(self, request: FoleyRequest, models: Models, control: JobControl) -> None:
        self._request = request
        self._models = models
        self._control = control
        self.mapper_name = "auto"
        self._prompt = self._text(request.prompt) if request.prompt.strip() else None
        control.progress("looking", 0.0)
        self._row = self._starting_point(control)
        control.check()
        control.progress("mapping", 0.0)
        self.negative = self._text(request.negative_prompt)

    def bed(self, spans_s: Iterable[tuple[float, float]]) -> Tensor:
        """(W, 512): one row for each window, given in seconds."""
        rows = self._row([_frames_within(self._request.times_s, *span) for span in spans_s])
        return self._nudged(rows)

    def spots(self, groups: Sequence[Group]) -> Tensor:
        """(G, 512): one row for each group of hits, moved towards its words."""
        times = self._request.times_s
        nearest = [_frame_at(times, float(group.strongest.time_s)) for group in groups]
        rows = self._row([[frame] if frame is not None else [] for frame in nearest])
        moved = [
            move(row.unsqueeze(0), self._text(group.words), WORDS_STRENGTH)
            for row, group in zip(rows, groups, strict=True)
        ]
        return self._nudged(torch.cat(moved))

    def heard(self, rows: Tensor) -> tuple[Heard, ...]:
        """The captions nearest to ``rows``."""
        return self._models.bank.heard(rows)

    def _starting_point(self, control: JobControl) -> Callable[[list[list[int]]], Tensor]:
        """A function from lists of frames to rows; where words alone decide, it gives them for any frames."""
        kind = self._request.condition
        if kind == "picture":
            seen = self._models.clip.encode_images(self._request.frames, control)
            control.check()
            return lambda frames: self._mapped(torch.stack([seen[some].mean(0) for some in frames]))
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
        return lambda frames: words.expand(len(frames), -1)

    def _mapped(self, clip_rows: Tensor) -> Tensor:
        mapper = self._models.mapper(self._request.mapper)
        self.mapper_name = mapper.name
        return mapper.map(clip_rows, seed_of(self._request.seed, "mapper"), self._tell).float().cpu()

    def _tell(self, fraction: float) -> None:
        self._control.check()
        self._control.progress("mapping", 0.99 * fraction)

    def _nudged(self, rows: Tensor) -> Tensor:
        """Where the words already are the condition, they do not push it too."""
        if self._request.condition != "picture":
            return rows
        return move(rows, self._prompt, self._request.nudge)

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
