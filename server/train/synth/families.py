# SPDX-License-Identifier: GPL-3.0-or-later
"""The families of sounds of the synthetic world: what each may be made of, and when it sounds.

Three kinds of time. ``hits``: single contacts, at ``Shot.hits``. ``strokes``: movements that come again and
again; movement k begins at ``parameters["at"] + k * parameters["every"]`` seconds (k from 0) and is done
before the next. ``steady``: the same all the way through.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["hits", "strokes", "steady"]
SHAPES = ("ball", "cube", "block", "cylinder", "cone", "ring", "disc", "rod")
SHOES = ("shoes", "boots", "heels", "sneakers", "bare feet")
GROUNDS = ("wood", "stone", "metal", "earth", "carpet")
HARD = ("wood", "stone", "metal")

# Held out of "train" and "scene", in every family alike: what is never seen together there. All but the
# jar (only ever of glass) are trained on with others.
WITHHELD = frozenset(
    {
        *(("ring", "wood"), ("disc", "wood"), ("cone", "metal"), ("cube", "metal"), ("rod", "glass")),
        *(("cube", "glass"), ("cylinder", "stone"), ("ring", "stone"), ("rod", "plastic")),
        *(("cone", "plastic"), ("disc", "rubber"), ("cylinder", "rubber"), ("jar", "glass")),
    }
)
# Shoes and the ground they tread on, likewise.
WITHHELD_STEPS = frozenset(
    {
        *(("boots", "wood"), ("sneakers", "stone"), ("heels", "metal"), ("boots", "gravel")),
        *(("shoes", "snow"), ("bare feet", "grass")),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family of sounds.

    ``seen``: pictures can show it. ``objects``, ``materials``, ``grounds``: what its shots draw from
    (empty: the shot has no such parameter). ``most``: the most hits in one shot. ``every_s``: the shortest
    and longest time between strokes.
    """

    name: str
    seen: bool
    kind: Kind
    objects: tuple[str, ...] = ()
    materials: tuple[str, ...] = ()
    grounds: tuple[str, ...] = ()
    most: int = 0
    every_s: tuple[float, float] = (0.0, 0.0)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every (object, material), or for steps (shoes, ground), that this family can show."""
        if self.name.startswith("steps_"):
            return tuple((shoe, ground) for shoe in self.objects for ground in self.grounds)
        return tuple((thing, stuff) for thing in self.objects for stuff in self.materials)

    @property
    def withheld(self) -> tuple[tuple[str, str], ...]:
        """Those of ``pairs`` that are kept for the ``combo`` split."""
        kept = WITHHELD_STEPS if self.name.startswith("steps_") else WITHHELD
        return tuple(pair for pair in self.pairs if pair in kept)


def _impact(material: str, objects: Iterable[str] = SHAPES) -> Family:
    return Family(
        name=f"impact_{material}",
        seen=True,
        kind="hits",
        objects=tuple(objects),
        materials=(material,),
        grounds=GROUNDS,
        most=7,
    )


def _steps(ground: str) -> Family:
    return Family(name=f"steps_{ground}", seen=True, kind="hits", objects=SHOES, grounds=(ground,), most=9)


def _steady(name: str, seen: bool, *objects: str, grounds: tuple[str, ...] = ()) -> Family:
    return Family(name=name, seen=seen, kind="steady", objects=objects, grounds=grounds)


def _strokes(
    name: str,
    seen: bool,
    every_s: tuple[float, float],
    *objects: str,
    materials: tuple[str, ...] = (),
    grounds: tuple[str, ...] = (),
) -> Family:
    return Family(
        name=name,
        seen=seen,
        kind="strokes",
        objects=objects,
        materials=materials,
        grounds=grounds,
        every_s=every_s,
    )


def _hits(
    name: str,
    seen: bool,
    most: int,
    *objects: str,
    materials: tuple[str, ...] = (),
    grounds: tuple[str, ...] = (),
) -> Family:
    return Family(
        name=name, seen=seen, kind="hits", objects=objects, materials=materials, grounds=grounds, most=most
    )


FAMILIES: tuple[Family, ...] = (
    _impact("wood"),
    _impact("metal"),
    _impact("glass"),
    _impact("stone"),
    _impact("plastic"),
    _impact("rubber", ("ball", "cube", "block", "cylinder", "ring", "disc")),
    _hits(
        "glass_break",
        True,
        1,
        *("bottle", "cup", "plate", "pane", "jar"),
        materials=("glass",),
        grounds=HARD,
    ),
    *(_steps(ground) for ground in ("wood", "stone", "metal", "gravel", "snow", "grass")),
    Family(
        name="roll",
        seen=True,
        kind="steady",
        objects=("ball", "cylinder", "ring"),
        materials=("wood", "metal", "glass", "stone", "plastic"),
        grounds=HARD,
    ),
    _strokes(
        "scrape",
        True,
        (0.7, 2.4),
        *("block", "cube", "disc", "rod"),
        materials=("wood", "metal", "stone", "plastic"),
        grounds=HARD,
    ),
    _strokes("whoosh", True, (0.5, 1.8), "stick", "blade", "ball"),
    _strokes("cloth", True, (0.35, 1.3), "flag", "curtain", "coat"),
    _hits("door", True, 1, "door", "cupboard", materials=("wood", "metal")),
    _strokes("creak", False, (0.8, 2.4), "door", "floorboard", "hinge", "chair"),
    _hits("switch", False, 5, "switch", "button", "latch"),
    _hits("drops", True, 16, grounds=("water", "basin", "cave")),
    _steady("pour", True, "glass", "bucket", "bottle"),
    _hits("splash", True, 2, "ball", "cube", "stone"),
    _steady("stream", True, "stream", "river"),
    _steady("rain", True, grounds=("ground", "window", "roof")),
    _strokes("waves", True, (1.6, 3.2), grounds=("beach", "rocks")),
    _steady("wind", True, grounds=("field", "gap")),
    _strokes("leaves", True, (0.6, 1.8), "tree", "bush", "dry leaves"),
    _steady("fire", True, "campfire", "fireplace", "torch"),
    _hits("thunder", True, 1),
    _hits("explosion", True, 1, "bomb", "firework"),
    _steady("sparks", True, "cable", "sparkler", "welder"),
    _steady("engine", True, "car", "truck", "motorcycle"),
    _steady("motor", True, "fan", "drill", "robot"),
    _strokes("train", True, (0.45, 1.1), "train", "tram"),
    _hits("clock", True, 6, "wall clock", "metronome"),
    _hits("bell", True, 3, "church bell", "hand bell", "bowl"),
    _strokes("alarm", True, (0.35, 1.2), "siren", "beeper"),
    _hits("typewriter", True, 24, "typewriter", "keyboard"),
    _strokes("birds", True, (0.3, 1.1), "songbird", "flock"),
    _strokes("insects", False, (0.25, 0.9), "cricket", "cicada", "fly"),
    _strokes("purr", False, (0.9, 1.6), "cat"),
    _steady("murmur", False, grounds=("hall", "room")),
    _steady("room_tone", False, grounds=("room", "hall", "basement")),
    _strokes("saw", True, (0.35, 0.95), "hand saw", materials=("wood",)),
    _steady("spray", True, "spray can", "steam", "hose"),
)
NAMES = tuple(family.name for family in FAMILIES)
_BY_NAME = {family.name: family for family in FAMILIES}


def family(name: str) -> Family:
    """The family of that name; KeyError if there is none."""
    return _BY_NAME[name]
