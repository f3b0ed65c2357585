# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a timeline as stems and their sum: broadcast waves of one length, for other editors. No bpy.

A little at a time, so that it can be done between two redraws, and a piece of a few seconds in memory at
most. All stems get one gain, so that they add up to the mix, and the mix never clips.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..wire.errors import BadInput, SaveError
from . import wav

CEILING = 0.891  # -1 dBFS
PIECE_S = 2
MIX = "mix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a WAV on the timeline, from ``start`` on; ``skip``: samples of the file left out before."""

    path: Path
    start: int
    count: int
    skip: int = 0
    gain: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write. ``stems``: their parts by name; ``samples``: length of each; ``target``: as A.wav.

    ``target`` gives folder and first name: A.bed.wav, A.mix.wav.
    """

    stems: Mapping[str, Sequence[Part]]
    samples: int
    rate_hz: int
    target: Path
    stamp: wav.Stamp


class Export:
    """``step`` until it returns False; then ``files`` are there. ``close`` at any time."""

    def __init__(self, plan: Plan) -> None:
        """Raises BadInput when there is nothing to write."""
        if plan.samples < 1 or not any(plan.stems.values()):
            raise BadInput("There is no sound to export in this range; generate some first.")
        self._plan = plan
        self.names = [name for name, parts in plan.stems.items() if parts]
        self._work = self._run()
        self._open = contextlib.ExitStack()
        self._temporary: dict[str, Path] = {}
        self.files: dict[str, Path] = {}
        self.progress = 0.0
        self.gain = 1.0

    def step(self) -> bool:
        """Do a little; False when all is written. Raises SaveError, and has then removed what it began."""
        try:
            return next(self._work, None) is not None
        except (OSError, SaveError) as error:
            self.close()
            if isinstance(error, SaveError):
                raise
            raise SaveError(
                f"The sound could not be exported to {self._plan.target.parent}; make room there, or choose "
                "another folder.",
                str(error),
            ) from error

    def close(self) -> None:
        """End early; nothing half-written stays."""
        self._work.close()
        with contextlib.suppress(OSError):  # what waits in the files' buffers may not fit either
            self._open.close()
        for path in self._temporary.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        self._temporary.clear()

    def _run(self) -> Generator[float, None, None]:
        plan, step = self._plan, PIECE_S * self._plan.rate_hz
        channels, peak = 1, 0.0
        for start in range(0, plan.samples, step):
            stop = min(start + step, plan.samples)
            pieces = [piece(plan.stems[name], start, stop, plan.rate_hz) for name in self.names]
            channels = max(channels, *(sound.shape[1] for sound in pieces))
            peak = max(peak, float(np.abs(_sum(pieces)).max(initial=0.0)))
            peak = max(peak, *(float(np.abs(sound).max(initial=0.0)) for sound in pieces))
            self.progress = 0.5 * stop / plan.samples
            yield self.progress
        self.gain = min(1.0, CEILING / peak) if peak > 1.0 else 1.0
        writers = {name: self._begin(name, channels) for name in (*self.names, MIX)}
        for start in range(0, plan.samples, step):
            stop = min(start + step, plan.samples)
            pieces = [piece(plan.stems[name], start, stop, plan.rate_hz) * self.gain for name in self.names]
            pieces.append(_sum(pieces))
            for name, sound in zip((*self.names, MIX), pieces, strict=True):
                wide = np.broadcast_to(sound, (len(sound), channels)) if sound.shape[1] == 1 else sound
                writers[name].write(np.clip(wide, -1.0, 1.0))
            self.progress = 0.5 + 0.5 * stop / plan.samples
            yield self.progress
        self._finish()

    def _begin(self, name: str, channels: int) -> wav.BroadcastWave:
        plan = self._plan
        plan.target.parent.mkdir(parents=True, exist_ok=True)
        final = plan.target.with_name(f"{plan.target.stem}.{name}.wav")
        self.files[name] = final
        self._temporary[name] = final.with_name(f".{final.name}.{os.getpid()}.part")
        file: BinaryIO = self._open.enter_context(self._temporary[name].open("wb"))
        stamp = replace(plan.stamp, description=f"{plan.stamp.description} {name}".strip())
        return wav.BroadcastWave(
            file, samples=plan.samples, channels=channels, rate_hz=plan.rate_hz, stamp=stamp
        )

    def _finish(self) -> None:
        self._open.close()
        for name, path in list(self._temporary.items()):
            os.replace(path, self.files[name])
            del self._temporary[name]


def export(plan: Plan) -> dict[str, Path]:
    """All of it at once: the files by the names of their stems, and the mix. Raises BadInput, SaveError."""
    work = Export(plan)
    while work.step():
        continue
    return work.files


def piece(parts: Sequence[Part], start: int, stop: int, rate_hz: int) -> np.ndarray:
    """(stop - start, channels) float32: what ``parts`` sound like there. Raises SaveError."""
    sound = np.zeros((stop - start, 1), np.float32)
    for part in parts:
        first, last = max(start, part.start), min(stop, part.start + part.count)
        if first >= last:
            continue
        found, rate = wav.read(part.path, part.skip + first - part.start, last - first)
        if rate != rate_hz:
            raise SaveError(f"The sound {part.path} has {rate} Hz, not {rate_hz}; generate it again.")
        if found.shape[1] > sound.shape[1]:
            sound = np.repeat(sound, found.shape[1], axis=1)
        at = first - start
        sound[at : at + len(found)] += found * np.float32(part.gain)
    return sound


def _sum(pieces: Sequence[np.ndarray]) -> np.ndarray:
    widest = max(sound.shape[1] for sound in pieces)
    total = np.zeros((len(pieces[0]), widest), np.float32)
    for sound in pieces:
        total += sound
    return total
