# SPDX-License-Identifier: GPL-3.0-or-later
"""Many shots, one after another: which is next, what became of each, how long the rest will take. No bpy.

Pure: whoever owns a batch turns it with ``step``, and gives it hands that draw, send and place. Two shots are
in the works at most, one that is drawn and one that sounds, so memory stays flat however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..shots.listed import Shot
from ..wire.errors import FootfallError, WorkerDied
from .journal import RENEW_S, Claim, Journal, Made, Taken

WAITING, CLAIMING, TAKEN, WORKING, PLACING = "waiting", "claiming", "taken", "working", "placing"
DONE, UNCHANGED, FAILED, CANCELLED = "done", "unchanged", "failed", "cancelled"
ENDED = frozenset({DONE, UNCHANGED, FAILED, CANCELLED})

ALL, ONLY_FAILED, CHANGED, AGAIN = "all", "failed", "changed", "again"
CHOICES = (ALL, ONLY_FAILED, CHANGED, AGAIN)

# What stands in the way of every other shot as well.
HOPELESS = frozenset({"worker_not_installed", "worker_start", "model_missing", "model_refused"})
AT_ONCE = 2
DEATHS = 3  # tries in a row that ended with Blender itself
LOOK_AGAIN_S = 2.0  # at shots that somebody else is making


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One shot and what is asked for. ``asked``: its digest; ``order``: for the hands; ``length_s``: seconds.

    ``problem``: why it cannot be made at all.
    """

    shot: Shot
    asked: str
    length_s: float
    order: Any = None
    problem: FootfallError | None = None


@dataclass(slots=True)
class Entry:
    """One shot of a batch, as it stands."""

    wish: Wish
    state: str = WAITING
    sentence: str = ""
    code: str = ""
    job_id: str = ""
    claim: Claim | None = None
    began: float = 0.0
    took_s: float = 0.0
    made: Made | None = None  # only to be placed, as it is
    kept: bool = False  # it was made before, and what it is asked for has not changed

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job stands that the hands were given. ``state``: working, placing, done, unchanged, failed,
    elsewhere (somebody else has finished it) or cancelled.
    """

    state: str
    code: str = ""
    sentence: str = ""


class Hands(Protocol):
    """What a batch needs done. Job ids are the hands' own; an ended job is asked about no more."""

    def make(self, entry: Entry, look: str) -> str:
        """Begin to make a claimed shot; the job's id. ``look``: leave it as it is while it looks like that.

        What is made enters itself into the journal. Raises FootfallError.
        """

    def place(self, entry: Entry, made: Made) -> str | None:
        """Begin to place a finished shot; the job's id, None when its files are gone.

        Raises FootfallError.
        """

    def later(self, work: Callable[[], None]) -> None:
        """Do ``work``, which waits for a disk, on another thread, or at once; in the order of calls."""

    def outcome(self, job_id: str) -> Outcome: ...

    def cancel(self, job_id: str) -> None: ...

    def locked(self, entry: Entry, before: Made) -> bool:
        """Whether the user wants the sound that the shot has left alone."""

    def sweep(self, claim: Claim) -> None:
        """Remove the files of tries that died. Raises FootfallError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """``left_s``: seconds to go, None while not known."""

    ended: int
    total: int
    fraction: float
    left_s: float | None


@dataclass(slots=True)
class Batch:
    """The shots of one file. ``file``: as the journal names it; ``which``: one of CHOICES.

    place_rest: with ONLY_FAILED, shots that are made are placed as they are; else they are left alone;
    pace: seconds of work for a second of shot, as measured before; 0 when nothing was.
    """

    file: str
    wishes: Sequence[Wish]
    journal: Journal
    hands: Hands
    clock: Callable[[], float]
    which: str = ALL
    place_rest: bool = False
    pace: float = 0.0
    stopped: bool = False
    entries: list[Entry] = field(default_factory=list)
    _began: float = 0.0
    _renewed: float = 0.0
    _look_again: float = 0.0
    _answers: list[tuple[Entry, Claim | Made | Taken]] = field(default_factory=list)
    _troubles: list[FootfallError] = field(default_factory=list)
    _pending: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self._renewed = self.clock()
        among: Container[str] | None = None
        if self.which == ONLY_FAILED:
            among = self.journal.failed(self.file)
        elif self.which == CHANGED:
            among = self.journal.made(self.file)
        rest = self.journal.made(self.file) if self.place_rest and self.which == ONLY_FAILED else {}
        for wish in self.wishes:
            if among is None or wish.shot.key in among:
                self.entries.append(Entry(wish))
            elif wish.shot.key in rest:
                self.entries.append(Entry(wish, made=rest[wish.shot.key]))

    @property
    def over(self) -> bool:
        """Whether nothing is left to be done."""
        return not self._pending and not self._troubles and all(entry.ended for entry in self.entries)

    @property
    def busy(self) -> list[Entry]:
        """The entries that are in the works."""
        return [entry for entry in self.entries if entry.state in (CLAIMING, WORKING, PLACING)]

    def step(self) -> bool:
        """Do a little; whether anything has changed. Raises SaveError when the journal is out of reach."""
        if self._troubles:
            raise self._troubles.pop()
        changed = self._take_answers()
        for entry in self.busy:
            changed |= entry.state != CLAIMING and self._follow(entry)
        if self.stopped:
            for entry in self.entries:
                if entry.state in (WAITING, TAKEN):
                    entry.state = CANCELLED
                    changed = True
            return changed
        self._renew()
        if len(self.busy) < AT_ONCE:
            following = self._next()
            if following is not None:
                self._begin(following)
                changed = True
        return changed

    def stop(self) -> None:
        """Begin nothing more, and cancel what is in the works; ``step`` until ``over``."""
        self.stopped = True
        for entry in self.busy:
            if entry.state != CLAIMING:
                self.hands.cancel(entry.job_id)

    def progress(self) -> Progress:
        """How far it is."""
        whole = sum(entry.wish.length_s for entry in self.entries)
        gone = sum(entry.wish.length_s for entry in self.entries if entry.ended)
        made = [entry for entry in self.entries if entry.took_s > 0]
        pace = self.pace
        if made:  # several are in the works at once, so the time on the wall is what counts
            pace = (self.clock() - self._began) / max(1e-9, sum(entry.wish.length_s for entry in made))
        return Progress(
            ended=sum(entry.ended for entry in self.entries),
            total=len(self.entries),
            fraction=gone / whole if whole else 1.0,
            left_s=pace * (whole - gone) if pace else None,
        )

    # One shot ------------------------------------------------------------------------------------------

    def _next(self) -> Entry | None:
        for entry in self.entries:
            if entry.state == WAITING:
                return entry
        now = self.clock()
        if now < self._look_again:
            return None
        self._look_again = now + LOOK_AGAIN_S
        return next((entry for entry in self.entries if entry.state == TAKEN), None)

    def _begin(self, entry: Entry) -> None:
        wish = entry.wish
        if wish.problem is not None:
            self._fail(entry, wish.problem)
            return
        entry.sentence, entry.began = "", self.clock()
        if entry.made is not None:
            self._answers.append((entry, entry.made))
            entry.state, entry.made = CLAIMING, None
            return
        self._ask(entry, again=self.which in (AGAIN, CHANGED) and not entry.code)

    def _ask(self, entry: Entry, *, again: bool) -> None:
        """Claim a shot; ``_take_answers`` goes on when the journal has answered."""
        entry.state = CLAIMING
        key, asked = entry.wish.shot.key, entry.wish.asked
        self._write(
            lambda: self._answers.append((entry, self.journal.claim(self.file, key, asked, again=again)))
        )

    def _write(self, work: Callable[[], None]) -> None:
        """Have something written into the journal; ``step`` raises what goes wrong."""

        def guarded() -> None:
            try:
                work()
            except FootfallError as error:
                self._troubles.append(error)
            finally:
                self._pending.remove(guarded)

        self._pending.append(guarded)
        self.hands.later(guarded)

    def _take_answers(self) -> bool:
        changed = False
        while self._answers:
            entry, found = self._answers.pop(0)
            changed = True
            try:
                self._answer(entry, found)
            except FootfallError as error:
                self._fail(entry, error)
        return changed

    def _answer(self, entry: Entry, found: Claim | Made | Taken) -> None:
        if isinstance(found, Taken):
            entry.state = TAKEN
            entry.sentence = f"Another Blender ({found.who}) is making this shot; its sound will be used."
            self.entries.remove(entry)  # behind the others, so that each is asked about in turn
            self.entries.append(entry)
        elif self.stopped:
            entry.state = CANCELLED
            if isinstance(found, Claim):
                self._write(lambda: self.journal.release(found))
        elif isinstance(found, Claim):
            entry.claim = found
            self._make(entry, found)
        else:
            self._use(entry, found)

    def _use(self, entry: Entry, made: Made) -> None:
        job_id = self.hands.place(entry, made)
        if job_id is None:  # its files are gone
            self._ask(entry, again=True)
            return
        entry.job_id, entry.state, entry.kept = job_id, PLACING, True

    def _make(self, entry: Entry, claim: Claim) -> None:
        if claim.leftovers:
            self.hands.sweep(claim)
        if len(claim.leftovers) >= DEATHS:
            raise WorkerDied(
                f"Blender has ended {DEATHS} times over this shot; open it and try it by hand, "
                "or start once more to try it again."
            )
        before = claim.before
        if before is not None and self.hands.locked(entry, before):
            self._write(lambda: self.journal.release(claim))
            entry.state, entry.claim, entry.kept = UNCHANGED, None, True
            entry.sentence = "Its sound is locked and stays as it is."
            return
        same = before is not None and before.asked == entry.wish.asked and self.which == CHANGED
        entry.job_id = self.hands.make(entry, before.look if before is not None and same else "")
        entry.state = WORKING

    def _follow(self, entry: Entry) -> bool:
        outcome = self.hands.outcome(entry.job_id)
        if outcome.state == entry.state or outcome.state == WORKING:
            return False
        entry.sentence, entry.code = outcome.sentence, outcome.code
        if outcome.state == "elsewhere":
            entry.state, entry.claim, entry.code = WAITING, None, outcome.code
        elif outcome.state == PLACING:
            entry.state = PLACING
        elif outcome.state == FAILED:
            self._fail(entry, FootfallError(outcome.sentence), code=outcome.code)
        else:
            self._end(entry, outcome.state)
        return True

    def _end(self, entry: Entry, state: str) -> None:
        if state == UNCHANGED and entry.claim is not None:
            claim, entry.claim = entry.claim, None
            self._write(lambda: self.journal.release(claim))
            before = claim.before
            job_id = None if before is None else self.hands.place(entry, before)
            if job_id is not None:  # its strips may have been taken away
                entry.job_id, entry.state, entry.kept = job_id, PLACING, True
                return
        if state == CANCELLED and entry.claim is not None:
            given_up = entry.claim
            self._write(lambda: self.journal.release(given_up))
        elif state == DONE and entry.claim is not None:
            entry.took_s = self.clock() - entry.began
        entry.state, entry.claim = state, None

    def _fail(self, entry: Entry, error: FootfallError, code: str = "") -> None:
        entry.state, entry.sentence, entry.code = FAILED, error.sentence, code or error.code
        if entry.claim is not None:
            claim, entry.claim = entry.claim, None
            code, sentence = entry.code, entry.sentence
            self._write(lambda: self.journal.fail(claim, code, sentence))
        if entry.code in HOPELESS:
            self.stop()

    def _renew(self) -> None:
        claims = [entry.claim for entry in self.busy if entry.claim is not None]
        if claims and self.clock() - self._renewed > RENEW_S:
            self._renewed = self.clock()
            self._write(lambda: self.journal.renew(claims))
