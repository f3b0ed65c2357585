# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a sharp turn of a path is a hit: does the thing come upon another there, and stop coming nearer?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import bpy
import numpy as np

from ..events import SLOWEST, Meeting, Turn, turning
from .track_things import Shape, Things, nearest, probes

REACH = 0.04  # of a thing's size: animators leave gaps, and let things sink in
SLIDE_GAP = 0.02
SLIDE_SPEED = 0.5  # of a thing's sizes a second, for its sliding to begin or end with a sound
_PARTNERS = 16


@dataclass(slots=True)
class Look:
    """One frame. matrices: (N, 4, 4); places, bases: (B, 3) and (B, 3, 3) of objects, then parts;
    parts: their points; view: (4, 4) from the world into the picture, None without a camera.
    """

    frame: int
    matrices: np.ndarray
    places: np.ndarray
    bases: np.ndarray
    parts: list[np.ndarray]
    view: np.ndarray | None
    camera: np.ndarray | None


class Touch(NamedTuple):
    """A hit, or the start or end of sliding. normal: (3,); speed: lengths per frame."""

    partner: int
    point: np.ndarray
    normal: np.ndarray
    speed: float
    kind: str


class _Body(NamedTuple):
    """The mover at the turn: its points, their velocities before and after, its centre."""

    points: np.ndarray
    before: np.ndarray
    after: np.ndarray
    centre: np.ndarray


class Contacts:
    """Looks around a turn in the frames kept. ``radius``: (B,) of objects, then parts."""

    def __init__(self, things: Things, radius: np.ndarray, fps: float) -> None:
        self._things, self._radius, self._fps = things, radius, fps

    def owner(self, body: int) -> int:
        """The object that a part belongs to."""
        count = len(self._things.names)
        return body if body < count else self._things.parts[body - count].owner

    def touch(
        self, turn: Turn, met: Meeting, looks: Mapping[int, Look], depsgraph: bpy.types.Depsgraph
    ) -> Touch | None:
        """What the mover of ``turn`` touches at ``met``; None for nothing. ``looks``: by frame."""
        around = [looks.get(turn.frame + step) for step in (-2, -1, 0, 1, 2)]
        size, owner = 2.0 * self._radius[turn.body], self.owner(turn.body)
        then = _matrices_at(around, met.time)
        shape = self._things.shape(owner, depsgraph)
        body = self._body(turn, met, around, then[owner], shape)
        if body is None or not np.isfinite(body.points).all():
            return None
        pace = float(np.linalg.norm(body.before, axis=1).max())
        reach = REACH * size + 0.2 * pace
        best: Touch | None = None
        resting: Touch | None = None
        for partner in self._near(body, then, owner, reach):
            found = self._against(body, partner, around, then, reach, depsgraph)
            if found is None and shape is not None and turn.body == owner:
                found = self._against_corners(body, partner, around, then, shape, reach, depsgraph)
            if found is None:
                continue
            resting = found if resting is None else resting
            if best is None or found.speed > best.speed:
                best = found
        least = SLOWEST * size / self._fps
        if best is not None and best.kind == "hit" and best.speed > least:
            along = best.speed < 0.5 * pace and self._was_touching(turn, around, owner, size, depsgraph)
            return None if along else best
        slide = _slide(resting, met, turn, body) if resting is not None else None
        return slide if slide is not None and slide.speed > SLIDE_SPEED * size / self._fps else None

    def _body(
        self, turn: Turn, met: Meeting, around: list[Look | None], matrix: np.ndarray, shape: Shape | None
    ) -> _Body | None:
        _, last, here, then, later = around
        if here is None or then is None:
            return None
        part = turn.body - len(self._things.names)
        if part >= 0:
            now, next_ = here.parts[part], then.parts[part]
            before = now - last.parts[part] if last is not None else np.zeros_like(now)
            after = later.parts[part] - next_ if later is not None else np.zeros_like(now)
            before, after = np.nan_to_num(before), np.nan_to_num(after)
            points = now + met.time * before
            return _Body(points, before, after, points.mean(axis=0))
        if shape is None or not np.isfinite(matrix).all():
            return None
        middle = self._things.boxes[turn.body, 1]
        shift = here.places[turn.body] + met.time * met.before - (matrix[:3, :3] @ middle + matrix[:3, 3])
        corners = shape.corners @ matrix[:3, :3].T + matrix[:3, 3] + shift
        centre = matrix[:3, :3] @ middle + matrix[:3, 3] + shift
        way = -turn.jump if np.linalg.norm(turn.jump) > 0.0 else met.before
        points = probes(corners, (way, met.before))
        spins = [
            turning(one.bases[turn.body][None], two.bases[turn.body][None])[0] if one and two else np.zeros(3)
            for one, two in ((last, here), (then, later))
        ]
        arms = points - centre
        return _Body(
            points, met.before + np.cross(spins[0], arms), met.after + np.cross(spins[1], arms), centre
        )

    def _near(self, body: _Body, then: np.ndarray, owner: int, reach: float) -> list[int]:
        """Objects whose boxes lie within ``reach``, the nearest first."""
        boxes = self._things.boxes
        with np.errstate(all="ignore"):
            middles = np.einsum("nij,nj->ni", then[:, :3, :3], boxes[:, 1]) + then[:, :3, 3]
            halves = np.einsum("nij,nj->ni", np.abs(then[:, :3, :3]), boxes[:, 0])
            low, high = body.points.min(axis=0), body.points.max(axis=0)
            gap = np.maximum(np.maximum(middles - halves - high, low - middles - halves), 0.0).max(axis=1)
        near = np.flatnonzero(gap <= reach)
        near = near[near != owner]
        return [int(number) for number in near[np.argsort(gap[near], kind="stable")][:_PARTNERS]]

    def _against(
        self,
        body: _Body,
        partner: int,
        around: list[Look | None],
        then: np.ndarray,
        reach: float,
        depsgraph: bpy.types.Depsgraph,
    ) -> Touch | None:
        """The mover's points against the partner's surface."""
        shape = self._things.shape(partner, depsgraph)
        if shape is None:
            return None
        places, normals = nearest(body.points, then[partner], shape.tree)
        return _strongest(body, body.points, places, normals, partner, around, then, reach)

    def _against_corners(
        self,
        body: _Body,
        partner: int,
        around: list[Look | None],
        then: np.ndarray,
        own: Shape,
        reach: float,
        depsgraph: bpy.types.Depsgraph,
    ) -> Touch | None:
        """The partner's corners against the mover's own points: a wide thing comes down on a small one."""
        shape = self._things.shape(partner, depsgraph)
        if shape is None:
            return None
        corners = shape.corners @ then[partner][:3, :3].T + then[partner][:3, 3]
        low, high = body.points.min(axis=0) - reach, body.points.max(axis=0) + reach
        inside = corners[((corners >= low) & (corners <= high)).all(axis=1)][:64]
        if not len(inside):
            return None
        matrix = _fit(own, body, then)
        if matrix is None:
            return None
        places, normals = nearest(inside, matrix, own.tree)
        moved = _Body(inside, *_field(body, inside), body.centre)
        return _strongest(moved, inside, places, normals, partner, around, then, reach)

    def _was_touching(
        self,
        turn: Turn,
        around: list[Look | None],
        owner: int,
        size: float,
        depsgraph: bpy.types.Depsgraph,
    ) -> bool:
        """Whether the mover lay on something two frames before: it slides or rolls on, over an edge."""
        past, shape = around[0], self._things.shape(owner, depsgraph)
        if past is None or shape is None or turn.body != owner:
            return False
        matrix = past.matrices[owner]
        corners = shape.corners @ matrix[:3, :3].T + matrix[:3, 3]
        if not np.isfinite(corners).all():
            return False
        body = _Body(corners, corners, corners, corners.mean(axis=0))
        for partner in self._near(body, past.matrices, owner, SLIDE_GAP * size):
            other = self._things.shape(partner, depsgraph)
            if other is None:
                continue
            lowest = np.argsort(((corners - _middle(past.matrices[partner], other)) ** 2).sum(axis=1))[:48]
            outer = corners[np.union1d(np.argsort(corners[:, 2])[:48], lowest)]
            places, _ = nearest(outer, past.matrices[partner], other.tree)
            if float(np.nanmin(np.linalg.norm(places - outer, axis=1), initial=np.inf)) < SLIDE_GAP * size:
                return True
        return False


def _middle(matrix: np.ndarray, shape: Shape) -> np.ndarray:
    middle: np.ndarray = matrix[:3, :3] @ shape.corners.mean(axis=0) + matrix[:3, 3]
    return middle


def _matrices_at(around: list[Look | None], time: float) -> np.ndarray:
    """(N, 4, 4) of all objects at the turn, as their movement before foretells."""
    last, here = around[1], around[2]
    assert here is not None
    if last is None:
        return here.matrices
    step = here.matrices - last.matrices
    small = np.abs(step).max(axis=(1, 2)) < 1e6
    return here.matrices + time * np.where(small[:, None, None], step, 0.0)


def _material(first: Look | None, second: Look | None, then: np.ndarray, partner: int) -> np.ndarray:
    """(4, 4) that gives a partner's points in the world their velocities between two frames."""
    if first is None or second is None:
        return np.zeros((4, 4))
    step = second.matrices[partner] - first.matrices[partner]
    if not np.isfinite(step).all() or not step.any() or abs(np.linalg.det(then[partner])) < 1e-12:
        return np.zeros((4, 4))
    moved: np.ndarray = step @ np.linalg.inv(then[partner])
    return moved


def _strongest(
    body: _Body,
    points: np.ndarray,
    places: np.ndarray,
    normals: np.ndarray,
    partner: int,
    around: list[Look | None],
    then: np.ndarray,
    reach: float,
) -> Touch | None:
    """Where the two come upon each other fastest; else where they lie on each other."""
    facing = np.sign(np.einsum("pi,pi->p", normals, body.centre - places))
    normals = normals * np.where(facing == 0.0, 1.0, facing)[:, None]
    gaps = np.linalg.norm(points - places, axis=1)
    before = _material(around[1], around[2], then, partner)
    after = _material(around[3], around[4], then, partner)
    coming = -np.einsum("pi,pi->p", body.before - points @ before[:3, :3].T - before[:3, 3], normals)
    going = -np.einsum("pi,pi->p", body.after - points @ after[:3, :3].T - after[:3, 3], normals)
    near = gaps <= reach
    if not near.any():
        return None
    hits = np.where(near & (coming > 0.0) & (going < 0.5 * coming), coming, -np.inf)
    best = int(np.argmax(hits))
    if np.isfinite(hits[best]):
        return Touch(partner, places[best], normals[best], float(coming[best]), "hit")
    best = int(np.nanargmin(gaps))
    return Touch(partner, places[best], normals[best], 0.0, "rest")


def _fit(own: Shape, body: _Body, then: np.ndarray) -> np.ndarray | None:
    """The mover's matrix out of its corners and where they are: (4, 4)."""
    if len(own.corners) != len(body.points):
        return None
    full = np.concatenate((own.corners, np.ones((len(own.corners), 1))), axis=1)
    solved = np.linalg.lstsq(full, body.points, rcond=None)[0]
    matrix = np.eye(4)
    matrix[:3] = solved.T
    return matrix


def _field(body: _Body, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mover's velocities at other points, as its own points' change with place."""
    full = np.concatenate((body.points, np.ones((len(body.points), 1))), axis=1)
    there = np.concatenate((points, np.ones((len(points), 1))), axis=1)
    before, after = (there @ np.linalg.lstsq(full, v, rcond=None)[0] for v in (body.before, body.after))
    return before, after


def _slide(resting: Touch, met: Meeting, turn: Turn, body: _Body) -> Touch | None:
    """A thing that lies on another and is suddenly moved, or suddenly stands."""
    before, after = float(np.linalg.norm(met.before)), float(np.linalg.norm(met.after))
    if turn.spin > 0.7 or abs(float(met.before @ resting.normal)) + abs(
        float(met.after @ resting.normal)
    ) > 0.2 * (before + after):
        return None
    if before < 0.05 * after:
        rolls = float(np.linalg.norm(body.after - met.after, axis=1).max()) > 0.5 * after
        return resting._replace(speed=after, kind="roll" if rolls else "slide")
    if after < 0.05 * before:
        return resting._replace(speed=before, kind="stop")
    return None
