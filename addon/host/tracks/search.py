# SPDX-License-Identifier: GPL-3.0-or-later
"""From the last frames of everything that moves to hits: turns are found, looked into, timed and told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...hits import arcs, passes, watch
from ...hits.merge import Contact
from ...hits.watch import Turn
from ...hits.window import AFTER, BEFORE, Window
from ...hits.words import is_foot, together
from .contact import Contacts, Touch
from .looks import Doubt
from .movers import Mover, movers, paths
from .sources import Now
from .things import Things
from .view import NOWHERE, Eyes, Seen

_TURNS = 64  # looked into at one frame: the sharpest
_TOGETHER = 256  # turns prepared at once
_COLUMNS = 1_000  # things searched at once
_CHANGES = 0.1  # of a turn's size: where a thing turns or grows that much, the place that touches tells when
_PASSING = 0.3  # what rushes by is so much fainter than what is struck
_CROWDED = f"More than {_TURNS} things turn sharply at once; hits are read from the heaviest."


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A contact, and what it takes to look at it more closely."""

    contact: Contact
    touch: Touch | None = None
    doubt: Doubt | None = None

    def settled(self, met: arcs.Meeting) -> Found | None:
        """With the time that looks have told; None where the path does not turn sharply when seen closely: a
        smooth swing looks sharp from afar only.
        """
        assert self.touch is not None
        assert self.doubt is not None
        change = met.after - met.before
        if self.touch.kind == "hit":
            sharp = float(change @ self.touch.normal) > 0.4 * self.touch.speed
        else:
            sharp = float(np.linalg.norm(change)) > 0.7 * self.touch.speed
        return (
            replace(self, contact=replace(self.contact, time=self.doubt.frame + met.time)) if sharp else None
        )


class Search:
    """Searches a window over and over. radius: (N,) half sizes; off_camera: also what the camera cannot see.

    found: in no order; notes: sentences about what was left out.
    """

    def __init__(
        self, things: Things, radius: np.ndarray, window: Window, eyes: Eyes, fps: float, *, off_camera: bool
    ) -> None:
        self._things, self._radius, self._window, self._eyes = things, radius, window, eyes
        self._fps, self._off_camera = fps, off_camera
        self._contacts = Contacts(things, window, fps)
        self.found: list[Found] = []
        self.notes: set[str] = set()

    def run(self, now: Now) -> Iterator[None]:
        """Look for hits in the frames that are kept, and make room for more; yields where a tick may end."""
        window, bodies = self._window, self._things.bodies
        matrices = window.matrices[: window.filled].astype(np.float64)
        boxes = self._things.boxes[:bodies]
        places = watch.places_of(matrices, boxes[:, 1])
        self._contacts.begin(matrices)
        turns: list[Turn] = []
        for some in self._turns(matrices, places):
            turns += some
            yield
        turns = self._sharpest(turns)
        for first in range(0, len(turns), _TOGETHER):
            group = turns[first : first + _TOGETHER]
            arms = np.array([boxes[turn.body, 1] if turn.arm is None else turn.arm for turn in group])
            ways, met = paths(window, group, arms)
            known = movers(window, group, arms, met, boxes, self._radius)
            for mover, way in zip(known, ways, strict=True):
                if mover is not None:
                    self._look_into(mover, way, now)
                    yield
        self._passes(places)
        window.roll()
        self._eyes.forget(window.first)

    def _turns(self, matrices: np.ndarray, places: np.ndarray) -> Iterator[list[Turn]]:
        """Of the centres of all things, and of the ends of those that grow or shrink."""
        bodies, skip = self._things.bodies, BEFORE - watch.BEFORE
        first, radius = self._window.first + skip, self._radius
        for start in range(0, bodies, _COLUMNS):
            some = np.arange(start, min(start + _COLUMNS, bodies))
            found = watch.find(first, matrices[skip:, some], places[skip:, some], radius[some], self._fps)
            yield [replace(turn, body=int(some[turn.body])) for turn in found]
        ends = watch.growing(matrices, self._things.boxes[:bodies])
        for start in range(0, len(ends), _COLUMNS):
            rows = [body for body, _ in ends[start : start + _COLUMNS]]
            arms = np.array([arm for _, arm in ends[start : start + _COLUMNS]])
            own = matrices[skip:, rows]
            found = watch.find(first, own, watch.places_of(own, arms), radius[rows], self._fps)
            yield [replace(turn, body=rows[turn.body], arm=arms[turn.body]) for turn in found]

    def _sharpest(self, turns: list[Turn]) -> list[Turn]:
        """Of one frame's turns only as many as can be looked into."""
        frames: dict[int, list[Turn]] = {}
        for turn in turns:
            frames.setdefault(turn.frame, []).append(turn)
        kept: list[Turn] = []
        for group in frames.values():
            if len(group) > _TURNS:
                self.notes.add(_CROWDED)
                group.sort(key=lambda turn: -turn.size * self._radius[turn.body])
            kept += group[:_TURNS]
        return kept

    def _look_into(self, mover: Mover, way: np.ndarray, now: Now) -> None:
        """A turn that is a hit and can be seen is told."""
        things, turn, met = self._things, mover.turn, mover.met
        touch = self._contacts.touch(mover, now)
        if touch is None:
            return
        seen = self._see(turn.frame, touch.point, turn.body)
        if not (seen.inside or self._off_camera):
            return
        arm = things.boxes[turn.body, 1] if turn.arm is None else turn.arm
        if touch.kind == "hit" and mover.points is None and mover.changes() > _CHANGES * turn.size:
            own = mover.own(touch.point[None])
            ways, closer = paths(self._window, [turn], own, touching=True)
            if closer.known[0]:
                arm, way, met = own[0], ways[0], closer[0]
        doubt = None
        if met.doubt > arcs.CERTAIN and not things.simulated[[turn.body, touch.partner]].any():
            doubt = Doubt(turn.body, turn.frame, met, *arcs.sides(way, turn.size), arm)
        self.found.append(Found(self._contact(turn, touch, turn.frame + met.time, seen), touch, doubt))

    def _contact(self, turn: Turn, touch: Touch, moment: float, seen: Seen) -> Contact:
        things = self._things
        force = touch.speed * self._fps * max(float(self._radius[turn.body]), 1e-9)
        kind, name = touch.kind, things.words(turn.body)
        if kind == "hit" and is_foot(name):
            kind = "step"
        x, y, z = touch.point.tolist()
        return Contact(
            time=moment,
            pair=(turn.body, touch.partner),
            force=0.5 * force if turn.halts else force,
            kind=kind,
            words=together(name, things.words(touch.partner)),
            pan=seen.pan,
            distance=seen.distance,
            place=seen.place,
            family=int(things.families[turn.body]),
            spot=(x, y, z),
            size=float(self._radius[turn.body]),
        )

    def _passes(self, places: np.ndarray) -> None:
        """What rushes by the camera."""
        skip, last = BEFORE - passes.BEFORE, self._window.filled - AFTER + passes.AFTER
        first, radius = self._window.first, self._radius[: self._things.bodies]
        eyes = self._eyes.places(first + skip, last - skip)
        for one in passes.find(first + skip, places[skip:last], eyes, radius, self._fps):
            place = places[round(one.time) - first, one.body]
            seen = self._see(round(one.time), place, one.body)
            contact = Contact(
                time=one.time,
                pair=(one.body, -1),
                force=_PASSING * one.speed * self._fps * float(radius[one.body]),
                kind="whoosh",
                words=self._things.words(one.body),
                pan=seen.pan,
                distance=seen.distance,
                place=seen.place,
            )
            self.found.append(Found(contact))

    def _see(self, frame: int, place: np.ndarray, body: int) -> Seen:
        view = self._eyes.view(frame)
        return NOWHERE if view is None else view.see(place, float(self._radius[body]))
