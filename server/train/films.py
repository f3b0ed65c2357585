# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows out of films: a few square pictures and the sound of the same seconds, for ``footfall embed``.

Whatever the file is, memory and time stay bounded: windows are sought out, at most so many of them, and a
file that takes too long gives what it gave until then. Pictures and sounds are taken by their time stamps, so
a varying rate or a gap moves nothing. PyAV decodes; nothing here knows a model.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr

from ...addon.wire.errors import BadInput
from .mel import RATE_HZ, level

log = logging.getLogger(__name__)

SHORTEST_S = 0.02  # of sound; less is a click that no model can name
SILENT = 1e-4  # a peak below it (-80 dB) is no sound
NARROW = 8  # the long side is at most so many times the short one; beyond, the picture is squeezed
GAP_S = 0.05  # between two pieces of sound; less is rounding
_DECODING = (av.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError)


class Unusable(BadInput):
    """A file that gives no pair. ``reason``: one word for tables."""

    def __init__(self, reason: str, sentence: str, detail: str = "") -> None:
        super().__init__(sentence, detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``seconds`` of a window, at most ``windows`` of a file, ``frames`` of a window, each ``side`` pixels
    square; ``limit_s``: after so long no further window of a file is begun, and the running one ends.
    """

    seconds: float = 10.0
    windows: int = 8
    frames: int = 8
    side: int = 224
    limit_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """frames: (F, S, S, 3) uint8 sRGB, evenly spread; sound: (N,) float32 at 16 kHz, mono, levelled."""

    start_s: float
    length_s: float
    frames: np.ndarray
    sound: np.ndarray


def read_windows(
    path: Path,
    wanted: Wanted,
    *,
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> list[Window]:
    """Raises Unusable for a file without sound, without picture, silent, too short or damaged throughout."""
    deadline = clock() + wanted.limit_s

    def over() -> bool:
        return stopped() or clock() > deadline

    try:
        length = _length(path)
    except _DECODING as error:
        raise _damaged(path, error) from error
    found: list[Window] = []
    trouble: Unusable | None = None
    for start, seconds in spans(length, wanted):
        if over():
            trouble = Unusable("slow", f"{path.name} takes too long to decode.")
            break
        try:
            found.append(_window(path, start, seconds, wanted, over))
        except Unusable as error:
            trouble = error
        except _DECODING as error:
            trouble = _damaged(path, error)
    if not found:
        raise trouble or _damaged(path, None)
    return found


def _damaged(path: Path, error: BaseException | None) -> Unusable:
    if isinstance(error, Unusable):
        return error
    return Unusable("damaged", f"{path.name} cannot be decoded.", repr(error) if error else "")


def _window(path: Path, start: float, seconds: float, wanted: Wanted, over: Callable[[], bool]) -> Window:
    """Raises Unusable, and whatever decoding raises."""
    sound = _sound(path, start, seconds, over)
    if sound is None:
        raise Unusable("damaged", f"The sound of {path.name} cannot be decoded.")
    if float(np.abs(sound).max(initial=0.0)) < SILENT:
        raise Unusable("silent", f"{path.name} has a sound track in which nothing is heard.")
    held = len(sound) / RATE_HZ
    frames = _pictures(path, start, held, wanted, over)
    if frames is None:
        raise Unusable("damaged", f"The pictures of {path.name} cannot be decoded.")
    return Window(start_s=start, length_s=held, frames=frames, sound=level(sound))


def spans(length_s: float | None, wanted: Wanted) -> list[tuple[float, float]]:
    """Start and length of each window: evenly over the whole film; the whole film if it is short.

    Of a film that does not say how long it is, the beginning.
    """
    if length_s is None or length_s < 2 * wanted.seconds or wanted.windows < 2:
        return [(0.0, wanted.seconds if length_s is None else min(wanted.seconds, length_s))]
    count = min(int(length_s / wanted.seconds), wanted.windows)
    step = (length_s - wanted.seconds) / (count - 1)
    return [(index * step, wanted.seconds) for index in range(count)]


def _length(path: Path) -> float | None:
    """Seconds for which there is both sound and picture, as far as the file says. Raises Unusable."""
    with _opened(path) as container:
        if _sound_stream(container) is None:
            raise Unusable("no sound", f"{path.name} has no sound.")
        if _picture_stream(container) is None:
            raise Unusable("no picture", f"{path.name} has no moving picture.")
        said = [_stream_length(stream) for stream in (_sound_stream(container), _picture_stream(container))]
        if container.duration:
            said.append(Fraction(container.duration, av.time_base))
        known = [float(length) for length in said if length is not None and length > 0]
        return min(known) if known else None


def _opened(path: Path) -> av.container.InputContainer:
    return av.open(str(path), metadata_errors="replace")


def _sound_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    return next(iter(container.streams.audio), None)


def _picture_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first that moves; the cover of a song does not."""
    cover = av.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & cover), None)


def _stream_length(stream: av.AudioStream | av.VideoStream | None) -> Fraction | None:
    if stream is None or not stream.duration or not stream.time_base:
        return None
    return Fraction(stream.duration) * stream.time_base


def _decoded(
    container: Any, stream: Any, start_s: float, over: Callable[[], bool]
) -> Iterator[tuple[float, Any]]:
    """Frames with their seconds from the film's beginning, from ``start_s`` or somewhat before.

    Damaged packets are passed over; where the file breaks off, it ends.
    """
    stream.codec_context.thread_count = 1  # many files at once are faster than many threads for one
    origin = Fraction(container.start_time or 0, av.time_base)
    if start_s > 0:
        container.seek(int((start_s + origin) * av.time_base), backward=True)
    guess = start_s
    for packet in _packets(container, stream, over):
        for frame in _frames(packet):
            if frame.pts is not None and frame.time_base:
                guess = float(Fraction(frame.pts) * frame.time_base - origin)
            yield guess, frame
            guess += _frame_seconds(frame, stream)


def _packets(container: Any, stream: Any, over: Callable[[], bool]) -> Iterator[Any]:
    packets = container.demux(stream)
    while not over():
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            log.debug("a file breaks off: %s", error)
            return
        if packet is None:
            return
        yield packet


def _frames(packet: Any) -> list[Any]:
    try:
        return list(packet.decode())
    except av.FFmpegError as error:
        log.debug("a damaged packet: %s", error)
        return []


def _frame_seconds(frame: Any, stream: Any) -> float:
    """How long a frame lasts, for the one after it that has no time stamp."""
    if isinstance(frame, av.AudioFrame):
        return frame.samples / frame.sample_rate
    rate = getattr(stream, "average_rate", None)
    return float(1 / rate) if rate else 0.04


def _sound(path: Path, start_s: float, seconds: float, over: Callable[[], bool]) -> np.ndarray | None:
    """(N,) mono float32 at 16 kHz, N as long as there is sound; None where there is none."""
    rate, next_place, end = 0, 0, 0
    buffer = np.zeros(0, np.float32)
    with _opened(path) as container:
        stream = _sound_stream(container)
        for began, frame in _decoded(container, stream, start_s, over):
            if not rate:
                rate = frame.sample_rate
                buffer = np.zeros(round(seconds * rate), np.float32)
                next_place = round((began - start_s) * rate)
            if began - start_s >= seconds:
                break
            if frame.sample_rate != rate:
                continue  # a stream that changes its rate midway
            place = round((began - start_s) * rate)
            # Time stamps may be rounded to milliseconds; only a real gap moves the sound.
            place = next_place if abs(place - next_place) < GAP_S * rate else place
            samples = mono(frame)
            end = max(end, _lay(buffer, samples, place))
            next_place = place + len(samples)
    if not rate or end < SHORTEST_S * rate:
        return None
    return np.asarray(soxr.resample(buffer[:end], rate, RATE_HZ, quality="VHQ"), np.float32)


def _lay(buffer: np.ndarray, samples: np.ndarray, place: int) -> int:
    """Puts samples where they belong in time, cutting what lies outside; returns where they end."""
    first, last = max(place, 0), min(place + len(samples), len(buffer))
    if last <= first:
        return 0
    buffer[first:last] = samples[first - place : last - place]
    return last


def mono(frame: av.AudioFrame) -> np.ndarray:
    """(N,) float32: the mean of however many channels, of whatever sample format."""
    samples: np.ndarray = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128.0) / 128.0
    elif np.issubdtype(samples.dtype, np.integer):
        samples = samples.astype(np.float64) / (float(np.iinfo(samples.dtype).max) + 1.0)
    mixed = samples.mean(0, dtype=np.float64)
    return np.asarray(np.nan_to_num(mixed, posinf=0.0, neginf=0.0), np.float32)


def _pictures(
    path: Path, start_s: float, seconds: float, wanted: Wanted, over: Callable[[], bool]
) -> np.ndarray | None:
    """(F, S, S, 3) uint8: for each wanted moment the frame on screen; None where nothing is shown."""
    moments = [start_s + (index + 0.5) * seconds / wanted.frames for index in range(wanted.frames)]
    shown: list[np.ndarray] = []
    current: Any = None
    with _opened(path) as container:
        stream = _picture_stream(container)
        for began, frame in _decoded(container, stream, start_s, over):
            if current is not None and moments[len(shown)] < began:
                _show(shown, current, sum(moment < began for moment in moments[len(shown) :]), wanted.side)
            if len(shown) == len(moments):
                break
            current = frame
        if current is not None:
            _show(shown, current, len(moments) - len(shown), wanted.side)
    return np.stack(shown) if shown else None


def _show(shown: list[np.ndarray], frame: av.VideoFrame, count: int, side: int) -> None:
    if count > 0:
        shown += [square(frame, side)] * count


def square(frame: av.VideoFrame, side: int) -> np.ndarray:
    """(S, S, 3) uint8: the short side scaled to S, turned upright, the middle cut out."""
    short = min(frame.width, frame.height)
    width, height = (
        min(max(round(size * side / short), side), NARROW * side) for size in (frame.width, frame.height)
    )
    pixels: np.ndarray = frame.reformat(
        width=width, height=height, format="rgb24", interpolation="BICUBIC"
    ).to_ndarray()
    pixels = np.rot90(pixels, k=(frame.rotation // 90) % 4)
    top, left = (pixels.shape[0] - side) // 2, (pixels.shape[1] - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
