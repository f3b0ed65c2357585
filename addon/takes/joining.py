# SPDX-License-Identifier: GPL-3.0-or-later
"""New takes for strips that are there already: which sound of a result is for which strip. Pure, no bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..sounds.placement import PlannedStrip, Shot, begun
from ..timeline import nearest
from ..wire.errors import BadInput
from ..wire.messages import Result

NEAR_S = Fraction(1, 8)  # a hit that lies further away is another hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A strip that waits for a new take.

    uuid, names: how it is found again, several names where it was cut into parts;
    at_s: where its files begin, in seconds from the start of the shot;
    parent: the take that the new one comes from; how: as in history.py.
    """

    uuid: str
    names: tuple[str, ...]
    layer: str
    at_s: Fraction
    parent: str = ""
    how: str = "again"


def fitted(
    strips: Sequence[PlannedStrip], aims: Sequence[Aim], result: Result, shot: Shot
) -> list[tuple[PlannedStrip, Aim | None]]:
    """Each planned strip with the strip that it is for, its file beginning where that one's files do.

    Without ``aims`` nothing changes. With them, a sound that is for none of them is left out: it was not
    asked for. Raises BadInput when a sound cannot fit.
    """
    if not aims:
        return [(strip, None) for strip in strips]
    chosen = _pairs(strips, aims, shot)
    found: list[tuple[PlannedStrip, Aim | None]] = []
    for strip in strips:
        aim = chosen.get(strip.sound)
        if aim is not None:
            begin = nearest(shot.start_frame + shot.rate.frames(aim.at_s))
            found.append((begun(strip, result.clips[strip.clip], shot, begin), aim))
    if not found:
        raise BadInput(
            "No sound came back for these strips: their hits may be gone. Generate the shot again."
        )
    return found


def _pairs(strips: Sequence[PlannedStrip], aims: Sequence[Aim], shot: Shot) -> dict[tuple[str, int], Aim]:
    """The nearest pairs of one layer first, each sound and each strip once."""
    near = []
    for strip in strips:
        at_s = shot.rate.seconds(strip.start - shot.start_frame)
        for number, aim in enumerate(aims):
            away_s = abs(at_s - aim.at_s)
            if aim.layer == strip.layer and away_s <= NEAR_S:
                near.append((away_s, strip.sound, number))
    chosen: dict[tuple[str, int], Aim] = {}
    given: set[int] = set()
    for _, sound, number in sorted(near):
        if sound not in chosen and number not in given:
            chosen[sound] = aims[number]
            given.add(number)
    return chosen
