# SPDX-License-Identifier: GPL-3.0-or-later
"""Words for a sound out of the names that an artist has given: "steel bucket on stone"."""

from __future__ import annotations

import re

# Names that say nothing about the thing.
_FORMS = "cube sphere icosphere cylinder cone plane torus circle mesh object curve empty"
_ORDER = "collection scene material geo mat grp obj low high lod shader rig ctrl def mch org col"
_PLAIN = {*_FORMS.split(), *_ORDER.split()}
_FEET = {"foot", "feet", "toe", "toes", "heel", "shoe", "boot", "paw", "hoof", "sole", "sneaker", "sandal"}
_SIDES = {"l", "r"}


def clean_name(name: str) -> str:
    """A name as words: "GEO_steelBall.001" is "steel ball"."""
    name = re.sub(r"(\.\d+)+$", "", name)
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[^\W\d_])(?=\d)", " ", name)
    words = re.findall(r"[^\W\d_]+", name.lower())
    return " ".join(word for word in words if word not in {"geo", "mat", "grp", "obj", "lod"})


def name_thing(name: str, material: str = "", collection: str = "") -> str:
    """Words for one thing: name, material where that says more, collection where it has no own name."""
    words = [word for word in clean_name(name).split() if word not in _SIDES]
    said = [word for word in words if word not in _PLAIN]
    stuff = [word for word in clean_name(material).split() if word not in _PLAIN and word not in words][:2]
    if not said:
        group = [word for word in clean_name(collection).split() if word not in _PLAIN]
        words = group or words
    return " ".join([*stuff, *words][:6])


def name_bone(name: str) -> str:
    """Words for a bone: "DEF-foot.L" is "foot"."""
    words = clean_name(name).split()
    return " ".join(word for word in words if word not in _PLAIN and word not in _SIDES)


def is_foot(name: str) -> bool:
    """Whether a name speaks of a foot or of what it wears."""
    return any(word in _FEET for word in clean_name(name).split())


def together(one: str, other: str) -> str:
    """What meets what; either may be unknown."""
    return f"{one} on {other}" if one and other else one or other
