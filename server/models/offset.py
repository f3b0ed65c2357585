# SPDX-License-Identifier: GPL-3.0-or-later
"""How late a vocoder speaks: a click goes in as a spectrogram, and where it comes out is measured.

Strips are placed to the frame, so a lag that training put into the vocoder must be known and taken off.
"""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from . import mel
from .spectral_vocoder import SpectralVocoder
from .vocoder import Vocoder

FRAMES = 48
LONGEST_S = 0.1  # what is further away is no offset
NEAR_S = 0.015
TRUSTED = 0.8  # share of the click's energy that must be near its peak, or the vocoder does not know clicks

_log = logging.getLogger(__name__)


@torch.inference_mode()
def measure_offset(vocoder: Vocoder | SpectralVocoder) -> int:
    """Samples by which the vocoder's sound comes late (negative: early); 0 if it does not answer to a
    click.
    """
    hop, rate = vocoder.hop, vocoder.rate_hz
    expected = FRAMES // 2 * hop
    silence = torch.zeros(FRAMES * hop)
    click = silence.clone()
    click[expected] = 0.9
    pair = torch.stack((log_mel(click, vocoder)[:FRAMES], log_mel(silence, vocoder)[:FRAMES]))
    with_click, without = vocoder(pair).cpu().double()
    answer = (with_click - without).square()
    total = float(answer.sum())
    if not math.isfinite(total) or total <= 0.0:
        return 0
    near = round(NEAR_S * rate)
    peak = int(_smooth(answer, rate // 1000).argmax())
    around = answer[max(0, peak - near) : peak + near + 1]
    index = torch.arange(max(0, peak - near), max(0, peak - near) + len(around), dtype=torch.float64)
    if float(around.sum()) < TRUSTED * total:
        _log.info("the vocoder does not answer to a click; its offset is taken to be nothing")
        return 0
    offset = round(float((index * around).sum() / around.sum())) - expected
    return offset if abs(offset) <= LONGEST_S * rate else 0


def log_mel(sound: Tensor, vocoder: Vocoder | SpectralVocoder) -> Tensor:
    """(samples,) -> (frames, mels): AudioLDM's analysis at the vocoder's own hop, bands and rate."""
    return mel.log_mel(sound, hop=vocoder.hop, mels=vocoder.mels, rate_hz=vocoder.rate_hz)


def _smooth(energy: Tensor, width: int) -> Tensor:
    width = max(1, width) // 2 * 2 + 1
    kernel = torch.ones(1, 1, width, dtype=energy.dtype)
    return torch.nn.functional.conv1d(energy.view(1, 1, -1), kernel, padding=width // 2).view(-1)
