# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples as 24-bit PCM in a WAV, a piece at a time; plain, or with a broadcast wave's time stamp.

Every editor reads 24-bit PCM, and the wave module writes nothing wider than that in plain integers.
"""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..wire.errors import SaveError

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


# Broadcast wave ---------------------------------------------------------------------------------------------

_BEXT = struct.Struct("<256s32s32s10s8sIIH64s10s180s")  # EBU Tech 3285, version 1: no loudness, no history


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a broadcast wave says of itself. ``start``: its first sample, counted from timecode 0.

    ``date``: 2026-11-22, ``time``: 07:15:00; what is not ASCII becomes a question mark.
    """

    description: str = ""
    originator: str = "Footfall"
    reference: str = ""
    date: str = ""
    time: str = ""
    start: int = 0


class BroadcastWave:
    """A 24-bit WAV with a time stamp, of a length that is known beforehand, written piece by piece."""

    def __init__(self, file: BinaryIO, *, samples: int, channels: int, rate_hz: int, stamp: Stamp) -> None:
        """Write the head into ``file``, which is left open. Raises OSError; SaveError if it is too long."""
        self._file, self._left = file, samples
        frame = channels * SAMPLE_BYTES
        data = samples * frame
        self._pad = data % 2
        if data > MOST_BYTES:
            raise SaveError("The sound is too long for a WAV file. Export a shorter range.")
        layout = struct.pack("<HHLLHH", 1, channels, rate_hz, rate_hz * frame, frame, 8 * SAMPLE_BYTES)
        bext = _bext(stamp)
        whole = 4 + (8 + len(bext)) + (8 + len(layout)) + 8 + data + self._pad
        file.write(b"RIFF" + struct.pack("<L", whole) + b"WAVE")
        file.write(b"bext" + struct.pack("<L", len(bext)) + bext)
        file.write(b"fmt " + struct.pack("<L", len(layout)) + layout)
        file.write(b"data" + struct.pack("<L", data))

    def write(self, piece: np.ndarray) -> None:
        """(n, channels) float32 within [-1, 1]; with the last piece the file is whole."""
        self._left -= len(piece)
        if self._left < 0:
            raise ValueError("more sound than was announced")
        if len(piece):
            self._file.write(pcm24(piece))
        if self._left == 0 and self._pad:
            self._file.write(b"\0")


def _bext(stamp: Stamp) -> bytes:
    return _BEXT.pack(
        stamp.description.encode("ascii", "replace")[:256],
        stamp.originator.encode("ascii", "replace")[:32],
        stamp.reference.encode("ascii", "replace")[:32],
        stamp.date.encode("ascii", "replace")[:10],
        stamp.time.encode("ascii", "replace")[:8],
        stamp.start & 0xFFFF_FFFF,
        stamp.start >> 32,
        1,
        b"",
        b"",
        b"",
    )


def read(path: Path, start: int, count: int) -> tuple[np.ndarray, int]:
    """``count`` samples from ``start`` on (fewer at the end) as (n, channels) float32, and the rate in Hz.

    Plain PCM of 16, 24 or 32 bits. Raises SaveError for anything else.
    """
    try:
        with wave.open(str(path), "rb") as reader:
            channels, width, rate_hz = reader.getnchannels(), reader.getsampwidth(), reader.getframerate()
            start = min(max(0, start), reader.getnframes())
            reader.setpos(start)
            octets = np.frombuffer(reader.readframes(count), np.uint8)
    except (OSError, EOFError, wave.Error) as error:
        raise SaveError(f"The sound {path} cannot be read; generate it again.", str(error)) from error
    if width not in (2, 3, 4):
        raise SaveError(f"The sound {path} is no PCM of 16, 24 or 32 bits; generate it again.")
    octets = octets[: len(octets) // (width * channels) * width * channels].reshape(-1, width)
    wide = np.zeros((len(octets), 4), np.uint8)
    wide[:, 4 - width :] = octets  # the sign lies in the last octet
    sound = wide.view("<i4").astype(np.float32) / np.float32(1 << 31)
    return sound.reshape(-1, channels), rate_hz
