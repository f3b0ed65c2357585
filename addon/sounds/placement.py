# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes where: each clip's frame, silence, name and take, and the channel that takes it. Pure, no bpy.

The plan is made on the IO thread, where the WAVs are written by it; the strips follow on the main thread.

* Strips start on whole frames only, so a sub-frame rest becomes silence at the start of the WAV, and the WAV
  is filled up to whole frames, since Blender would cut a rest at its end.
* All takes of one sound share one strip, which plays the first; the others wait in its list
  (addon/takes/history.py). Their files begin at the same frame, so that a strip changes its take by changing
  its file.
* Many hits of one kind are gathered in a meta strip; one that is moved or opened leaves every strip in it as
  it is.
* Nothing that exists is moved, renamed or overlapped: a channel is ours when it bears our name, or when it is
  empty and still has Blender's own name.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from ..timeline import Rate, nearest, pad_to_frames, split_onset
from ..wire.errors import BadInput
from ..wire.messages import LAYERS, Clip, Result

LAST_FRAME = 1_048_574  # Blender's own bound, on both sides of zero
NAME_BYTES = 60  # Blender keeps 63 and needs some to tell equal names apart
LANES = 128  # channels of a meta
METAS_FROM = 8  # strips of one kind: fewer are easier to see and to move one by one
COLORS = {"bed": "COLOR_05", "spots": "COLOR_03"}  # blue, yellow

_NAMESPACE = uuids.UUID("6d1c1d6e-4d1f-5b0c-9a53-0f007fa11f00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Where second 0 of a request lies: at ``start_frame`` (may be between two) of a scene with ``rate``."""

    start_frame: Fraction
    rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStrip:
    """One strip to be. ``clip``: index into the result; ``index``: count within its take and layer.

    The WAV: ``lead`` samples of silence, the clip without its first ``skip`` samples, silence up to
    ``samples``, which last ``frames`` frames. ``uuid`` follows from job, take, layer and index, so a job that
    is placed twice is recognised. ``audible``: the first of its takes; ``group``: the kind of its hit, or -1.
    """

    uuid: str
    clip: int
    take: int
    layer: str
    index: int
    name: str
    channel_name: str
    color: str
    start: int
    frames: int
    lead: int
    samples: int
    rate_hz: int
    audible: bool
    skip: int = 0
    group: int = -1

    @property
    def sound(self) -> tuple[str, int]:
        """What all its takes have in common."""
        return self.layer, self.index

    @property
    def end(self) -> int:
        """First frame that no longer sounds."""
        return self.start + self.frames


def plan(result: Result, shot: Shot) -> tuple[PlannedStrip, ...]:
    """A strip for each clip of ``result``, in the order of takes, layers and time. Raises BadInput."""
    order = sorted(range(len(result.clips)), key=lambda n: _order(result.clips[n]))
    counts: dict[tuple[int, str], int] = {}
    strips: list[PlannedStrip] = []
    for number in order:
        clip = result.clips[number]
        index = counts.get((clip.take, clip.layer), 0)
        counts[clip.take, clip.layer] = index + 1
        strips.append(_strip(result.job_id, clip, number, index, shot))
    firsts: dict[tuple[str, int], PlannedStrip] = {}
    begins: dict[tuple[str, int], int] = {}
    for strip in strips:
        firsts.setdefault(strip.sound, strip)
        begins[strip.sound] = min(strip.start, begins.get(strip.sound, strip.start))
    return tuple(
        replace(
            begun(strip, result.clips[strip.clip], shot, begins[strip.sound]),
            audible=strip is firsts[strip.sound],
        )
        for strip in strips
    )


def _order(clip: Clip) -> tuple[int, int, Fraction]:
    return clip.take, LAYERS.index(clip.layer), clip.start_s


def _strip(job_id: str, clip: Clip, number: int, index: int, shot: Shot) -> PlannedStrip:
    rate = shot.rate
    onset = split_onset(rate.seconds(shot.start_frame) + clip.start_s, rate, clip.rate_hz)
    padding = pad_to_frames(len(clip.waveform), onset.rest, rate, clip.rate_hz)
    if onset.frame < -LAST_FRAME or onset.frame + padding.frames > LAST_FRAME:
        raise BadInput("The sound would lie beyond the last frame that Blender has; move the shot's range.")
    return PlannedStrip(
        uuid=uuids.uuid5(_NAMESPACE, f"{job_id}/{clip.take}/{clip.layer}/{index}").hex,
        clip=number,
        take=clip.take,
        layer=clip.layer,
        index=index,
        name=strip_name(clip.label or clip.layer),
        channel_name=channel_name(clip.layer),
        color=COLORS[clip.layer],
        start=onset.frame,
        frames=padding.frames,
        lead=padding.lead,
        samples=padding.samples,
        rate_hz=clip.rate_hz,
        audible=True,
        group=clip.group,
    )


def begun(strip: PlannedStrip, clip: Clip, shot: Shot, begin: int) -> PlannedStrip:
    """``strip`` with a file that begins at frame ``begin``: with more silence, or cut where it began before.

    Raises BadInput when nothing of it would be left.
    """
    if begin == strip.start:
        return strip
    after_s = shot.rate.seconds(shot.start_frame - begin) + clip.start_s
    lead = nearest(after_s * clip.rate_hz)
    skip = max(0, -lead)
    if skip >= len(clip.waveform):
        raise BadInput("The sound ends before the strip begins; generate it again.")
    padding = pad_to_frames(len(clip.waveform) - skip, max(0, lead), shot.rate, clip.rate_hz)
    return replace(
        strip, start=begin, frames=padding.frames, lead=padding.lead, samples=padding.samples, skip=skip
    )


def strip_name(words: str) -> str:
    """``Footfall glass``; at most NAME_BYTES bytes, cut between characters."""
    name = "Footfall " + " ".join(words.split())
    return name.encode()[:NAME_BYTES].decode(errors="ignore").rstrip()


def channel_name(layer: str) -> str:
    """``Footfall bed``."""
    return f"Footfall {layer}"


def moved(strip: PlannedStrip, shot: Shot, rate: Rate, start_frame: Fraction) -> PlannedStrip:
    """``strip`` for a scene of another ``rate``, or with second 0 at another frame.

    Its WAV is written already, so only whole frames can be chosen: the nearest, off by half a frame at most.
    """
    if rate.per_second == shot.rate.per_second and (start_frame - shot.start_frame).denominator == 1:
        return replace(strip, start=strip.start + int(start_frame - shot.start_frame))
    after_s = shot.rate.seconds(strip.start - shot.start_frame)
    length_s = Fraction(strip.samples, strip.rate_hz)
    return replace(
        strip,
        start=nearest(start_frame + rate.frames(after_s)),
        frames=max(1, nearest(rate.frames(length_s))),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMeta:
    """A meta strip to be, around all strips of one kind: from ``start`` up to but not including ``end``."""

    uuid: str
    name: str
    channel_name: str
    color: str
    start: int
    end: int


def gathered(strips: Iterable[PlannedStrip], least: int = METAS_FROM) -> dict[str, PlannedMeta]:
    """UUID of each strip that belongs in a meta -> that meta. ``strips``: one for each sound."""
    kinds: dict[tuple[str, int], list[PlannedStrip]] = {}
    for strip in strips:
        if strip.group >= 0:
            kinds.setdefault((strip.layer, strip.group), []).append(strip)
    found: dict[str, PlannedMeta] = {}
    for together in kinds.values():
        if len(together) < least:
            continue
        first = min(together, key=lambda strip: strip.index)
        meta = PlannedMeta(
            uuid=uuids.uuid5(_NAMESPACE, f"{first.uuid}/meta").hex,
            name=first.name,
            channel_name=first.channel_name,
            color=first.color,
            start=min(strip.start for strip in together),
            end=max(strip.end for strip in together),
        )
        found.update((strip.uuid, meta) for strip in together)
    return found


def lane(start: int, end: int, taken: Iterable[tuple[int, int, int]]) -> int:
    """The lowest channel of a meta that is free there. taken: (channel, first, end) of what is in it.

    Raises BadInput when there is none.
    """
    full = {channel for channel, first, last in taken if first < end and start < last}
    free = next((channel for channel in range(1, LANES + 1) if channel not in full), None)
    if free is None:
        raise BadInput("Too many hits of one kind sound at once for a meta strip; place them mixed.")
    return free


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel as it is. ``unnamed``: it has Blender's own name; ``spans``: (first, end) of its strips."""

    number: int
    name: str
    unnamed: bool
    locked: bool = False
    muted: bool = False
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Where one strip goes. ``name``: what to name the channel, empty to leave its name alone."""

    channel: int
    name: str = ""


@dataclass(slots=True)
class _Free:
    """A channel while seats are given out."""

    number: int
    name: str
    unnamed: bool
    usable: bool  # neither locked nor muted: a sound on a muted channel would be placed and not heard
    spans: list[tuple[int, int]] = field(default_factory=list)

    def takes(self, start: int, end: int) -> bool:
        return self.usable and all(e <= start or end <= s for s, e in self.spans)


def seats(strips: Iterable[PlannedStrip | PlannedMeta], channels: Iterable[Channel]) -> list[Seat]:
    """A seat for each strip or meta, none overlapping anything. Raises BadInput when the channels are full.

    A strip goes to the channel that bears its name, else to a free one that then gets it; where that name is
    taken up, locked or muted, to ``name (2)`` and so on; with no channel left to name, to any with room.
    """
    states = [
        _Free(c.number, c.name, c.unnamed, not (c.locked or c.muted), list(c.spans))
        for c in sorted(channels, key=lambda c: c.number)
    ]
    given = []
    for strip in strips:
        state, name = _named(states, strip) or _any(states, strip)
        state.spans.append((strip.start, strip.end))
        if name:
            state.name, state.unnamed = name, False
        given.append(Seat(channel=state.number, name=name))
    return given


def _named(states: Sequence[_Free], strip: PlannedStrip | PlannedMeta) -> tuple[_Free, str] | None:
    for number in range(1, len(states) + 1):
        name = strip.channel_name if number == 1 else f"{strip.channel_name} ({number})"
        bearers = [state for state in states if state.name == name]
        for state in bearers:
            if state.takes(strip.start, strip.end):
                return state, ""
        if not bearers:
            fresh = [state for state in states if state.unnamed and state.usable and not state.spans]
            return (fresh[0], name) if fresh else None
    return None


def _any(states: Sequence[_Free], strip: PlannedStrip | PlannedMeta) -> tuple[_Free, str]:
    room = [state for state in states if state.takes(strip.start, strip.end)]
    if not room:
        raise BadInput(
            f"No channel has room from frame {strip.start} to {strip.end}: all are full, locked or muted. "
            "Free one and place the sound again."
        )
    return min(room, key=lambda state: (not state.unnamed, state.number)), ""
