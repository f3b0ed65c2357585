# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound in, pictures out: what CLAP hears becomes one word of a painter, and the painter paints it.

::

    waveform (samples,) -> its parts -> CLAP, several depths -> embedder -> tokens (B, W)
    -> "a photo of a" + token -> hidden states -> noise -> UNet, step by step -> latents -> VAE -> pixels

After AudioToken (Yariv et al. 2023, arXiv:2305.13050). A part in which nothing is heard becomes a black
picture, and a sentence says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ... import __version__
from ...addon.wire import limits
from ...addon.wire.errors import BadInput, ModelMissing
from ...addon.wire.messages import Picture, PictureRequest, Provenance
from ..control import JobControl, Painting
from ..models import device as devices
from ..models.audio_depths import SILENT
from ..models.bundle import Bundle
from ..models.bundle_parts import EMBEDDER
from ..models.clap import ClapEncoder
from ..models.finding import find_bundle

if TYPE_CHECKING:
    from ..models.audiotoken import AudioToken
    from ..models.painter import Painter

AT_ONCE = 8  # pictures painted together
STEPS = {"draft": 10, "good": 20, "best": 50}
SHORT_S = Fraction(1, 4)  # less sound than this says little
TOLD = 3  # parts named in a warning


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintModels:
    """What pictures of sounds need, on one device. ``bundle``: the one that paints."""

    bundle: Bundle
    listens: Bundle
    painter: Painter
    audiotoken: AudioToken
    device: torch.device
    dtype: torch.dtype


def find_bundles(request: PictureRequest, folder: Path) -> tuple[Bundle, Bundle]:
    """The bundle that listens and the one that paints. Raises ModelMissing, ModelRefused."""
    listens = find_bundle(request.bundle, folder)
    paints = find_bundle(request.pictures, folder) if request.pictures else listens
    if "pictures" not in paints.makes:
        raise ModelMissing(f"The model {paints.title} paints no pictures; choose one that does.")
    if not paints.has(EMBEDDER):
        raise ModelMissing(
            f"The model {paints.title} paints, but not from sounds; choose one that does, or train its "
            "embedder with: footfall train audiotoken"
        )
    return listens, paints


def load(
    listens: Bundle,
    paints: Bundle,
    device: torch.device,
    dtype: torch.dtype,
    control: JobControl,
    clap: ClapEncoder | None = None,
) -> PaintModels:
    """Loads with progress. ``clap``: of ``listens``, where it is loaded already.

    Raises ModelMissing; ModelRefused, also where the embedder belongs to another CLAP or painter.
    """
    from ..models.audiotoken import load_audiotoken
    from ..models.painter import load_painter

    control.check()
    control.progress("loading", 0.0)
    clap = clap or ClapEncoder.load(listens, device, dtype)
    control.check()
    control.progress("loading", 0.3)
    painter = load_painter(paints, device, dtype, control.check)
    control.progress("loading", 0.9)
    audiotoken = load_audiotoken(paints, painter, clap)
    control.progress("loading", 1.0)
    return PaintModels(
        bundle=paints,
        listens=listens,
        painter=painter,
        audiotoken=audiotoken,
        device=device,
        dtype=dtype,
    )


def paint(request: PictureRequest, models: PaintModels, control: JobControl) -> Painting:
    """Pictures of every part and take. Raises BadInput where nothing is heard, Cancelled, OutOfMemory."""
    parts = [
        request.waveform[round(start_s * request.rate_hz) : max(round(end_s * request.rate_hz), 1)]
        for start_s, end_s in zip(request.starts_s, request.ends_s, strict=True)
    ]
    heard = [number for number, part in enumerate(parts) if float(np.abs(part).max(initial=0.0)) >= SILENT]
    if not heard:
        raise BadInput(
            "There is nothing to hear in this sound, so there is nothing to paint; choose another."
        )
    tokens = _listen(request, models, [parts[number] for number in heard], control)
    painted = _paint(request, models, tokens, control)
    size = models.painter.size
    rows = {number: painted[index] for index, number in enumerate(heard)}
    black = np.zeros((request.takes, size, size, 3), np.uint8)
    pictures = tuple(
        Picture(span=number, take=take, pixels=np.ascontiguousarray(rows.get(number, black)[take]))
        for number in range(len(parts))
        for take in range(request.takes)
    )
    control.progress("finishing", 1.0)
    return Painting(
        pictures=pictures, provenance=_provenance(request, models), warnings=_warnings(request, heard)
    )


def _listen(
    request: PictureRequest, models: PaintModels, sounds: list[np.ndarray], control: JobControl
) -> Tensor:
    """(B, W) tokens, one for each sound."""
    rows = []
    for number, sound in enumerate(sounds):
        control.check()
        control.progress("mapping", number / len(sounds))
        rows.append(models.audiotoken.tokens([sound], request.rate_hz))
    control.progress("mapping", 1.0)
    return torch.cat(rows)


def _paint(request: PictureRequest, models: PaintModels, tokens: Tensor, control: JobControl) -> np.ndarray:
    """(B, takes, H, W, 3) uint8, a few sounds at a time. All have the same noise, so that only what is heard
    makes them differ.
    """
    together = max(1, AT_ONCE // request.takes)
    groups = [tokens[start : start + together] for start in range(0, len(tokens), together)]
    found = []
    for number, group in enumerate(groups):
        share = _Share(control, number / len(groups), 1 / len(groups))
        conditions = models.painter.read([request.words] * len(group), group)
        found.append(
            models.painter.paint(
                conditions,
                seed=request.seed,
                takes=request.takes,
                steps=_steps(request),
                guidance=_guidance(request, models),
                control=share,
            )
        )
    return np.concatenate(found)


class _Share:
    """A part of the job's sampling, to whoever paints a group of pictures."""

    def __init__(self, control: JobControl, start: float, share: float) -> None:
        self._control, self._start, self._share = control, start, share

    def check(self) -> None:
        self._control.check()

    def progress(self, phase: str, fraction: float) -> None:
        self._control.progress(phase, self._start + self._share * fraction)


def _steps(request: PictureRequest) -> int:
    return request.steps or STEPS[request.quality]


def _guidance(request: PictureRequest, models: PaintModels) -> float:
    return request.guidance or models.painter.guidance


def _warnings(request: PictureRequest, heard: list[int]) -> tuple[str, ...]:
    spans = list(zip(request.starts_s, request.ends_s, strict=True))
    silent = [span for number, span in enumerate(spans) if number not in set(heard)]
    short = [spans[number] for number in heard if spans[number][1] - spans[number][0] < SHORT_S]
    told = []
    if silent:
        told.append(f"Nothing is heard in {_named(silent)}, so there the picture is black.")
    if short:
        told.append(f"So little sound says little: {_named(short)}. Choose longer parts.")
    return tuple(told)


def _named(spans: list[tuple[Fraction, Fraction]]) -> str:
    names = [f"{float(start_s):.2f} to {float(end_s):.2f} s" for start_s, end_s in spans[:TOLD]]
    more = len(spans) - len(names)
    return ", ".join(names) + (f" and {more} more parts" if more else "")


def _provenance(request: PictureRequest, models: PaintModels) -> Provenance:
    paints, listens = models.bundle, models.listens
    licences = dict.fromkeys((paints.licence, listens.licence))
    return Provenance(
        bundle=paints.name,
        bundle_sha256=paints.sha256,
        licence=" and ".join(licences)[: limits.NAME],
        commercial=paints.commercial and listens.commercial,
        mapper="none",
        version=__version__,
        device=devices.describe(models.device),
        dtype=str(models.dtype).removeprefix("torch."),
        steps=_steps(request),
        guidance=_guidance(request, models),
    )


class Picturing:
    """The models of the last picture, kept until ``release``. ``load``: how bundles become models."""

    def __init__(self, load: Callable[..., PaintModels] = load) -> None:
        self._load = load
        self._models: PaintModels | None = None

    def release(self) -> None:
        self._models = None

    def models(
        self,
        listens: Bundle,
        paints: Bundle,
        device: torch.device,
        dtype: torch.dtype,
        control: JobControl,
        lend: Callable[[Bundle], ClapEncoder | None],
    ) -> PaintModels:
        """The models of two bundles, which may be one. ``lend``: a bundle's CLAP, if somebody has it loaded.

        Raises as ``load``.
        """
        kept = self._models
        if kept is None or (kept.bundle.sha256, kept.listens.sha256) != (paints.sha256, listens.sha256):
            self._models = None  # before others are loaded
            self._models = kept = self._load(listens, paints, device, dtype, control, lend(listens))
        return kept
