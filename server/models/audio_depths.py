# SPDX-License-Identifier: GPL-3.0-or-later
"""What a frozen audio network hears at several depths, place by place: AudioToken's view of a sound.

AudioToken (Yariv et al. 2023, arXiv:2305.13050) joins three depths of BEATs; here an ``Ear`` may also be the
bundle's own CLAP, whose stages are brought to one grid. The sound is heard as the trainings hear it: mono,
16 kHz, at the common level. Nothing here learns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...addon.wire import limits
from ...addon.wire.errors import BadInput, ModelRefused
from .bundle import SpaceId
from .clap import ClapEncoder, resample
from .device import memory_guard
from .level import level

if TYPE_CHECKING:
    from torch import Tensor, nn

HEARS_HZ = 16_000
WINDOW_S = 10  # what an ear takes in at once; longer sounds are heard in windows
WINDOWS = 12  # of one sound, at most: two minutes of it, spread evenly
AT_ONCE = 8  # windows in one pass
DEPTHS = 3
SILENT = 1e-4  # -80 dB: a peak below cannot be brought to the common level
FULL_SCALE = 1e4  # a number beyond is no sound
_SMOOTHEST = 640  # denominator of a ratio of rates; beyond, a resampler's table grows without use


class Ear(Protocol):
    """A frozen audio network. ``width``: C, numbers at each place, all depths together. ``kind``: "clap" or
    "beats"; ``space`` names the weights; ``modules``: what must not change while something else learns.
    """

    @property
    def kind(self) -> str: ...

    @property
    def space(self) -> SpaceId: ...

    @property
    def width(self) -> int: ...

    @property
    def modules(self) -> tuple[nn.Module, ...]: ...

    def places(self, waves: Tensor) -> Tensor:
        """(N, S) at 16 kHz, 10 seconds at most, to (N, P, C) float32 on the ear's device."""


class ClapEar:
    """The last stages of CLAP's audio tower, each averaged to the grid of the last and scaled to one size."""

    kind = "clap"

    def __init__(self, clap: ClapEncoder) -> None:
        self._clap = clap
        self._tower: Any = clap.audio_tower
        self.space = clap.space
        stages = len(self._tower.depths)
        if stages < DEPTHS:
            raise ModelRefused(f"This CLAP has {stages} stages; pictures of sounds need {DEPTHS}.")
        self.width = sum(self._tower.num_features >> depth for depth in range(DEPTHS))

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return (self._tower,)

    def places(self, waves: Tensor) -> Tensor:
        import torch
        from torch.nn.functional import adaptive_avg_pool2d, layer_norm

        device = next(self._tower.parameters()).device
        with torch.inference_mode(), memory_guard(device, "listening to the sound"):
            found = self._tower(
                self._clap.features(waves.to(device), HEARS_HZ),
                output_hidden_states=True,
                output_hidden_states_before_downsampling=True,
            ).hidden_states[-DEPTHS:]
            grid = found[-1].shape[-2:]
            maps = [adaptive_avg_pool2d(stage.float(), grid).flatten(2).mT for stage in found]
            joined = torch.cat([layer_norm(rows, rows.shape[-1:]) for rows in maps], dim=-1)
        return joined.clone()  # a plain tensor, which may be learnt from


def listen(ear: Ear, sounds: Sequence[np.ndarray], rate_hz: int) -> list[Tensor]:
    """Each (S,) sound to its (P, C) places, float32 on the ear's device; all windows of it one after the
    other. Raises BadInput as ``windows_of``.
    """
    import torch

    cut = [windows_of(sound, rate_hz) for sound in sounds]
    heard: list[Tensor] = []
    for group in _groups([window for windows in cut for window in windows]):
        heard += ear.places(torch.from_numpy(np.stack(group)))
    counts = iter(heard)
    return [torch.cat([next(counts) for _ in windows]) for windows in cut]


def windows_of(sound: np.ndarray, rate_hz: int) -> list[np.ndarray]:
    """(S,) at ``rate_hz`` to windows at 16 kHz and the common level: one if it is 10 seconds at most, else up
    to ``WINDOWS`` of 10 seconds, spread evenly.

    Raises BadInput for what cannot be heard: silence, nothing, numbers that are none, an impossible rate.
    """
    import torch

    low, high = limits.RATE_HZ
    if not low <= rate_hz <= high:
        raise BadInput(f"The sound has {rate_hz:,} samples a second; give one of {low:,} to {high:,}.")
    plain = np.asarray(sound)
    if plain.ndim != 1 or plain.dtype.kind != "f":
        raise BadInput("The sound must be one channel of numbers with a fraction.")
    window = WINDOW_S * rate_hz
    count = min(WINDOWS, max(1, -(-len(plain) // window)))
    starts = np.linspace(0, max(0, len(plain) - window), count).round().astype(int)
    pieces = np.stack([plain[start : start + window] for start in starts]).astype(np.float32)
    if count == WINDOWS and float(np.abs(pieces).max()) < SILENT:  # all between what can be heard
        loudest = min(max(0, int(np.abs(plain).argmax()) - window // 2), len(plain) - window)
        pieces = plain[None, loudest : loudest + window].astype(np.float32)
    _check(pieces)
    ratio = Fraction(HEARS_HZ, rate_hz).limit_denominator(_SMOOTHEST)
    heard = resample(torch.from_numpy(pieces), ratio.denominator, ratio.numerator).numpy()
    return list(level(heard.ravel(), HEARS_HZ).reshape(heard.shape))


def _check(pieces: np.ndarray) -> None:
    if not pieces.size:
        raise BadInput("The sound is empty; choose a sound that has a length.")
    loudest = float(np.abs(pieces).max())
    if not loudest <= FULL_SCALE:  # also if it is not a number
        raise BadInput("The sound has numbers that are no sound; export it again as a WAV file.")
    if loudest < SILENT:
        raise BadInput("The sound is silent here; choose a part of it where something can be heard.")


def _groups(windows: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Windows of the same length, a few at once, in their order."""
    group: list[np.ndarray] = []
    for window in windows:
        if group and (len(group) == AT_ONCE or len(window) != len(group[0])):
            yield group
            group = []
        group.append(window)
    if group:
        yield group
