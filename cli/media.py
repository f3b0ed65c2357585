# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and films from files, decoded by PyAV, and films with their new sound.

Frames are taken by time, never by count: each wanted moment gets the frame that is on screen then, whatever
the film's rate, also where it varies. Where hits are to be found in the picture, a small grey one is kept of
every frame.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from ..addon.shots.frames import ShotFrames, model_size
from ..addon.shots.motion import MotionFrames, plan_motion
from ..addon.timeline import sample_times
from ..addon.wire import limits
from ..addon.wire.errors import BadInput

log = logging.getLogger(__name__)

PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".exr"}
FILMS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".gif", ".ogv", ".mxf"}
SHORTEST_S = Fraction(1, 100)  # as in addon/wire/messages.py
STILL_S = Fraction(5)  # a single picture sounds this long unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """frames: (T, H, W, 3) uint8 sRGB; times_s: (T,) seconds from the shot's start; duration_s exact;
    motion: (T', h, w) uint8 small grey pictures of all frames, ``motion_rate`` a second, if asked for.
    """

    frames: np.ndarray
    times_s: np.ndarray
    duration_s: Fraction
    motion: np.ndarray | None = None
    motion_rate: Fraction = Fraction(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The part of the input to look at: seconds, ``end_s`` None for the input's own end; pictures per
    second. motion: small grey pictures of all frames as well; tell: told the fraction read.
    """

    start_s: Fraction = Fraction(0)
    end_s: Fraction | None = None
    per_second: float = 4.0
    folder_fps: Fraction = Fraction(24)
    motion: bool = False
    tell: Callable[[float], None] = lambda fraction: None


def read_shot(path: Path, span: Span) -> Shot:
    """The pictures of a film, a picture, or a folder of numbered pictures. Raises BadInput."""
    try:
        if not path.exists():
            raise BadInput(f"There is no file {path}; check its name.")
        if path.is_dir():
            return _read_folder(path, span)
        if path.suffix.lower() in PICTURES:
            return _read_still(path, span)
        return _read_film(path, span)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadInput:
    name = path.name or str(path)
    return BadInput(f"{name} cannot be read as a film or picture; convert it and try again.", str(error))


def _span_length(span: Span, whole_s: Fraction, name: str) -> Fraction:
    end = whole_s if span.end_s is None else min(span.end_s, whole_s)
    length = end - span.start_s
    if length <= 0:
        raise BadInput(
            f"{name} is {float(whole_s):.2f} s long; nothing of it lies between --start and --end."
        )
    if length > limits.DURATION_S:
        raise BadInput(f"{name} is longer than {limits.DURATION_S} s; give --start and --end.")
    if length < SHORTEST_S:
        raise BadInput(f"{float(length):g} s of {name} are too short; {float(SHORTEST_S):g} s is the least.")
    return length


def _read_film(path: Path, span: Span) -> Shot:
    with _opened(path) as container:
        if not container.streams.video:
            raise BadInput(f"{path.name} has no picture; give a film, a picture, a folder or a .blend file.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        whole = _film_length(container, stream) or span.end_s
        if whole is None:
            raise BadInput(f"{path.name} does not say how long it is; give --end.")
        length = _span_length(span, whole, path.name)
        begin = _start_s(stream) + span.start_s
        if span.start_s:
            container.seek(int(begin * av.time_base), backward=True)
        shown = (
            (Fraction(frame.pts) * frame.time_base - begin, frame)
            for frame in container.decode(stream)
            if frame.pts is not None and frame.time_base is not None
        )
        return _pick(shown, length, span, path.name, rate=_film_rate(stream) if span.motion else None)


def _film_rate(stream: av.VideoStream) -> Fraction:
    """Frames a second, on average where that varies."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 1 <= rate <= 1000:
            return Fraction(rate)
    return Fraction(24)


def _opened(path: Path) -> av.container.InputContainer:
    """By its whole path, or what stands before a colon would be taken for a protocol."""
    return av.open(str(path.absolute()))


def _start_s(stream: av.VideoStream) -> Fraction:
    return Fraction(stream.start_time or 0) * (stream.time_base or Fraction(1))


def _film_length(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction | None:
    if stream.duration and stream.time_base:
        return Fraction(stream.duration) * stream.time_base
    return Fraction(container.duration, av.time_base) if container.duration else None


def _read_still(path: Path, span: Span) -> Shot:
    length = STILL_S if span.end_s is None else span.end_s - span.start_s
    if not 0 < length <= limits.DURATION_S:
        raise BadInput("--end must lie after --start.")
    return _pick(iter([(Fraction(0), _decode_picture(path))]), length, span, path.name, most=1)


def _decode_picture(path: Path) -> av.VideoFrame:
    try:
        with _opened(path) as container:
            for frame in container.decode(video=0):
                return frame
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:  # IndexError: no picture in it
        raise _unreadable(path, error) from error
    raise BadInput(f"{path.name} holds no picture.")


def pictures_in(folder: Path) -> list[Path]:
    """In the order of their names. Hidden files are none of the user's: macOS puts some beside each."""
    files = (entry for entry in folder.iterdir() if entry.suffix.lower() in PICTURES)
    return sorted(entry for entry in files if not entry.name.startswith("."))


def _read_folder(path: Path, span: Span) -> Shot:
    files = pictures_in(path)
    if not files:
        raise BadInput(f"{path} holds no pictures ({', '.join(sorted(PICTURES))}).")
    length = _span_length(span, Fraction(len(files)) / span.folder_fps, path.name)
    first = int(span.start_s * span.folder_fps)
    if span.motion:
        indices = list(range(first, len(files)))
    else:
        times = sample_times(length, span.per_second)
        indices = [min(int((time + span.start_s) * span.folder_fps), len(files) - 1) for time in times]
    shown = ((index / span.folder_fps - span.start_s, _decode_picture(files[index])) for index in indices)
    return _pick(shown, length, span, path.name, rate=span.folder_fps if span.motion else None)


def _pick(
    shown: Iterable[tuple[Fraction, av.VideoFrame]],
    length: Fraction,
    span: Span,
    name: str,
    most: int = limits.FRAMES,
    rate: Fraction | None = None,
) -> Shot:
    """For each wanted time the last frame that began at or before it; frames beyond the last one stay
    unread. rate: of the small grey pictures, where those are wanted.
    """
    times = sample_times(length, span.per_second)[:most]
    colour = _Colour(times)
    motion = None if rate is None else _Motion(length, rate)
    rows: list[_Colour | _Motion] = [colour] if motion is None else [colour, motion]
    current: av.VideoFrame | None = None
    for began, frame in shown:
        if current is not None:
            for row in rows:
                row.show(current, began)
        if all(row.full for row in rows):
            break
        current = frame
        span.tell(min(1.0, max(0.0, float(began / length))))
    if current is not None:
        for row in rows:
            row.show(current, None)
    if colour.store is None:
        raise BadInput(f"No picture could be decoded from {name}; convert it and try again.")
    return Shot(
        frames=colour.store.frames,
        times_s=np.array([float(time) for time in times]),
        duration_s=length,
        motion=None if motion is None or motion.store is None else motion.store.grey,
        motion_rate=Fraction(24) if motion is None or motion.store is None else motion.store.plan.rate,
    )


class _Colour:
    """The pictures that models look at. ``store`` is made with the first, whose size it has."""

    def __init__(self, times: list[Fraction]) -> None:
        self._times, self._next = times, 0
        self.store: ShotFrames | None = None

    @property
    def full(self) -> bool:
        return self._next >= len(self._times)

    def show(self, frame: av.VideoFrame, until: Fraction | None) -> None:
        """``frame`` is on screen until that time, None: to the end."""
        while not self.full and (until is None or self._times[self._next] < until):
            pixels = _upright(frame)
            if self.store is None:
                self.store = ShotFrames(len(self._times), *model_size(*pixels.shape[:2]))
            self.store.put(self._next, pixels)
            self._next += 1


class _Motion:
    """Small grey pictures, ``rate`` a second, each of the frame that is on screen in the middle of its time.

    The middle, since the times in a file are rounded: at its very beginning the frame before might be meant.
    """

    def __init__(self, length: Fraction, rate: Fraction) -> None:
        self._frames, self._rate, self._next = max(1, int(length * rate)), rate, 0
        self.store: MotionFrames | None = None

    @property
    def full(self) -> bool:
        return self.store is not None and self._next >= self.store.plan.count

    def show(self, frame: av.VideoFrame, until: Fraction | None) -> None:
        """``frame`` is on screen until that time, None: to the end."""
        turned = frame.rotation % 180 != 0
        if self.store is None:
            height, width = (frame.width, frame.height) if turned else (frame.height, frame.width)
            self.store = MotionFrames(plan_motion(self._frames, self._rate, height, width))
        plan, grey = self.store.plan, None
        while not self.full and (until is None or (self._next + Fraction(1, 2)) / plan.rate < until):
            if grey is None:
                high, wide = reversed(plan.size) if turned else plan.size
                small = frame.reformat(wide, high, "gray", interpolation="AREA")
                grey = np.rot90(small.to_ndarray(), k=(frame.rotation // 90) % 4)
            self.store.grey[self._next] = grey
            self._next += 1


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) uint8, turned as the film's own rotation says (phones write 90 degrees)."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, k=(frame.rotation // 90) % 4)) if frame.rotation else pixels
