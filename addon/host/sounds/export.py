# SPDX-License-Identifier: GPL-3.0-or-later
"""What the strips of a scene sound like, read out for stems and timelines: which file, from where, how loud.

Strips of ours only. Their place, trims, volume and muting count, those of their metas too; what only
Blender's own mixer knows (animated volume, retiming, modifiers) is told, since it is not in the stems.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy

from ...sounds import otio_text, stems, wav
from ...timeline import FrameRange, Rate
from ...wire.texts import scrub
from .. import sequencer

RATE_HZ = 48_000
_SLUG = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """One strip of ours. ``start``, ``end``: frames that it sounds; ``content``: where its file begins."""

    name: str
    path: Path
    channel: int
    start: int
    end: int
    content: Fraction
    gain: float
    heard: bool
    layer: str
    label: str
    job_id: str
    doubt: str = ""

    @property
    def group(self) -> str:
        """The stem that it belongs to: the bed, or the spots of one kind."""
        if self.layer == "bed":
            return "bed"
        slug = "".join(c if c.isalnum() and c.isascii() else "-" for c in self.label.lower())[:_SLUG]
        return f"{self.layer}-{slug}".strip("-")


def sounds(scene: bpy.types.Scene) -> list[Sound]:
    """The strips of ours in ``scene``, inside metas too."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    animated = _animated(scene)
    found = []
    for strip, span, heard, channel in _walk(editor, editor.channels):
        if strip.type == "SOUND" and strip.sound is not None and sequencer.uuid_of(strip):
            found.append(_sound(strip, span, heard, channel, animated))
    return found


def _walk(holder: Any, channels: Any) -> Iterator[tuple[Any, tuple[int, int], bool, int]]:
    """(strip, the frames that show, whether it is heard, its channel at the top)."""
    for strip in sequencer.strips(holder):
        heard = not strip.mute and not channels[strip.channel].mute
        if strip.type != "META":
            yield strip, sequencer.span(strip), heard, strip.channel
            continue
        first, end = sequencer.span(strip)
        for child, span, loud, _ in _walk(strip, strip.channels):
            shown = max(first, span[0]), min(end, span[1])
            if shown[0] < shown[1]:
                yield child, shown, heard and loud, strip.channel


def _sound(strip: Any, span: tuple[int, int], heard: bool, channel: int, animated: set[str]) -> Sound:
    story = sequencer.story_of(strip)
    start = strip.content_start if hasattr(strip, "content_start") else strip.frame_start
    return Sound(
        name=strip.name,
        path=Path(bpy.path.abspath(strip.sound.filepath, library=strip.sound.library)),
        channel=channel,
        start=span[0],
        end=span[1],
        content=Fraction(start),
        gain=float(strip.volume),
        heard=heard,
        layer="sound" if story is None else story.layer,
        label="" if story is None else story.label,
        job_id="" if story is None else story.job_id,
        doubt=_doubt(strip, animated),
    )


def _doubt(strip: Any, animated: set[str]) -> str:
    """What of the strip is not in the stems."""
    if strip.name in animated:
        return "its animated volume"
    if len(getattr(strip, "retiming_keys", ())) > 2:
        return "its retiming"
    if any(not modifier.mute for modifier in getattr(strip, "modifiers", ())):
        return "its modifiers"
    return ""


def _animated(scene: bpy.types.Scene) -> set[str]:
    """Names of strips whose volume has keys or a driver."""
    data = scene.animation_data
    if data is None:
        return set()
    curves = list(data.drivers)
    if data.action is not None:
        curves += _curves(data.action)
    paths = [curve.data_path for curve in curves]
    return {path.split('"')[1] for path in paths if path.endswith(".volume") and path.count('"') >= 2}


def _curves(action: Any) -> list[Any]:
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [curve for bag in bags for curve in bag.fcurves]


def plan(scene: bpy.types.Scene, found: list[Sound], target: Path) -> stems.Plan:
    """Stems of the scene's frame range, ``target`` as A.wav."""
    rate, span = sequencer.scene_rate(scene), scene_span(scene)
    groups: dict[str, list[stems.Part]] = {}
    for sound in sorted(found, key=lambda one: (one.layer != "bed", one.group, one.start)):
        first, end = max(sound.start, span.start), min(sound.end, span.end + 1)
        if not sound.heard or first >= end:
            continue
        start = rate.samples(first - span.start, RATE_HZ)
        part = stems.Part(
            path=sound.path,
            start=start,
            count=rate.samples(end - span.start, RATE_HZ) - start,
            skip=max(0, rate.samples(first - sound.content, RATE_HZ)),
            gain=sound.gain,
        )
        groups.setdefault(sound.group, []).append(part)
    return stems.Plan(
        stems=groups,
        samples=rate.samples(span.count, RATE_HZ),
        rate_hz=RATE_HZ,
        target=target,
        stamp=stamp(scene, rate, span),
    )


def stamp(scene: bpy.types.Scene, rate: Rate, span: FrameRange) -> wav.Stamp:
    """The time stamp of a sound that begins with the range; frame 0 is timecode 0."""
    now = datetime.datetime.now()
    return wav.Stamp(
        description=scrub(scene.name, 200),
        date=now.strftime("%Y-%m-%d"),
        time=now.strftime("%H:%M:%S"),
        start=max(0, rate.samples(span.start, RATE_HZ)),
    )


def timeline(scene: bpy.types.Scene, found: list[Sound], folder: Path, film: Path | None = None) -> str:
    """The scene's sound as the text of an OpenTimelineIO file in ``folder``; ``film``: its picture."""
    rate, span = sequencer.scene_rate(scene), scene_span(scene)
    tracks = []
    if film is not None:
        clip = otio_text.TrackClip(name=film.stem, path=film, start=span.start, frames=span.count)
        tracks.append(otio_text.Track(name="Picture", clips=[clip], kind="Video"))
    for channel in sorted({sound.channel for sound in found}):
        clips = [_clip(sound) for sound in found if sound.channel == channel]
        tracks += [otio_text.Track(name=_channel_name(scene, channel), clips=lane) for lane in _lanes(clips)]
    return otio_text.text(scene.name, rate, span.start, tracks, folder)


def _lanes(clips: list[otio_text.TrackClip]) -> list[list[otio_text.TrackClip]]:
    """As few tracks as hold ``clips`` without one over another; the insides of a meta may overlap."""
    lanes: list[list[otio_text.TrackClip]] = []
    for clip in sorted(clips, key=lambda one: one.start):
        free = (lane for lane in lanes if lane[-1].start + lane[-1].frames <= clip.start)
        lane = next(free, None)
        if lane is None:
            lanes.append([clip])
        else:
            lane.append(clip)
    return lanes


def _clip(sound: Sound) -> otio_text.TrackClip:
    return otio_text.TrackClip(
        name=sound.name,
        path=sound.path,
        start=sound.start,
        frames=sound.end - sound.start,
        skip=max(0, int(sound.start - sound.content)),
        heard=sound.heard,
        story={
            "layer": sound.layer,
            "label": sound.label,
            "job_id": sound.job_id,
            "gain": sound.gain,
        },
    )


def _channel_name(scene: bpy.types.Scene, channel: int) -> str:
    return str(scene.sequence_editor.channels[channel].name)


def scene_span(scene: bpy.types.Scene) -> FrameRange:
    return FrameRange(scene.frame_start, max(scene.frame_start, scene.frame_end))
