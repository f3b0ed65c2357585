# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search has found on its way into the list of a scene: a little each tick, in the end one undo step.

Only plain data is kept between ticks. What is there is looked at anew whenever anybody else has changed the
list meanwhile, undo included; every piece of the work leaves a list of whole hits, and to merge the same ones
twice changes nothing, so it simply begins again. Main thread only.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import bpy

from ...hits import listed
from ...hits.merge import with_markers
from ...wire.errors import BadInput
from .. import sequencer, texts
from . import events, overlay, store

if TYPE_CHECKING:
    from ...hits.listed import Hit
    from ...timeline import FrameRange, Rate
    from ...wire.messages import Event

MESSAGE = "Find Hits"
BUDGET_S = 0.01
_NEW = -1  # an entry that is not there yet
PIECE = 50  # hits between two looks at the clock; one takes some 20 microseconds

Work = Generator[None, None, Any]


class Keeping:
    """One search's end. ``sentence``: what has become of the list, once ``step`` has returned False."""

    def __init__(self, scene: Any, found: Sequence[Event], span: FrameRange, rate: Rate, origin: str) -> None:
        sequencer.require_editable(scene)
        self.found = found
        self.sentence = ""
        self.writing = False  # from now on it is better finished than given up
        self._name, self._uid = scene.name, scene.session_uid
        self._span, self._rate, self._origin = span, rate, origin
        self._work = self._run()

    def step(self, budget_s: float = BUDGET_S) -> bool:
        """Go on for about ``budget_s``; False once all is done. Raises BadInput when the scene is gone."""
        until = time.perf_counter() + budget_s
        return any(time.perf_counter() >= until for _ in self._work)

    def finish(self) -> str:
        """All that is left, at once; the sentence."""
        for _ in self._work:
            pass
        return self.sentence

    def _scene(self) -> Any:
        scene = sequencer.find_scene(self._name, self._uid)
        if scene is None:
            raise BadInput("The scene is gone; open it again and find its hits once more.")
        return scene

    def _run(self) -> Work:
        new = yield from self._hits()
        while (counts := (yield from self._merge(new))) is None:
            pass
        before, now, changed = counts
        yield
        if changed and bpy.ops.ed.undo_push.poll():
            bpy.ops.ed.undo_push(message=MESSAGE)
        overlay.redraw()
        self.sentence = _words(len(new), before, now)

    def _hits(self) -> Generator[None, None, list[Hit]]:
        """What was found and marked, as hits."""
        marked = events.read(self._scene(), self._span, self._rate)
        markers = {(event.time_s, event.kind, event.words) for event in marked}
        new: list[Hit] = []
        for event in with_markers(self.found, marked, self._rate.seconds(1)):
            if not len(new) % PIECE:
                yield
            is_marker = (event.time_s, event.kind, event.words) in markers
            new.append(
                listed.from_event(event, self._span, self._rate, "marker" if is_marker else self._origin)
            )
        return new

    def _merge(self, new: Sequence[Hit]) -> Generator[None, None, tuple[int, int, bool] | None]:
        """(hits of the shot before, and after, whether any has changed); None if somebody came between."""
        revision = store.revision()
        old: list[Hit] = []
        while len(old) < len(entries := self._scene().footfall_hits.entries):
            old += [store.read_one(entries[number]) for number in _piece(len(old), len(entries))]
            yield
            if store.revision() != revision:
                return None
        merged = yield from listed.merging(old, new, self._span, listed.near(self._rate))
        gone, fresh = yield from _differences(old, merged)
        if store.revision() != revision:
            return None
        self.writing = True
        if not (yield from self._write(old, gone, fresh)):
            return None
        return (
            len(listed.inside(old, self._span)),
            len(listed.inside(merged, self._span)),
            bool(gone or fresh),
        )

    def _write(self, old: Sequence[Hit], gone: list[int], fresh: list[Hit]) -> Generator[None, None, bool]:
        """``fresh`` into the places of ``gone`` as far as they go; whether nobody came between."""
        group = self._scene().footfall_hits
        selected = old[group.active] if 0 <= group.active < len(old) else None
        there: list[Hit] = list(old)
        work: list[tuple[int, Hit | None]] = list(zip(gone, fresh, strict=False))
        work += [(_NEW, hit) for hit in fresh[len(gone) :]]
        work += [(number, None) for number in sorted(gone[len(fresh) :], reverse=True)]
        for begin in range(0, len(work), PIECE):
            group = self._scene().footfall_hits
            for number, hit in work[begin : begin + PIECE]:
                _change(group.entries, there, number, hit)
            store.touch()
            revision = store.revision()
            yield
            if store.revision() != revision:
                return False
        if work:
            _select(self._scene().footfall_hits, there, selected)
        return True


def _piece(done: int, count: int) -> range:
    return range(done, min(done + PIECE, count))


def _differences(
    old: Sequence[Hit], merged: Sequence[Hit]
) -> Generator[None, None, tuple[list[int], list[Hit]]]:
    """(numbers of old hits that are no more, merged ones that are not there yet)."""
    left: Counter[Hit] = Counter()
    for begin in range(0, len(merged), PIECE):
        left.update(merged[begin : begin + PIECE])
        yield
    gone = []
    for number, hit in enumerate(old):
        if left[hit] > 0:
            left[hit] -= 1
        else:
            gone.append(number)
        if not number % PIECE:
            yield
    return gone, list(left.elements())


def _change(entries: Any, there: list[Hit], number: int, hit: Hit | None) -> None:
    """One entry added, changed or taken away; ``there``: the same list as plain data."""
    if hit is None:
        entries.remove(number)
        del there[number]
    elif number == _NEW:
        store.write_one(entries.add(), hit)
        there.append(hit)
    else:
        store.write_one(entries[number], hit)
        there[number] = hit


def _select(group: Any, there: Sequence[Hit], selected: Hit | None) -> None:
    """What was selected stays so if it is still there."""
    same = (
        []
        if selected is None
        else [number for number, hit in enumerate(there) if _name(hit) == _name(selected)]
    )
    group.active = same[0] if same else min(group.active, max(len(there) - 1, 0))


def _name(hit: Hit) -> tuple[int, str, str]:
    return hit.at, hit.kind, hit.words


def _words(found: int, before: int, now: int) -> str:
    words = f"{texts.count(found, 'hit')} found"
    if before:
        words += f"; the list had {before} here and has {now} now"
    return f"{words}." if found else f"{words}; add some by hand, or choose another source."
