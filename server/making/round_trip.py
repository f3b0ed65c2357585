# SPDX-License-Identifier: GPL-3.0-or-later
"""The round trip: does a picture of the made sound show what the shot shows?

A sound becomes a word, the word pictures (AudioToken), and CLIP holds those against the shot. It says what a
sound would be taken for by somebody who does not see the shot, and so it is one way to order takes: it knows
kinds of things, not fine differences, and as little about sounds as the painter does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import BadInput
from ...addon.wire.messages import Clip, FoleyRequest
from ..sampling.noise import seed_of

if TYPE_CHECKING:
    from ..control import JobControl
    from ..models.audiotoken import AudioToken
    from ..models.clip import ClipEncoder
    from ..models.painter import Painter

PICTURES = 4  # of each sound; one alone may go astray
STEPS = 10  # what a thing is, is decided early
UNHEARD = -1.0  # the score of silence
WORDS = "a photo of a"  # before a sound's own word
NO_PICTURES = "The takes are in no order: this model paints no pictures of sounds."


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """Sounds to words to pictures to CLIP."""

    painter: Painter
    embedder: AudioToken
    clip: ClipEncoder

    def scores(
        self,
        sounds: Sequence[np.ndarray],
        rate_hz: int,
        seen: Tensor,
        *,
        seed: int = 0,
        control: JobControl | None = None,
    ) -> np.ndarray:
        """Sounds (samples,) at ``rate_hz``, the shot's CLIP row (D,) -> (N,) cosines in [-1, 1].

        All are painted from the same noise, so that only the sounds make them differ. Raises Cancelled.
        """
        target = normalize(seen.double().cpu(), dim=-1)
        found = np.full(len(sounds), UNHEARD)
        for number, sound in enumerate(sounds):
            if control is not None:
                control.check()
            try:
                token = self.embedder.tokens([sound], rate_hz)
            except BadInput:
                continue  # there is nothing to hear, so there is nothing to see
            with torch.inference_mode():
                words = self.painter.read([WORDS], token)
            pictures = self.painter.paint(words, seed=seed, takes=PICTURES, steps=STEPS, control=control)[0]
            rows = normalize(self.clip.encode_images(pictures, control, whole=True).double(), dim=-1)
            found[number] = float(normalize(rows.mean(0), dim=-1) @ target)
        return found

    def order(self, request: FoleyRequest, clips: Sequence[Clip], control: JobControl) -> dict[int, float]:
        """Take -> its score, the best first. What the shot shows is its pictures, or else its words.

        Raises Cancelled, OutOfMemory.
        """
        takes = sorted({clip.take for clip in clips})
        control = _Quiet(control)
        if len(request.frames):
            seen = self.clip.encode_images(request.frames, control, whole=True).mean(0)
        else:
            seen = self.clip.encode_text([request.prompt])[0]
        mixes = [mixed([clip for clip in clips if clip.take == take], request) for take in takes]
        seed = seed_of(request.seed, "round trip") % 2**31
        found = self.scores(mixes, request.rate_hz, seen, seed=seed, control=control)
        best = sorted(zip(takes, found.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
        return dict(best)


class _Quiet:
    """A job's control whose progress has been told already."""

    def __init__(self, control: JobControl) -> None:
        self.check = control.check

    def progress(self, phase: str, fraction: float) -> None:
        """What is painted here is no part of the job's sampling."""


def mixed(clips: Sequence[Clip], request: FoleyRequest) -> np.ndarray:
    """(samples,) what one take sounds like, all its clips together, at the request's rate."""
    whole = np.zeros(max(1, round(request.duration_s * request.rate_hz)), np.float32)
    for clip in clips:
        start = round(clip.start_s * clip.rate_hz)
        part = clip.waveform.mean(axis=1)[: max(0, len(whole) - start)]
        whole[start : start + len(part)] += part
    return whole / max(1.0, float(np.abs(whole).max()))


def renumbered(clips: Sequence[Clip], order: Mapping[int, float]) -> tuple[Clip, ...]:
    """The takes by their new places, beds before spots as they were, each with its score."""
    places = dict(zip(order, sorted(order), strict=True))
    changed = [replace(clip, take=places[clip.take], score=order[clip.take]) for clip in clips]
    layers = list(dict.fromkeys(clip.layer for clip in clips))
    return tuple(sorted(changed, key=lambda clip: (layers.index(clip.layer), clip.take)))
