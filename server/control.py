# SPDX-License-Identifier: GPL-3.0-or-later
"""The seam between the engine and the pipeline: what one may ask of the other. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ..addon.wire.messages import (
    BundleInfo,
    Clip,
    Event,
    FoleyRequest,
    Heard,
    Picture,
    PictureRequest,
    Provenance,
)


class JobControl(Protocol):
    """What a running job may say, and must ask. Only on the thread that ``Pipeline.run`` was called on."""

    def check(self) -> None:
        """Raises Cancelled once the job is to stop. Called at every step and between parts."""

    def progress(self, phase: str, fraction: float) -> None:
        """``phase`` of messages.PHASES, ``fraction`` of that phase over the whole job, 0..1; a sign of life.

        Phases may alternate (bed, then spots) and be left out; the engine makes one rising number of them.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes in use: of the process, and of the device (0 on CPU)."""

    process_bytes: int
    device_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a pipeline made of a request; the engine adds the job's id and sends it.

    events, cuts: all that were used, as Result has them.
    """

    clips: tuple[Clip, ...]
    provenance: Provenance
    heard: tuple[Heard, ...] = ()
    warnings: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    cuts: tuple[Fraction, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Painting:
    """What a pipeline painted of a sound; the engine adds the job's id and sends it."""

    pictures: tuple[Picture, ...]
    provenance: Provenance
    warnings: tuple[str, ...] = ()


class Pipeline(Protocol):
    """Frames in, sound out; or a sound in, pictures out. One call at a time, from one thread, the one that
    made it.

    Exception: ``memory`` is also asked from within ``run`` and ``paint``, while those report progress, on the
    same thread.
    """

    def device(self) -> str:
        """Name for the panel, as "CUDA: RTX 4070" or "CPU"."""

    def bundles(self) -> tuple[BundleInfo, ...]:
        """What there is to choose from now; asked again whenever an add-on says Hello. Must be quick."""

    def run(self, request: FoleyRequest, control: JobControl) -> Rendering:
        """Raises Cancelled, BadInput, ModelError or OutOfMemory, and then leaves no state."""

    def paint(self, request: PictureRequest, control: JobControl) -> Painting:
        """As ``run``."""

    def release(self) -> None:
        """Give the weights and all device memory back; the next run loads again."""

    def memory(self) -> Memory:
        """Cheap: asked up to once a second."""
