# SPDX-License-Identifier: GPL-3.0-or-later
"""Where paths turn sharply or come to rest, for many things and many frames at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BEFORE, AFTER = 4, 5  # frames that only tell what was before and after
SLOWEST = 0.06  # a turn of speed counts from so many of the thing's sizes a second
FARTHEST = 1e7  # from the origin; what lies beyond is no place
_GROWN = 1.01  # squares of sizes: less than half a percent is rounding
_STILL = 0.03  # of the speed just before: as good as at rest


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A sharp turn of thing number ``body``: ``offset`` (0 to 1, roughly) after frame ``frame``.

    jump: (3,) change of the centre's velocity; spin: how much of the whole is change of rotation, 0 to 1;
    halts: it came to rest smoothly, without a sharp change; arm: the place on it that turned, in its own
    space, where that is not its centre.
    """

    body: int
    frame: int
    offset: float
    jump: np.ndarray
    spin: float
    size: float
    halts: bool = False
    arm: np.ndarray | None = None


def places_of(matrices: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(F, B, 3) places of (B, 3) own centres under (F, B, 4, 4); NaN for what is nowhere."""
    with np.errstate(all="ignore"):
        places: np.ndarray = matrices[..., :3, 3].copy()
        off = np.flatnonzero(centres.any(axis=1))
        for axis in range(3) if len(off) else ():
            places[:, off] += matrices[:, off][..., :3, axis] * centres[off, axis, None]
    return on_earth(places)


def on_earth(places: np.ndarray) -> np.ndarray:
    """(..., 3) places, NaN for what is beyond all bounds; changed in place."""
    with np.errstate(all="ignore"):
        places[~(np.abs(places) < FARTHEST).all(axis=-1)] = np.nan
    return places


def speeds_of(matrices: np.ndarray, places: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """(F - 1, B, 6): from each frame to the next, the centre's step and the turn times ``radius``.

    A leap of one single frame is an edit and not a movement: the path is torn there.
    """
    with np.errstate(all="ignore"):
        steps = np.diff(places, axis=0)
        speeds: np.ndarray = np.concatenate((steps, np.zeros_like(steps)), axis=2)
        bases = matrices[..., :3, :3]
        turning = np.flatnonzero((bases[1:] != bases[:-1]).any(axis=(0, 2, 3)) & (radius > 0.0))
        if len(turning):  # most things do not turn most of the time
            own = bases[:, turning]
            own = own / np.linalg.norm(own, axis=2, keepdims=True)
            speeds[:, turning, 3:] = turned(own[:-1], own[1:]) * radius[turning, None]
        speeds[~np.isfinite(speeds).all(axis=2)] = np.nan
        leap = np.linalg.norm(speeds[..., :3], axis=2)
        calm = np.nan_to_num(leap)
        around = np.maximum(np.pad(calm[:-1], ((1, 0), (0, 0))), np.pad(calm[1:], ((0, 1), (0, 0))))
        speeds[leap > 4.0 * around + 2.0 * radius] = np.nan
    return speeds


def growing(matrices: np.ndarray, boxes: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(thing, place on it) for the ends of those that grow or shrink in (F, B, 4, 4): a ball that is squashed
    goes on sinking when its foot has landed. boxes: (B, 2, 3) half sizes and middles.
    """
    with np.errstate(all="ignore"):
        scales = (matrices[..., :3, :3] ** 2).sum(axis=2)
        least, most = np.nanmin(scales, axis=0, initial=np.inf), np.nanmax(scales, axis=0, initial=0.0)
        found = np.argwhere((most > _GROWN * least) & (most < FARTHEST))
    ends = []
    for body, axis in found.tolist():
        for way in (-1.0, 1.0):
            place = boxes[body, 1].copy()
            place[axis] += way * boxes[body, 0, axis]
            ends.append((body, place))
    return ends


def find(first: int, matrices: np.ndarray, places: np.ndarray, radius: np.ndarray, fps: float) -> list[Turn]:
    """The turns in (F, B, 4, 4) matrices of frames ``first`` on, in order of time and the sharpest first.

    places: (F, B, 3) centres, as ``places_of`` tells them; radius: (B,) half sizes. The first ``BEFORE`` and
    the last ``AFTER`` frames are only looked at.
    """
    if len(matrices) <= BEFORE + AFTER or not matrices.shape[1]:
        return []
    least = np.maximum(2.0 * radius * SLOWEST / fps, 1e-6)
    with np.errstate(all="ignore"):
        speeds = speeds_of(matrices, places, radius)
        found = _sharp(first, speeds, least)
        sharp = {(turn.body, turn.frame + step): turn.size for turn in found for step in (-1, 0, 1)}
        found += [
            turn
            for turn in _halts(first, speeds, least)
            if sharp.get((turn.body, turn.frame), 0.0) < 0.9 * turn.size
        ]
    return sorted(found, key=lambda turn: (turn.frame, -turn.size / least[turn.body]))


def _sharp(first: int, speeds: np.ndarray, least: np.ndarray) -> list[Turn]:
    """Turns at frames BEFORE to F - AFTER: what two bends hold more than the arcs around them."""
    bends = np.diff(speeds, axis=0)  # bends[i] lies at frame i + 1
    count = len(bends) - BEFORE - AFTER + 4
    longer, sooner, here, then, later, latest = (
        bends[BEFORE - 2 + offset : BEFORE - 2 + offset + count] for offset in (-2, -1, 0, 1, 2, 3)
    )
    before, after = _calmer(sooner, longer), _calmer(later, latest)
    before, after = _else(before, after), _else(after, before)
    early, late = here - before, then - after
    jump = early + late
    score = np.sqrt((jump**2).sum(axis=2))
    inner = np.nan_to_num(score[1:-1], nan=-1.0)
    others = np.nan_to_num(score, nan=-1.0)
    peak = (inner > others[:-2]) & (inner >= others[2:]) & (inner > least)
    found = []
    for row, body in np.argwhere(peak).tolist():
        whole, size = jump[row + 1, body], float(inner[row, body])
        share = float(late[row + 1, body] @ whole) / size**2
        spin = float(np.sqrt((whole[3:] ** 2).sum())) / size
        offset = min(max(share, 0.0), 1.0)
        found.append(Turn(body, first + BEFORE + row, offset, whole[:3], spin, size))
    return found


def _halts(first: int, speeds: np.ndarray, least: np.ndarray) -> list[Turn]:
    """Where a thing comes to rest between ``frame`` and the next, having slowed down before."""
    pace = np.sqrt((speeds**2).sum(axis=2))  # pace[i]: from frame i to i + 1
    count = len(pace) + 1 - BEFORE - AFTER
    rows = (pace[BEFORE + offset : BEFORE + offset + count] for offset in range(-4, 3))
    longest, longer, sooner, last, here, then, later = rows
    recent = np.fmax(sooner, np.fmax(longer, longest))
    still = np.maximum(_STILL * recent, 0.1 * least)
    halt = (then <= still) & (later <= still) & (here > still)
    halt |= (here <= still) & (then <= still) & (last > still)
    halt &= (recent > least) & (last < 0.95 * sooner)
    halt[1:] &= ~halt[:-1]
    found = []
    for row, body in np.argwhere(halt).tolist():
        frame = row + BEFORE - (0 if pace[row + BEFORE, body] > still[row, body] else 1)
        velocity = np.nan_to_num(speeds[frame - 2, body])
        size = float(recent[row, body])
        spin = float(np.sqrt((velocity[3:] ** 2).sum()) / max(np.sqrt((velocity**2).sum()), 1e-12))
        found.append(Turn(body, first + frame, 0.5, -velocity[:3], spin, size, halts=True))
    return found


def _calmer(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Of two bends the smaller: the other may be another hit's."""
    chosen = (far**2).sum(axis=-1, keepdims=True) < (near**2).sum(axis=-1, keepdims=True)
    return np.where(chosen | np.isnan(near), far, near)


def _else(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """``one`` where it is known, else ``other``, else nothing at all."""
    return np.where(np.isfinite(one), one, np.nan_to_num(other))


def turned(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(..., 3) axis times angle from (..., 3, 3) rotations to the next; 0 beyond a third turn."""
    change = np.nan_to_num(after @ np.swapaxes(before, -1, -2))
    axis = np.stack(
        (
            change[..., 2, 1] - change[..., 1, 2],
            change[..., 0, 2] - change[..., 2, 0],
            change[..., 1, 0] - change[..., 0, 1],
        ),
        axis=-1,
    )
    sine = np.linalg.norm(axis, axis=-1) / 2.0
    cosine = (np.trace(change, axis1=-2, axis2=-1) - 1.0) / 2.0
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine > 1e-6, angle / np.maximum(2.0 * sine, 1e-12), 0.5)
    scale = np.where(angle < 2.1, scale, 0.0)
    result: np.ndarray = axis * scale[..., None]
    return result
