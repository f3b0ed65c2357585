# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of a strip as samples, read by Blender's own decoders, a few seconds a step."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import aud
import numpy as np

from ...wire import limits
from ...wire.errors import BadInput

PIECE_S = 4  # decoded in one step: some 20 ms
MOST_HZ = limits.SOUND_SAMPLES // limits.DURATION_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``length_s`` of the file ``path`` from ``start_s`` on. ``packed``: the file itself, where the .blend
    holds it; ``name``: for sentences.
    """

    path: Path
    name: str
    start_s: Fraction
    length_s: Fraction
    packed: bytes = b""


class Reading:
    """Reads a part; where the file is shorter, silence follows."""

    def __init__(self, part: Part) -> None:
        """Raises BadInput for what is no sound."""
        self._part = part
        self._pieces: list[np.ndarray] = []
        self._at_s = Fraction(0)
        self._folder: Any = None
        try:
            self._sound = aud.Sound.file(str(self._file()))
            rate, _ = self._sound.specs
        except (aud.error, OSError) as error:
            raise _unreadable(part, str(error)) from error
        if not 1 <= rate <= 1e6:
            raise _unreadable(part, f"{rate} samples a second")
        # Aliases of what nobody hears do no harm: such rates are brought into bounds by the simplest means.
        self._divide = max(1, -(-round(rate) // MOST_HZ))
        self._repeat = max(1, -(-limits.RATE_HZ[0] // round(rate)))
        self.rate_hz = round(rate) * self._repeat // self._divide

    def _file(self) -> Path:
        if not self._part.packed:
            return self._part.path
        self._folder = tempfile.TemporaryDirectory(prefix="footfall-")
        path = Path(self._folder.name) / f"packed{self._part.path.suffix}"
        path.write_bytes(self._part.packed)
        return path

    @property
    def progress(self) -> float:
        """0..1"""
        return min(1.0, float(self._at_s / self._part.length_s))

    def step(self) -> bool:
        """Read a little; whether there is more. Raises BadInput."""
        begin = self._part.start_s + self._at_s
        length = min(Fraction(PIECE_S), self._part.length_s - self._at_s)
        try:
            data = self._sound.limit(float(begin), float(begin + length)).data()
        except aud.error as error:
            raise _unreadable(self._part, str(error)) from error
        self._at_s += length
        wanted = round(length * self.rate_hz)
        self._pieces.append(_fit(self._in_bounds(np.asarray(data)), wanted))
        return self._at_s < self._part.length_s

    def _in_bounds(self, data: np.ndarray) -> np.ndarray:
        """(n, channels) as the file has it to (m,) at ``rate_hz``."""
        if not data.size:
            return np.zeros(0, np.float32)
        sound = np.nan_to_num(data.reshape(len(data), -1).mean(axis=1), nan=0.0, posinf=1.0, neginf=-1.0)
        whole = len(sound) // self._divide * self._divide
        sound = sound[:whole].reshape(-1, self._divide).mean(axis=1)
        return np.repeat(sound, self._repeat).clip(-1.0, 1.0).astype(np.float32)

    def finish(self) -> np.ndarray:
        """(samples,) float32 in [-1, 1]."""
        self.close()
        return np.ascontiguousarray(np.concatenate(self._pieces))

    def close(self) -> None:
        """Let go of the file."""
        self._sound = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _fit(sound: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(sound[:samples], (0, max(0, samples - len(sound))))


def _unreadable(part: Part, detail: str) -> BadInput:
    return BadInput(f"Blender cannot read the sound of “{part.name}”; choose another strip.", detail)
