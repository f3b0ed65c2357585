# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything of one bundle that a job needs, loaded once and in the order in which a job needs it."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ...addon.wire.errors import ModelRefused
from ..control import JobControl
from .audioldm import AudioLDM, load_audioldm, silent_latent
from .bundle import Bundle
from .captions import Progress, Side, load_side
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
    """The parts of one bundle on one device. ``offset``: samples by which the vocoder comes late.

    captions: as CLAP reads them; ``read_captions`` reads them with CLIP.
    """

    bundle: Bundle
    device: torch.device
    dtype: torch.dtype
    clip: ClipEncoder
    clap: ClapEncoder
    captions: Side
    read_captions: Callable[[Progress | None], Side] = field(repr=False)
    audioldm: AudioLDM
    vocoder: Vocoder | SpectralVocoder
    offset: int
    _mappers: dict[str, Mapper] = field(default_factory=dict)
    _bridge: Bridge | None = None
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

    def mapper(self, kind: str, progress: Progress | None = None) -> Mapper:
        """``progress`` as of ``bridge``. Raises ModelMissing, ModelRefused, OutOfMemory."""
        name = choose(self.bundle, kind)
        if name == "bridge":
            return self.bridge(progress)
        if name not in self._mappers:
            sizes = (self.clip.size, self.captions.rows.shape[1])
            self._mappers[name] = load_mapper(self.bundle, name, sizes, self.device)
        return self._mappers[name]

    def bridge(self, progress: Progress | None = None) -> Bridge:
        """For this alone CLIP reads the captions. ``progress`` is called with 0..1 the first time, and may
        raise to stop. Raises OutOfMemory.
        """
        if self._bridge is None:
            seen = self.read_captions(progress)
            self._bridge = Bridge(seen.to(self.device), self.captions.to(self.device))
        return self._bridge

    def in_clap(self, rows: torch.Tensor) -> torch.Tensor:
        """Conditions (W, D) as CLAP would hear them (W, 512); those of CLIP go by way of the captions."""
        return self.bridge().map(rows, 0).cpu() if self.bundle.condition == "clip" else rows

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

    def read(encoder: ClipEncoder | ClapEncoder, progress: Progress | None) -> Side:
        return load_side(encoder, cache_dir, progress, texts, computed_on=f"{device.type} {dtype}")

    heard = read(clap, lambda part: reached(0.75 + 0.15 * part))
    reached(0.9)
    models = Models(
        bundle=bundle,
        device=device,
        dtype=dtype,
        clip=clip,
        clap=clap,
        captions=heard,
        read_captions=functools.partial(read, clip),
        audioldm=audioldm,
        vocoder=vocoder,
        offset=offset,
    )
    if bundle.condition == "clip" or choose(bundle, "auto") == "bridge":  # most jobs need it
        models.bridge(lambda part: reached(0.9 + 0.1 * part))
    reached(1.0)
    _log.info("loaded %s on %s in %s, vocoder offset %d samples", bundle.name, device, dtype, offset)
    return models
