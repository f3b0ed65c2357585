# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames, seconds and samples, exactly.

Everything is a ``Fraction`` until the last step, so nothing drifts however long the shot is. Conventions:

* The time of frame F is ``(F - first frame of the shot) / rate``: the moment at which F comes on screen. It
  stays on screen until the time of F + 1, so ``start`` to ``end`` lasts ``end - start + 1`` frames.
* Time remapping (``frame_map_old/new``) changes which animation a frame shows, never when the frame is shown.
* A frame step changes which frames a render writes, never when a frame is shown.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from .wire import limits
from .wire.errors import BadInput

_WIRE_DENOMINATOR = 2**31 - 1


@dataclass(frozen=True, slots=True, init=False)
class Rate:
    """Frames per second as Blender has it: a whole number over a base. ``Rate(24, 1.001)`` is 24000/1001.

    ``fps_base`` may be Blender's own single-precision number: the simplest fraction that it can stand for is
    taken, so 1.0010000467 is 1001/1000.
    """

    fps: int
    fps_base: Fraction

    def __init__(self, fps: int, fps_base: Fraction | float | int = 1) -> None:
        base = fps_base if isinstance(fps_base, Fraction) else simplest_fraction(float(fps_base))
        if fps <= 0 or base <= 0:
            raise BadInput("The scene has no frame rate; set one in the output properties.")
        object.__setattr__(self, "fps", int(fps))
        object.__setattr__(self, "fps_base", base)

    @property
    def per_second(self) -> Fraction:
        return Fraction(self.fps) / self.fps_base

    def seconds(self, frames: Fraction | int) -> Fraction:
        """How long ``frames`` frames last."""
        return Fraction(frames) / self.per_second

    def frames(self, seconds: Fraction | int) -> Fraction:
        """How many frames last ``seconds`` seconds; rarely a whole number."""
        return Fraction(seconds) * self.per_second

    def samples(self, frames: Fraction | int, rate_hz: int) -> int:
        """How many samples last ``frames`` frames, to the nearest."""
        return nearest(self.seconds(frames) * rate_hz)


def simplest_fraction(number: float) -> Fraction:
    """The fraction of smallest denominator that rounds to the same single-precision number as ``number``.

    Raises BadInput for what is not a number.
    """
    if not math.isfinite(number) or abs(number) > 1e9:
        raise BadInput("The scene's frame rate is not a number; set it again in the output properties.")
    wanted = _single(number)
    for denominator in (1, 100, 1_001, 10_000, 100_000, 1_000_000):
        found = Fraction(number).limit_denominator(denominator)
        if _single(float(found)) == wanted:
            return found
    return Fraction(number).limit_denominator(10_000_000)


def exact(text: str) -> Fraction:
    """What ``str`` made of a fraction, and nothing else: of "1e999999999", Fraction would write out every
    digit. Raises ValueError.
    """
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,40}(/[1-9][0-9]{0,39})?", text):
        raise ValueError(f"{text!r:.40} is not a fraction")
    return Fraction(text)


def _single(number: float) -> bytes:
    return struct.pack("<f", number)


def nearest(number: Fraction) -> int:
    """The nearest whole number; halves go up. (``round`` would send them to the even side.)"""
    return math.floor(number + Fraction(1, 2))


def wire_seconds(seconds: Fraction) -> Fraction:
    """``seconds`` with a denominator that a message may carry; off by less than 1e-9 s, if at all."""
    return seconds.limit_denominator(_WIRE_DENOMINATOR)


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Frames ``start`` to ``end`` of a scene, both included. Raises BadInput when there is none."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise BadInput(
                f"The range from frame {self.start} to {self.end} is empty; "
                "set an end that is not before the start."
            )

    @property
    def count(self) -> int:
        return self.end - self.start + 1

    def duration_s(self, rate: Rate) -> Fraction:
        return rate.seconds(self.count)

    def time_s(self, frame: Fraction | int, rate: Rate) -> Fraction:
        """When ``frame`` (may be between two) comes on screen, from the start of the range."""
        return rate.seconds(Fraction(frame) - self.start)

    def position(self, time_s: Fraction, rate: Rate) -> tuple[int, Fraction]:
        """(frame, sub-frame) at ``time_s`` from the start of the range; sub-frame in [0, 1)."""
        place = self.start + rate.frames(time_s)
        frame = math.floor(place)
        return frame, place - frame


@dataclass(frozen=True, slots=True)
class Remap:
    """Blender's time remapping: ``old`` frames of animation fill ``new`` frames of picture."""

    old: int = 100
    new: int = 100

    def __post_init__(self) -> None:
        if self.old <= 0 or self.new <= 0:
            raise BadInput(
                "The scene's time remapping holds a zero; set old and new to 100 to switch it off."
            )

    def animated(self, frame: Fraction | int) -> Fraction:
        """The place in the animation (as keyframes count) that ``frame`` of the timeline shows."""
        return Fraction(frame) * self.old / self.new

    def shown(self, keyframe: Fraction | int) -> Fraction:
        """The place on the timeline that shows what is keyed at ``keyframe``."""
        return Fraction(keyframe) * self.new / self.old


def sample_times(
    duration_s: Fraction, per_second: Fraction | float | int, most: int = limits.FRAMES
) -> list[Fraction]:
    """Evenly spaced times to look at a shot, at least ``per_second``, at least 1 and at most ``most``.

    The shot is cut into equal parts and each is looked at in its middle: a picture stands for the time around
    it, and a look at the start of each part would be early by half a part on average. Raises BadInput.
    """
    if duration_s <= 0 or per_second <= 0 or most < 1:
        raise BadInput("There is nothing to look at: the range is empty.")
    count = min(max(math.ceil(duration_s * Fraction(per_second)), 1), most)
    return [duration_s * (2 * part + 1) / (2 * count) for part in range(count)]


@dataclass(frozen=True, slots=True)
class Moment:
    """What to evaluate, and its exact time from the start of the range."""

    frame: int
    time_s: Fraction
    subframe: Fraction = Fraction(0)


def moments(
    times: Iterable[Fraction], span: FrameRange, rate: Rate, *, step: int = 1, whole: bool = True
) -> list[Moment]:
    """Which frames show the shot at ``times``; each moment carries its own exact time, and times rise.

    ``whole``: only whole frames exist (files, strips, baked physics): the nearest one to each time is taken,
    once, with the time of that frame rather than the one asked for. Otherwise sub-frames are used.
    ``step``: only every ``step``-th frame of the range exists.
    """
    found: dict[tuple[int, Fraction], Moment] = {}
    last = (span.count - 1) // step
    for time in times:
        if whole:
            number = min(max(nearest(rate.frames(time) / step), 0), last)
            frame, rest = span.start + number * step, Fraction(0)
        else:
            frame, rest = span.position(time, rate)
        found.setdefault((frame, rest), Moment(frame, span.time_s(frame + rest, rate), rest))
    return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class Onset:
    """A place on the timeline that sounds can start at: a whole frame, and the rest as samples of silence."""

    frame: int
    rest: int


def split_onset(onset_s: Fraction, rate: Rate, rate_hz: int) -> Onset:
    """Where a sound that starts ``onset_s`` after the shot goes: frames after the shot's first, and silence.

    Strips start on whole frames only, so the sub-frame rest becomes silence in the file. Off by half a sample
    at most.
    """
    frame = math.floor(rate.frames(onset_s))
    if (rate.seconds(frame + 1) - onset_s) * rate_hz < Fraction(1, 2):
        return Onset(frame + 1, 0)
    return Onset(frame, nearest((onset_s - rate.seconds(frame)) * rate_hz))


@dataclass(frozen=True, slots=True)
class Padding:
    """A file's length as whole frames: ``lead`` samples of silence, the sound, silence up to ``samples``."""

    frames: int
    lead: int
    samples: int


def pad_to_frames(samples: int, lead: int, rate: Rate, rate_hz: int) -> Padding:
    """How to pad a sound of ``samples`` so that its strip has a whole number of frames and nothing is cut.

    Blender rounds a strip's length when it is added and rounds up when the file is read again. The total is
    rounded down to a sample, so both give ``frames``.
    """
    if samples < 1 or lead < 0:
        raise BadInput("The sound is empty; generate it again.")
    frames = math.ceil(rate.frames(Fraction(lead + samples, rate_hz)))
    return Padding(frames, lead, math.floor(rate.seconds(frames) * rate_hz))
