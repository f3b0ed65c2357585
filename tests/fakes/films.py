# SPDX-License-Identifier: GPL-3.0-or-later
"""Small films for tests of decoding: grey pictures at chosen times, a tone in any layout and rate."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BASE = Fraction(1, 1000)


def tone(seconds: float, rate_hz: int, pitch_hz: float = 440.0, strength: float = 0.5) -> np.ndarray:
    """(N,) float64."""
    return strength * np.sin(2 * np.pi * pitch_hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def write_film(
    path: Path,
    *,
    times_s: Sequence[float] = tuple(index / 10 for index in range(20)),
    levels: Sequence[int] | None = None,
    size: tuple[int, int] = (48, 32),
    sound: np.ndarray | None = None,
    rate_hz: int = 16_000,
    layout: str = "mono",
    codecs: tuple[str, str] = ("mpeg4", "pcm_s16le"),
    sound_at_s: Sequence[float] = (0.0,),
) -> Path:
    """Frames of grey ``levels`` that begin at ``times_s``, ``size`` wide and high; none for no times.

    ``sound``: (N,) the same in every channel, begun again at each of ``sound_at_s``; None for no sound track.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream(codecs[0], rate=1000) if times_s else None
        if video is not None:
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.codec_context.time_base = BASE
            video.codec_context.gop_size = 12
        audio = container.add_stream(codecs[1], rate=rate_hz, layout=layout) if sound is not None else None
        for index, time in enumerate(times_s):
            level = levels[index] if levels else (37 * index) % 200 + 20
            picture = np.full((size[1], size[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = round(time / BASE), BASE
            container.mux(video.encode(frame))
        if video is not None:
            container.mux(video.encode(None))
        if audio is not None:
            for start in sound_at_s:
                _put_sound(container, audio, sound, rate_hz, layout, start)
            container.mux(audio.encode(None))
    return path


def _put_sound(container, audio, sound: np.ndarray, rate_hz: int, layout: str, start: float) -> None:
    channels = av.AudioLayout(layout).nb_channels
    for first in range(0, len(sound), 1024):
        piece = sound[first : first + 1024]
        samples = np.repeat((piece * 32767).astype(np.int16)[:, None], channels, 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout=layout)
        frame.sample_rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
        frame.pts = round(start * rate_hz) + first
        wanted = audio.codec_context.format.name
        if wanted != "s16":
            for made in av.AudioResampler(format=wanted, layout=layout, rate=rate_hz).resample(frame):
                container.mux(audio.encode(made))
        else:
            container.mux(audio.encode(frame))


def turn(path: Path, quarter_turns: int) -> None:
    """Writes a rotation into an MP4's track header, as telephones do; clockwise."""
    one = 1 << 16
    matrix = {1: (0, one, 0, -one, 0, 0), 2: (-one, 0, 0, 0, -one, 0), 3: (0, -one, 0, one, 0, 0)}[
        quarter_turns
    ]
    raw = bytearray(path.read_bytes())
    place = raw.index(b"tkhd") + 4 + 4 + 20 + 16
    numbers = (*matrix, 0, 0, 1 << 30)
    raw[place : place + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    path.write_bytes(raw)
