# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as 24-bit PCM in a WAV, through the standard library, a piece at a time.

Every editor reads 24-bit PCM, and the wave module writes nothing wider than that in plain integers.
"""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from .wire.errors import SaveError

SAMPLE_BYTES = 3
MOST_BYTES = 0xFFFF_0000  # of sound; a WAV counts its bytes in 32 bits
_FULL_SCALE = 1 << 23
_PIECE = 65_536  # sample frames converted at a time


def write(file: BinaryIO, waveform: np.ndarray, rate_hz: int, *, lead: int = 0, samples: int = 0) -> None:
    """Write ``waveform`` into ``file``, which must be seekable and is left open.

    waveform: (n, channels) float32 within [-1, 1]; ``lead``: samples of silence before; ``samples``: length
    of the whole, filled up with silence (0: lead + n). Raises OSError, and SaveError for a damaged sound.
    """
    channels = waveform.shape[1]
    samples = samples or lead + len(waveform)
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(SAMPLE_BYTES)
        writer.setframerate(rate_hz)
        writer.setnframes(samples)
        for silence in _silence(lead, channels):
            writer.writeframesraw(silence)
        for start in range(0, len(waveform), _PIECE):
            writer.writeframesraw(pcm24(waveform[start : start + _PIECE]))
        for silence in _silence(samples - lead - len(waveform), channels):
            writer.writeframesraw(silence)
    data = samples * channels * SAMPLE_BYTES
    if data % 2:  # RIFF wants chunks of even length, which the wave module forgets
        file.write(b"\0")
        file.seek(4)
        file.write(struct.pack("<L", 36 + data + 1))


def pcm24(piece: np.ndarray) -> bytes:
    """(n, channels) float32 within [-1, 1] as 24-bit PCM, rounded to nearest. Raises SaveError."""
    if not (float(piece.min()) >= -1.0 and float(piece.max()) <= 1.0):  # NaN fails both
        raise SaveError("The sound that came back is damaged. Generate it again.")
    # A float32 times 2^23 is exact, so the only rounding is the one to whole steps.
    steps = np.minimum(np.rint(piece * np.float32(_FULL_SCALE)), np.float32(_FULL_SCALE - 1))
    octets = np.ascontiguousarray(steps.astype("<i4")).view(np.uint8).reshape(-1, 4)
    return octets[:, :SAMPLE_BYTES].tobytes()


def _silence(count: int, channels: int) -> Iterator[bytes]:
    while count > 0:
        step = min(count, _PIECE)
        yield bytes(step * channels * SAMPLE_BYTES)
        count -= step
