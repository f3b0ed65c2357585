# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the shots of the synthetic world: family, parameters, hits and captions, from a split and a number.

Pure and fast, the same on every machine. Held out, and so never in ``train``: whole ranges of size, speed
and intensity (``scene``), and whole pairs of object and material (``combo``).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import captions
from .families import FAMILIES, Family
from .shot import SECONDS, SPLITS, Hit, Shot

# "train" never draws from these; each shot of "scene" draws at least one of them from inside.
HELD_OUT = {"size": (0.35, 0.55), "speed": (0.55, 0.75), "intensity": (0.25, 0.45)}
_PAIRED = tuple(family for family in FAMILIES if family.withheld)
_LAST_S = SECONDS - 0.12  # a later hit could hardly be heard

# How much speed is left after a bounce, by material and by ground.
_SPRING = {"rubber": 0.82, "glass": 0.62, "plastic": 0.68, "metal": 0.6, "wood": 0.55, "stone": 0.45}
_YIELD = {"metal": 1.0, "stone": 1.0, "wood": 0.92, "earth": 0.6, "carpet": 0.68}

Parameters = dict[str, float | str]
Draw = np.random.Generator


def make_shot(split: str, number: int) -> Shot:
    """Shot ``number`` (from 0) of ``split``: families take turns, so any run of numbers is balanced.

    ``combo`` takes turns only among the families that have withheld pairs. Raises ValueError for another
    split or a negative number.
    """
    if split not in SPLITS or number < 0:
        raise ValueError(f"no shot {number} in split {split!r}")
    draw = np.random.default_rng([SPLITS.index(split), number, 2_56])
    families = _PAIRED if split == "combo" else FAMILIES
    kin = families[number % len(families)]
    parameters = _parameters(split, kin, draw)
    hits = _HITS.get(kin.name, _no_hits)(kin, parameters, draw)
    if kin.kind == "hits":
        parameters["count"] = float(len(hits))
    return Shot(
        key=f"{split}-{number:06d}",
        split=split,
        number=number,
        family=kin.name,
        seed=int(draw.integers(2**31)),
        parameters={
            name: round(value, 4) if isinstance(value, float) else value for name, value in parameters.items()
        },
        hits=hits,
        captions=captions.captions(kin, parameters, draw),
    )


def _parameters(split: str, kin: Family, draw: Draw) -> Parameters:
    inside = list(HELD_OUT)[draw.integers(len(HELD_OUT))] if split == "scene" else None
    found: Parameters = {"distance": float(draw.beta(1.1, 2.0))}
    for name, hole in HELD_OUT.items():
        found[name] = _value(split, hole, name == inside, draw)
    if kin.objects or kin.materials:
        found.update(_pair(split, kin, draw))
    if kin.grounds and "ground" not in found:
        found["ground"] = str(draw.choice(kin.grounds))
    if kin.kind == "strokes":
        short, long = kin.every_s
        fast = float(found["speed"]) * 0.8 + 0.2 * draw.random()
        every = long * (short / long) ** fast
        found["every"] = float(every)
        found["at"] = float(draw.random() ** 1.5 * min(0.5 * every, 0.8))
    return found


def _value(split: str, hole: tuple[float, float], inside: bool, draw: Draw) -> float:
    low, high = hole
    if inside:
        return float(draw.uniform(low, high))
    if split == "judge" or split == "scene":
        return float(draw.random())
    value = draw.random() * (1.0 - (high - low))
    return float(value if value < low else value + (high - low))


def _pair(split: str, kin: Family, draw: Draw) -> Parameters:
    """Object and material (or shoes and ground), from the pairs that this split may show."""
    if not kin.materials and not kin.name.startswith("steps_"):
        return {"object": str(draw.choice(kin.objects))}
    held = set(kin.withheld)
    if split == "combo":
        allowed = [pair for pair in kin.pairs if pair in held]
    elif split == "judge":
        allowed = list(kin.pairs)
    else:
        allowed = [pair for pair in kin.pairs if pair not in held]
    thing, stuff = allowed[draw.integers(len(allowed))]
    if kin.name.startswith("steps_"):
        return {"object": thing, "ground": stuff}
    return {"object": thing, "material": stuff}


# When it hits --------------------------------------------------------------------------------


def _hit(time_s: float, strength: float) -> Hit:
    return Hit(time_s=round(time_s, 4), strength=round(min(max(strength, 0.03), 1.0), 4))


def _first(draw: Draw, latest_s: float = 1.1) -> float:
    return 0.03 + float(draw.random() ** 1.8) * (latest_s - 0.03)


def _no_hits(kin: Family, parameters: Parameters, draw: Draw) -> tuple[Hit, ...]:
    return ()


def _bounces(kin: Family, parameters: Parameters, draw: Draw) -> tuple[Hit, ...]:
    """A fall from some height and its bounces, each lower by the restitution of both materials."""
    lost = _SPRING[str(parameters["material"])] * _YIELD[str(parameters["ground"])]
    lost *= float(draw.uniform(0.85, 1.12)) * (1.0 if parameters["object"] == "ball" else 0.82)
    lost = min(lost, 0.88)
    force = 0.25 + 0.75 * (0.6 * float(parameters["speed"]) + 0.4 * float(parameters["intensity"]))
    # height 0.1 to 1.6 m: the speed of the fall is sqrt(2 g h), and a bounce lasts 2 e v / g
    falling = math.sqrt(2 * 9.81 * (0.1 + 1.5 * float(parameters["speed"])))
    time_s, strength, gap = _first(draw, 0.9), force, 2 * lost * falling / 9.81
    times: list[Hit] = []
    while len(times) < kin.most and time_s < _LAST_S and strength > 0.05:
        times.append(_hit(time_s, strength))
        if gap < 0.05:
            break
        tumble = 1.0 if parameters["object"] == "ball" else float(draw.uniform(0.8, 1.2))
        time_s += gap * tumble
        gap, strength = gap * lost, strength * lost * float(draw.uniform(0.9, 1.1))
    return tuple(times)


def _steps_hits(kin: Family, parameters: Parameters, draw: Draw) -> tuple[Hit, ...]:
    """A walk from 85 to a run of 190 steps a minute; one foot falls a little harder than the other."""
    gap = 60.0 / (85.0 + 105.0 * float(parameters["speed"]))
    force = 0.3 + 0.5 * float(parameters["intensity"]) + 0.2 * float(parameters["speed"])
    limp = float(draw.normal(0.0, 0.03))
    found: list[Hit] = []
    time_s = _first(draw, 0.75 * gap)
    while time_s < _LAST_S and len(found) < kin.most:
        left = 1 if len(found) % 2 else -1
        found.append(_hit(time_s, force * (1 + 0.06 * left) * float(draw.uniform(0.85, 1.15))))
        time_s += gap * (1 + limp * left + float(draw.normal(0.0, 0.025)))
    return tuple(found)


def _once(latest_s: float) -> Callable[[Family, Parameters, Draw], tuple[Hit, ...]]:
    def hits(kin: Family, parameters: Parameters, draw: Draw) -> tuple[Hit, ...]:
        return (_hit(_first(draw, latest_s), 0.35 + 0.65 * float(parameters["intensity"])),)

    return hits


def _scattered(slow_s: float, fast_s: float, uneven: float) -> Callable[..., tuple[Hit, ...]]:
    """Hits that come on and on: ``slow_s`` apart at speed 0, ``fast_s`` at speed 1, ``uneven`` 0 to 1."""

    def hits(kin: Family, parameters: Parameters, draw: Draw) -> tuple[Hit, ...]:
        gap = slow_s * (fast_s / slow_s) ** float(parameters["speed"])
        force = 0.3 + 0.6 * float(parameters["intensity"])
        found: list[Hit] = []
        time_s = _first(draw, min(0.8 * gap, 0.8))
        most = kin.most if gap < 1.0 or draw.random() < 0.5 else 1
        while time_s < _LAST_S and len(found) < most:
            found.append(_hit(time_s, force * float(draw.uniform(1 - 0.5 * uneven, 1 + 0.3 * uneven))))
            time_s += gap * float(np.exp(draw.normal(0.0, 0.5) * uneven))
        return tuple(found)

    return hits


_HITS: dict[str, Callable[[Family, Parameters, Draw], tuple[Hit, ...]]] = {
    **{kin.name: _bounces for kin in FAMILIES if kin.name.startswith("impact_")},
    **{kin.name: _steps_hits for kin in FAMILIES if kin.name.startswith("steps_")},
    "glass_break": _once(0.9),
    "door": _once(1.3),
    "switch": _scattered(1.4, 0.25, 0.8),
    "drops": _scattered(1.1, 0.16, 0.7),
    "splash": _scattered(1.9, 1.0, 0.4),
    "thunder": _once(0.5),
    "explosion": _once(0.6),
    "clock": _scattered(1.0, 0.4, 0.0),
    "bell": _scattered(2.4, 0.6, 0.2),
    "typewriter": _scattered(0.3, 0.11, 0.6),
}
