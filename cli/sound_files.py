# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds from files, decoded by PyAV: one channel of float32, from any format and any film."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..addon.wire import limits
from ..addon.wire.errors import BadInput

FAR_S = 60  # what begins later is jumped to
MOST_HZ = 48_000  # faster sound is brought down to this: nobody listens beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """waveform: (samples,) float32 in [-1, 1]."""

    waveform: np.ndarray
    rate_hz: int

    @property
    def duration_s(self) -> Fraction:
        return Fraction(len(self.waveform), self.rate_hz)


def read_sound(path: Path, start_s: Fraction = Fraction(0), end_s: Fraction | None = None) -> Sound:
    """The first sound track of ``path`` from ``start_s`` to ``end_s`` (None: its end). Raises BadInput."""
    try:
        if not path.exists():
            raise BadInput(f"There is no file {path}; check its name.")
        with av.open(str(path.absolute())) as container:  # or "12:30.wav" would begin with a protocol
            if not container.streams.audio:
                raise BadInput(f"{path.name} has no sound; give a sound, or a film with one.")
            return _read(container, path.name, start_s, end_s)
    except (av.FFmpegError, OSError, ValueError) as error:
        sentence = f"{path.name} cannot be read as a sound; convert it and try again."
        raise BadInput(sentence, str(error)) from error


def _read(
    container: av.container.InputContainer, name: str, start_s: Fraction, end_s: Fraction | None
) -> Sound:
    stream = container.streams.audio[0]
    rate_hz = min(max(stream.rate or MOST_HZ, limits.RATE_HZ[0]), MOST_HZ)
    first = round(start_s * rate_hz)
    last = None if end_s is None else round(end_s * rate_hz)
    most = limits.DURATION_S * rate_hz
    kept: list[np.ndarray] = []
    count = 0
    at = _jump(container, stream, start_s, rate_hz)
    for piece in _pieces(container, stream, rate_hz):
        begin, at = at, at + len(piece)
        wanted = piece[max(0, first - begin) : None if last is None else max(0, last - begin)]
        kept.append(wanted)
        count += len(wanted)
        if count > most:
            raise BadInput(
                f"{name} is longer than {limits.DURATION_S // 60} minutes; "
                "choose a part of it with --start and --end."
            )
        if last is not None and at >= last:
            break
    if not count:
        raise BadInput(f"{name} lasts {at / rate_hz:.2f} s; nothing of it lies between --start and --end.")
    waveform = np.nan_to_num(np.concatenate(kept), nan=0.0, posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
    return Sound(waveform=np.ascontiguousarray(waveform, np.float32), rate_hz=rate_hz)


def _jump(
    container: av.container.InputContainer, stream: av.AudioStream, start_s: Fraction, rate_hz: int
) -> int:
    """Go near to ``start_s`` in a long file; the sample at which decoding goes on."""
    if start_s < FAR_S or stream.time_base is None:
        return 0
    begin = Fraction(stream.start_time or 0) * stream.time_base
    container.seek(int((begin + start_s) / stream.time_base), stream=stream, backward=True)
    for packet in container.demux(stream):
        if packet.pts is not None:
            at_s = packet.pts * stream.time_base - begin
            container.seek(packet.pts, stream=stream, backward=True)
            return max(0, round(at_s * rate_hz))
    return 0


def _pieces(
    container: av.container.InputContainer, stream: av.AudioStream, rate_hz: int
) -> Iterator[np.ndarray]:
    """(n,) float32 one after the other: the mean of all channels, which cannot clip."""
    resampler = av.AudioResampler(format="fltp", rate=rate_hz)
    for frame in container.decode(stream):
        frame.pts = None  # gaps in a file's own clock are not filled
        for made in resampler.resample(frame):
            yield made.to_ndarray().mean(0)
    for made in resampler.resample(None):
        yield made.to_ndarray().mean(0)
