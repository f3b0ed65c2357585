# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound from the magnitudes of its spectrum: the fast Griffin-Lim algorithm.

Perraudin, Balazs & Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013; momentum 0.99. Steady phases to
begin with: Beauregard, Harish & Wyse, "Single pass spectrogram inversion", DSP 2015.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .mel import HOP, N_FFT

MOMENTUM = 0.99
_NOTHING = -50.0  # log of a magnitude
_AROUND, _REACH = 8, 5  # frequencies to either side: what a peak is compared with, and where it rules
_STANDING_OUT = 1.2  # of a peak's log-magnitude above the mean around it
SHORTEST = 8  # frames; the analysis window has to fit in

Check = Callable[[int], None]


def sound_of(
    magnitudes: Tensor,
    *,
    rounds: int,
    steady: bool = False,
    seed: int = 0,
    check: Check = lambda round: None,
) -> Tensor:
    """(B, T, 513) magnitudes >= 0, frame k around sample 160 k -> (B, 160 T) float32 at 16 kHz.

    Phases begin at random, the same for every row and on every device; or, ``steady``, around the
    spectrum's peaks as tones would have them. ``check`` is called with the number of each round and may raise
    to stop; nothing else in the loop waits for the device.
    """
    turns = turns_of(magnitudes, rounds=rounds, steady=steady, seed=seed, check=check)
    return put_together(magnitudes, turns)


def turns_of(
    magnitudes: Tensor,
    *,
    rounds: int,
    steady: bool = False,
    seed: int = 0,
    check: Check = lambda round: None,
) -> Tensor:
    """The phases that ``sound_of`` finds: (B, 513, frames) complex numbers of size 1."""
    wanted = _with_end(magnitudes)
    samples = (wanted.shape[2] - 1) * HOP
    window = torch.hann_window(N_FFT, device=wanted.device)
    phase = _steady(wanted, seed) if steady else _random(wanted, seed)
    turns = torch.polar(torch.ones_like(phase), phase)
    before = torch.zeros_like(turns)
    for number in range(rounds):
        check(number)
        sound = torch.istft(wanted * turns, N_FFT, HOP, window=window, length=samples)
        found = torch.stft(sound, N_FFT, HOP, window=window, pad_mode="reflect", return_complex=True)
        ahead = found + MOMENTUM * (found - before)
        turns = ahead / ahead.abs().clamp_min(1e-12)
        before = found
    return turns


def put_together(magnitudes: Tensor, turns: Tensor) -> Tensor:
    """(B, T, 513) magnitudes and their phases -> (B, 160 T). Gradients reach the magnitudes."""
    wanted = _with_end(magnitudes)
    window = torch.hann_window(N_FFT, device=wanted.device)
    samples = (wanted.shape[2] - 1) * HOP
    sound = torch.istft(wanted * turns, N_FFT, HOP, window=window, length=samples)
    return sound[:, : magnitudes.shape[1] * HOP]


def _with_end(magnitudes: Tensor) -> Tensor:
    """(B, 513, frames): also the frame around the end, and as many as the window needs."""
    held = magnitudes[:, -1:].expand(-1, max(1, SHORTEST + 1 - magnitudes.shape[1]), -1)
    return torch.cat((magnitudes, held), 1).transpose(1, 2)


def _random(wanted: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.pi * torch.rand(wanted.shape[1:], generator=generator)).to(wanted).expand_as(wanted)


def _steady(wanted: Tensor, seed: int) -> Tensor:
    """(B, 513, frames): around a peak that stands out, phases turn as the peak does, whose own place between
    two frequencies is that of a parabola's top; so a tone goes on from frame to frame instead of beating.
    Elsewhere they are random: noise must not become pulses. On the processor, which has all it takes.
    """
    logs = wanted.cpu().clamp_min(1e-8).log()
    bins, indices = logs.shape[1], torch.arange(logs.shape[1])[None, :, None]
    edged = functional.pad(logs, (0, 0, 1, 1), value=_NOTHING)
    below, above = edged[:, :-2], edged[:, 2:]
    around = functional.avg_pool2d(logs, (2 * _AROUND + 1, 1), 1, (_AROUND, 0), count_include_pad=False)
    is_peak = (logs >= below) & (logs > above) & (logs > around + _STANDING_OUT)
    under = torch.where(is_peak, indices, -2 * bins).cummax(1).values
    over = torch.where(is_peak, indices, 3 * bins).flip(1).cummin(1).values.flip(1)
    nearest = torch.where(indices - under <= over - indices, under, over)
    is_tone = (nearest - indices).abs() <= _REACH
    bent = (below - 2.0 * logs + above).clamp_max(-1e-6)
    top = indices + (0.5 * (below - above) / bent).clamp(-0.5, 0.5)
    place = torch.where(is_tone, top.gather(1, nearest.clamp(0, bins - 1)), indices)
    turned = place.double() * HOP / N_FFT  # in turns, from one frame to the next
    between = 0.5 * (turned + functional.pad(turned[..., :-1], (1, 0)))
    turns = between.cumsum(2) + 0.5 * indices  # a frame's phases are counted from its middle
    return torch.where(is_tone, 2 * torch.pi * (turns % 1.0), _random(logs, seed)).to(wanted)
