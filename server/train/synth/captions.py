# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a shot into words: several captions of varied wording that are all true of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from .families import Family
from .wordings import GROUNDS, GROUNDS_OF, MATERIALS, OBJECTS, OBJECTS_OF, TEMPLATES

COUNT = 6  # captions of a shot
_VOWEL = re.compile(r"\ba (?=[aeiou])")

# Words for a number from 0 to 1: those whose range holds it are true.
_SCALES: dict[str, tuple[tuple[float, float, tuple[str, ...]], ...]] = {
    "adverb": (
        (0.0, 0.35, ("slowly", "gently")),
        (0.35, 0.7, ("steadily",)),
        (0.65, 1.01, ("quickly", "fast")),
    ),
    "pace": (
        (0.0, 0.35, ("walking slowly", "walking slowly")),
        (0.2, 0.7, ("walking", "walking")),
        (0.5, 0.8, ("walking fast",)),
        (0.7, 1.01, ("running",)),
    ),
    "rev": (
        (0.0, 0.4, ("idling",)),
        (0.3, 0.7, ("running", "humming")),
        (0.65, 1.01, ("revving", "roaring")),
    ),
    "size": ((0.0, 0.4, ("small", "little")), (0.4, 0.6, ("solid",)), (0.6, 1.01, ("large", "big", "heavy"))),
    "intense": ((0.0, 0.4, ("light", "gentle")), (0.35, 0.7, ("steady",)), (0.65, 1.01, ("heavy", "strong"))),
}
_DRIVEN_BY = {"adverb": "speed", "pace": "speed", "rev": "speed", "size": "size", "intense": "intensity"}
_DISTANCE = (
    (0.0, 0.2, (", close up", ", near")),
    (0.6, 1.01, (" in the distance", ", far away", ", distant")),
)
_TIMES = {1: ", once", 2: ", twice", 3: ", three times"}


def captions(
    kin: Family, parameters: Mapping[str, float | str], draw: np.random.Generator
) -> tuple[str, ...]:
    """``COUNT`` captions of one shot, no two alike; the first is from the family's plainest template."""
    templates = TEMPLATES[kin.name]
    said = [_fill(templates[0], kin, parameters, draw)]
    for index in draw.permutation(np.arange(60) % len(templates)):
        caption = _fill(templates[index], kin, parameters, draw)
        if draw.random() < 0.3:
            caption += _aside(kin, parameters, draw)
        if caption not in said:
            said.append(caption)
        if len(said) == COUNT:
            break
    return tuple(said)


def _fill(
    template: str, kin: Family, parameters: Mapping[str, float | str], draw: np.random.Generator
) -> str:
    blanks: dict[str, str] = {}
    for blank in re.findall(r"{(\w+)}", template):
        blanks[blank] = str(draw.choice(_words(blank, kin, parameters)))
    return _VOWEL.sub("an ", template.format(**blanks))


def _words(blank: str, kin: Family, parameters: Mapping[str, float | str]) -> Sequence[str]:
    if blank == "material":
        return MATERIALS[str(parameters["material"])]
    if blank == "object":
        thing = str(parameters["object"])
        return OBJECTS_OF.get(kin.name, {}).get(thing) or OBJECTS.get(thing, (thing,))
    if blank == "ground":
        ground = str(parameters["ground"])
        return GROUNDS_OF.get(kin.name, {}).get(ground) or GROUNDS[ground]
    if blank == "space":
        return (str(parameters["ground"]),)
    if blank == "call":
        return ("buzzing",) if parameters["object"] == "fly" else ("chirping",)
    value = float(parameters[_DRIVEN_BY[blank]])
    return [word for low, high, words in _SCALES[blank] if low <= value < high for word in words]


def _aside(kin: Family, parameters: Mapping[str, float | str], draw: np.random.Generator) -> str:
    """What else is true: how far away, or how often; often nothing."""
    far = float(parameters["distance"])
    asides = [word for low, high, words in _DISTANCE if low <= far < high for word in words]
    if kin.kind == "hits" and int(float(parameters.get("count", 0))) in _TIMES:
        asides.append(_TIMES[int(float(parameters["count"]))])
    return str(draw.choice(asides)) if asides else ""
