# SPDX-License-Identifier: GPL-3.0-or-later
"""What each shot sounds like: physically informed Foley at 48 kHz, made from the plain data of a shot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..families import GROUNDS
from ..shot import Shot
from . import creatures, dsp, impacts, machines, steps, water, weather
from .dsp import Draw, Signal


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a family is made: the dry sound, its peak when strong, how much room there is around it, and the
    shortest and longest reverberation (s)."""

    make: Callable[[Draw, Shot], Signal]
    peak: float
    wet: float
    t60_s: tuple[float, float]


_INDOORS, _OUTDOORS, _HALL = (0.18, 0.6), (0.15, 0.35), (0.6, 1.4)
RECIPES: dict[str, Recipe] = {
    **{
        f"impact_{material}": Recipe(impacts.fall, 0.9, 0.3, _INDOORS)
        for material in ("wood", "metal", "glass", "stone", "plastic", "rubber")
    },
    **{f"steps_{ground}": Recipe(steps.walk, 0.6, 0.3, _INDOORS) for ground in ("wood", "stone", "metal")},
    **{f"steps_{ground}": Recipe(steps.walk, 0.5, 0.08, _OUTDOORS) for ground in ("gravel", "snow", "grass")},
    "glass_break": Recipe(impacts.shatter, 0.95, 0.3, _INDOORS),
    "roll": Recipe(impacts.roll, 0.5, 0.2, _INDOORS),
    "scrape": Recipe(impacts.scrape, 0.6, 0.25, _INDOORS),
    "whoosh": Recipe(weather.whoosh, 0.6, 0.08, _OUTDOORS),
    "cloth": Recipe(weather.cloth, 0.4, 0.12, _INDOORS),
    "door": Recipe(impacts.door, 0.95, 0.5, (0.4, 0.9)),
    "creak": Recipe(machines.creak, 0.45, 0.3, _INDOORS),
    "switch": Recipe(machines.switch, 0.4, 0.2, _INDOORS),
    "drops": Recipe(water.drops, 0.5, 0.25, _INDOORS),
    "pour": Recipe(water.pour, 0.5, 0.15, _INDOORS),
    "splash": Recipe(water.splash, 0.9, 0.12, _OUTDOORS),
    "stream": Recipe(water.stream, 0.45, 0.05, _OUTDOORS),
    "rain": Recipe(water.rain, 0.5, 0.08, _OUTDOORS),
    "waves": Recipe(water.waves, 0.7, 0.05, _OUTDOORS),
    "wind": Recipe(weather.wind, 0.6, 0.05, _OUTDOORS),
    "leaves": Recipe(weather.leaves, 0.4, 0.05, _OUTDOORS),
    "fire": Recipe(weather.fire, 0.5, 0.08, _OUTDOORS),
    "thunder": Recipe(weather.thunder, 0.95, 0.5, (1.2, 2.5)),
    "explosion": Recipe(weather.explosion, 0.98, 0.45, (0.8, 1.6)),
    "sparks": Recipe(weather.sparks, 0.6, 0.12, _INDOORS),
    "engine": Recipe(machines.engine, 0.7, 0.08, _OUTDOORS),
    "motor": Recipe(machines.motor, 0.45, 0.15, _INDOORS),
    "train": Recipe(machines.train, 0.8, 0.1, _OUTDOORS),
    "clock": Recipe(machines.clock, 0.35, 0.25, _INDOORS),
    "bell": Recipe(machines.bell, 0.8, 0.25, _INDOORS),
    "alarm": Recipe(machines.alarm, 0.7, 0.2, _INDOORS),
    "typewriter": Recipe(machines.typewriter, 0.5, 0.25, _INDOORS),
    "birds": Recipe(creatures.birds, 0.5, 0.12, _OUTDOORS),
    "insects": Recipe(creatures.insects, 0.35, 0.05, _OUTDOORS),
    "purr": Recipe(creatures.purr, 0.4, 0.1, _INDOORS),
    "murmur": Recipe(creatures.murmur, 0.4, 0.4, _HALL),
    "room_tone": Recipe(creatures.room_tone, 0.05, 0.1, _INDOORS),
    "saw": Recipe(machines.saw, 0.6, 0.2, _INDOORS),
    "spray": Recipe(machines.spray, 0.45, 0.1, _INDOORS),
}
_SOFT_ROOMS = {"carpet": 0.55, "earth": 0.4}


def render(shot: Shot) -> np.ndarray:
    """The sound of ``shot``: float32 (122880,), 48 kHz, mono, within +-1, over a faint floor of noise.

    The same shot always gives the same sound. Hits sound exactly at their times. Raises KeyError for an
    unknown family.
    """
    draw = np.random.default_rng([shot.seed, 48])
    recipe = RECIPES[shot.family]
    dry = recipe.make(draw, shot)
    far = float(shot.parameters["distance"])
    ground = str(shot.parameters.get("ground", ""))
    big = 1.6 if ground in ("cave", "hall") else 1.0
    short, long = recipe.t60_s
    wet = recipe.wet * (_SOFT_ROOMS.get(ground, 1.0) if ground in GROUNDS else 1.0) * big
    sound = dsp.in_room(draw, dry, far=far, t60_s=dsp.between(draw, short, long) * big, wet=wet)
    strong = max((hit.strength for hit in shot.hits), default=float(shot.parameters["intensity"]) * 0.7 + 0.3)
    return dsp.finish(draw, sound, recipe.peak * (0.15 + 0.85 * strong) / (1.0 + 2.0 * far))
