# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything of one bundle that a job needs, loaded once and in the order in which a job needs it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...addon.wire.errors import ModelRefused
from ..control import JobControl
from .audioldm import AudioLDM, load_audioldm, silent_latent
from .bundle import Bundle
from .captions import Bank, load_bank
from .clap import ClapEncoder
from .clip import ClipEncoder
from .mapper import Bridge, Mapper, choose, load_mapper
from .offset import measure_offset
from .spectral_vocoder import SpectralVocoder
from .text_prior import TextPrior, load_text_prior
from .vocoder import Vocoder, load_vocoder

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Models:
    """The parts of one bundle on one device. ``offset``: samples by which the vocoder comes late."""

    bundle: Bundle
    device: torch.device
    dtype: torch.dtype
    clip: ClipEncoder
    clap: ClapEncoder
    bank: Bank
    audioldm: AudioLDM
    vocoder: Vocoder | SpectralVocoder
    offset: int
    _mappers: dict[str, Mapper] = field(default_factory=dict)
    _silence: torch.Tensor | None = None
    _text_prior: TextPrior | None = None

    @property
    def rate_hz(self) -> int:
        return self.vocoder.rate_hz

    @property
    def column_samples(self) -> int:
        """Samples of sound for one latent column: 640, which is 40 ms."""
        return self.audioldm.factor * self.vocoder.hop

    @property
    def bins(self) -> int:
        """Latent bins over the spectrum."""
        return self.vocoder.mels // self.audioldm.factor

    def mapper(self, kind: str) -> Mapper:
        """Raises ModelMissing, ModelRefused."""
        name = choose(self.bundle, kind)
        if name not in self._mappers:
            self._mappers[name] = load_mapper(self.bundle, name, self.bank, self.device)
        return self._mappers[name]

    def in_clap(self, rows: torch.Tensor) -> torch.Tensor:
        """Conditions (W, D) as CLAP would hear them (W, 512); those of CLIP go by way of the captions."""
        return Bridge(self.bank).map(rows, 0) if self.bundle.condition == "clip" else rows

    def silence(self) -> torch.Tensor:
        """(C, 1, F): a latent column of silence, on the device. Raises ModelMissing, ModelRefused."""
        if self._silence is None:
            self._silence = silent_latent(self.bundle, self.device, self.dtype, self.vocoder.mels)
        return self._silence

    def text_prior(self) -> TextPrior:
        """From CLIP's words to CLIP's pictures. Raises ModelMissing, ModelRefused."""
        if self._text_prior is None:
            self._text_prior = load_text_prior(self.bundle, self.device)
        return self._text_prior


def load_models(
    bundle: Bundle,
    device: torch.device,
    dtype: torch.dtype,
    control: JobControl,
    cache_dir: Path,
    texts: tuple[str, ...] | None = None,
) -> Models:
    """Loads with progress, stopping between parts. ``texts``: other captions than the project's.

    Raises ModelMissing, ModelRefused, OutOfMemory, Cancelled.
    """

    def reached(fraction: float) -> None:
        control.check()
        control.progress("loading", fraction)

    reached(0.0)
    clip = ClipEncoder.load(bundle, device, dtype)
    reached(0.2)
    clap = ClapEncoder.load(bundle, device, dtype)
    reached(0.4)
    audioldm = load_audioldm(bundle, device, dtype, control.check)
    reached(0.65)
    vocoder = load_vocoder(bundle, device, dtype)
    reached(0.75)
    if vocoder.rate_hz != bundle.sampling_rate or vocoder.mels % audioldm.factor:
        raise ModelRefused(
            f"The vocoder and the VAE of {bundle.title} do not belong together; pull it again."
        )
    offset = measure_offset(vocoder)
    bank = load_bank(bundle, clip, clap, cache_dir, lambda part: reached(0.75 + 0.25 * part), texts)
    reached(1.0)
    _log.info("loaded %s on %s in %s, vocoder offset %d samples", bundle.name, device, dtype, offset)
    return Models(
        bundle=bundle,
        device=device,
        dtype=dtype,
        clip=clip,
        clap=clap,
        bank=bank,
        audioldm=audioldm,
        vocoder=vocoder,
        offset=offset,
    )
