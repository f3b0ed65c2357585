# SPDX-License-Identifier: GPL-3.0-or-later
"""What bursts without touching anything: lights that flash up, and particles that are let go all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy
import numpy as np

from ...hits.merge import Contact
from ...hits.words import name_thing
from ...timeline import FrameRange
from ..capture.state import action_curves
from .sources import Key, key_of
from .view import Seen

MOST = 40  # of one shot
_UP_S = 0.1  # a light that takes longer to come up does not flash
_SHORT_S = 0.25  # particles that are let go within this burst
_MANY = 10  # particles, or there is no burst
_SHARE = 0.3  # how hard, beside the hardest hit


@dataclass(frozen=True, slots=True)
class Burst:
    """What bursts at a frame, fractions too. kind: flash or burst."""

    frame: float
    key: Key
    kind: str
    words: str

    def contact(self, strongest: float, seen: Seen) -> Contact:
        """As a finding among the others, of which the hardest is ``strongest``."""
        return Contact(
            time=self.frame,
            pair=(-1, -1),
            force=_SHARE * strongest,
            kind=self.kind,
            words=self.words,
            pan=seen.pan,
            distance=seen.distance,
            place=seen.place,
        )


def bursts(scene: bpy.types.Scene, span: FrameRange, fps: float) -> list[Burst]:
    """The bursts of ``span`` in order of time, at most ``MOST``."""
    found = []
    for one in scene.objects:
        if one.type == "LIGHT" and one.data.animation_data is not None:
            found += [
                Burst(frame, key_of(one), "flash", name_thing(one.name))
                for frame in _flashes(one.data, span, fps)
            ]
        found += [
            Burst(frame, key_of(one), "burst", name_thing(system.settings.name))
            for system, frame in _let_go(one, fps)
            if span.start <= frame <= span.end
        ]
    return sorted(found, key=lambda burst: burst.frame)[:MOST]


def _flashes(light: bpy.types.Light, span: FrameRange, fps: float) -> Iterator[float]:
    """Frames at which a light jumps from nearly dark to nearly its brightest."""
    curves = action_curves(light.animation_data) if light.animation_data.action is not None else []
    energy = next((curve for curve in curves if curve.data_path == "energy"), None)
    if energy is None:
        return
    frames = range(span.start - 1, span.end + 1)
    values = np.nan_to_num(np.array([energy.evaluate(frame) for frame in frames]))
    top = float(values.max())
    if top <= 0.0:
        return
    back = max(1, round(_UP_S * fps))
    last = -back
    for number in range(1, len(values)):
        dark = values[max(number - back, 0) : number].min() < 0.2 * top
        if values[number] >= 0.8 * top > values[number - 1] and dark and number - last > back:
            last = number
            yield float(frames[number])


def _let_go(one: bpy.types.Object, fps: float) -> Iterator[tuple[bpy.types.ParticleSystem, float]]:
    for system in one.particle_systems:
        settings = system.settings
        if settings.type != "EMITTER" or settings.count < _MANY:
            continue
        if 0.0 <= settings.frame_end - settings.frame_start <= _SHORT_S * fps:
            yield system, float(settings.frame_start)
