# SPDX-License-Identifier: GPL-3.0-or-later
"""The round trip: does a picture of the made sound show what the shot shows?

A sound becomes a word, the word pictures (AudioToken), and CLIP holds those against the shot. It says what a
sound would be taken for by somebody who does not see the shot, and so it is one way to order takes: it knows
kinds of things, not fine differences, and as little about sounds as the painter does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..addon.wire.errors import BadInput
from .models.clip import ClipEncoder

if TYPE_CHECKING:
    from .control import JobControl
    from .models.audiotoken import AudioToken
    from .models.painter import Painter

PICTURES = 4  # of each sound; one alone may go astray
STEPS = 10  # what a thing is, is decided early
UNHEARD = -1.0  # the score of silence


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """Sounds to words to pictures to CLIP."""

    painter: Painter
    embedder: AudioToken
    clip: ClipEncoder
    words: str

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
                words = self.painter.read([self.words], token)
            pictures = self.painter.paint(words, seed=seed, takes=PICTURES, steps=STEPS, control=control)[0]
            rows = normalize(self.clip.encode_images(pictures, control).double(), dim=-1)
            found[number] = float(normalize(rows.mean(0), dim=-1) @ target)
        return found
