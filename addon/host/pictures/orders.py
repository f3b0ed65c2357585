# SPDX-License-Identifier: GPL-3.0-or-later
"""What *Picture This Sound* asks for, as plain data: which part of which file, which pictures, and where they
go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ...pictures import storyboard
from ...pictures.delivery import Board
from ...pictures.story import KEY
from ...pictures.storyboard import Part as Window
from ...timeline import FrameRange, Rate, wire_seconds
from ...wire import limits
from ...wire.errors import BadInput
from .. import sequencer, texts
from ..tracks.view import cut_frames
from .sound import Part

WHOLE, WINDOWS, CUTS = "whole", "windows", "cuts"
MOST_STRIPS = 32  # jobs that one click may start
SOURCE = "sound"
_SEEN = {"MOVIE", "IMAGE", "SCENE", "MOVIECLIP", "META"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrder:
    """One job to be; what orders.Order is for sounds. ``settings``: fields of PictureRequest that do not come
    from the sound; ``windows``: the parts that get a picture each.
    """

    scene_name: str
    scene_uid: int
    file_id: str
    span: FrameRange
    rate: Rate
    sound: Part
    windows: tuple[Window, ...]
    board: Board
    settings: Mapping[str, Any]
    source: str = SOURCE
    aims: tuple[Any, ...] = ()
    look: Any = None
    home: tuple[str, int] | tuple[()] = ()

    @property
    def label(self) -> str:
        """How the job list names it."""
        return f"Picture of {texts.clean(self.sound.name, 40)}"


def sound_strips(scene: Any) -> list[Any]:
    """The selected sound strips where the user looks, those in selected metas too, by time."""
    found: list[Any] = []
    for strip in sequencer.shown_strips(scene):
        if strip.select:
            found += [strip] if strip.type != "META" else list(sequencer.strips(strip))
    sounds = [strip for strip in found if strip.type == "SOUND"]
    return sorted(sounds, key=lambda strip: (*sequencer.span(strip), strip.channel))


def from_strips(scene: Any, file_id: str, chosen: Any, settings: Mapping[str, Any]) -> list[PictureOrder]:
    """An order for each selected sound strip, as the panel's ``chosen`` says. Raises BadInput."""
    strips = sound_strips(scene)
    if not strips:
        raise BadInput("Select a sound strip to be pictured.")
    if len(strips) > MOST_STRIPS:
        raise BadInput(f"{len(strips)} sounds are too many at once; select {MOST_STRIPS} at most.")
    sequencer.require_editable(scene)
    return [_order(scene, file_id, strip, chosen, settings) for strip in strips]


def _order(scene: Any, file_id: str, strip: Any, chosen: Any, settings: Mapping[str, Any]) -> PictureOrder:
    rate = sequencer.scene_rate(scene)
    sound, begin = _sound(strip, rate)
    end = sequencer.span(strip)[1]
    meta = strip.parent_meta()
    return PictureOrder(
        scene_name=scene.name,
        scene_uid=scene.session_uid,
        file_id=file_id,
        span=FrameRange(int(begin), end - 1),
        rate=rate,
        sound=sound,
        windows=_windows(scene, FrameRange(int(begin), end - 1), rate, sound, chosen),
        board=Board(
            start_frame=begin,
            end=end,
            rate=rate,
            channel=int((strip if meta is None else meta).channel),
            name=texts.clean(strip.name, 40),
            kind=chosen.kind,
        ),
        settings=settings,
    )


def _sound(strip: Any, rate: Rate) -> tuple[Part, Fraction]:
    """What is heard of ``strip``, and the frame at which that begins. Raises BadInput."""
    name = texts.clean(strip.name, 60)
    media = sequencer.media(strip)
    if media is None or not media.paths:
        raise BadInput(f"“{name}” has no sound; choose another strip.")
    if media.missing:
        raise BadInput(
            f"The file of “{name}” is missing: {media.missing[0].name}. "
            "Find it with File > External Data > Find Missing Files, then try again."
        )
    if sequencer.is_retimed(strip):
        raise BadInput(f"The speed of “{name}” was changed; picture the sound at its own speed.")
    first, end = sequencer.span(strip)
    begin = max(Fraction(first), media.start)
    length_s = wire_seconds(rate.seconds(end - begin))
    if length_s <= 0:
        raise BadInput(f"Nothing of “{name}” is heard; move its ends apart.")
    if length_s > limits.DURATION_S:
        raise BadInput(
            f"“{name}” lasts {texts.seconds(float(length_s))}; "
            f"cut it into strips of at most {texts.seconds(limits.DURATION_S)}."
        )
    packed = strip.sound.packed_file
    part = Part(
        path=media.paths[0],
        name=name,
        start_s=rate.seconds(begin - media.start),
        length_s=length_s,
        packed=b"" if packed is None else bytes(packed.data),
    )
    return part, begin


def _windows(scene: Any, span: FrameRange, rate: Rate, sound: Part, chosen: Any) -> tuple[Window, ...]:
    """The parts that get a picture each. Raises BadInput."""
    length_s = sound.length_s
    if chosen.each == WINDOWS:
        return storyboard.windows(length_s, Fraction(chosen.window_s).limit_denominator(1000))
    if chosen.each == WHOLE:
        return storyboard.whole(length_s)
    cuts = {*cut_frames(scene, span), *_picture_starts(scene, span)}
    if not cuts:
        raise BadInput(
            f"There is no cut during “{sound.name}”: no camera marker and no picture strip begins there. "
            "Choose windows instead."
        )
    times = [wire_seconds(rate.seconds(frame - span.start)) for frame in cuts]
    return storyboard.at_cuts(length_s, times)


def _picture_starts(scene: Any, span: FrameRange) -> list[int]:
    """Frames within ``span`` at which the sequencer begins to show something that is not ours."""
    return [
        sequencer.span(strip)[0]
        for strip in sequencer.strips_between(scene, span.start + 1, span.end + 1)
        if strip.type in _SEEN
        and not strip.mute
        and KEY not in strip
        and span.start < sequencer.span(strip)[0] <= span.end
    ]
