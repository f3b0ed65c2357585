# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the worker there, does its job advance, may it be started again? Pure state machines; time is passed in.

Nothing here ends a process because of silence alone: a worker that loads weights may hold Python's lock for
many seconds and is only *busy*. A process is ended when its job stops advancing (StepDeadline), and started
again when the operating system says that it has exited (RestartBreaker). Times: seconds of a monotonic clock.
"""

from __future__ import annotations

from enum import Enum

PING_EVERY_S = 1.0
BUSY_AFTER_S = 3.0
SILENT_AFTER_S = 60.0
STEP_DEADLINE_S = 120.0
KILL_AFTER_S = 5.0
STABLE_AFTER_S = 60.0
STARTS = 3
WAITS_S = (1.0, 2.0, 4.0)

# One look at the clock counts for at most this much: after a suspend, a stalled thread or a set clock, the
# time that nobody watched must not speak against the worker.
LONGEST_LOOK_S = 2.0


class _Watch:
    """Seconds that were really watched; jumps of the clock, forward or back, count for little or nothing."""

    def __init__(self, now: float) -> None:
        self._seen = now
        self.watched_s = 0.0
        self.jumped = False

    def look(self, now: float) -> float:
        passed_s = now - self._seen
        self._seen = now
        self.jumped = not 0 <= passed_s <= LONGEST_LOOK_S
        self.watched_s += min(max(passed_s, 0.0), LONGEST_LOOK_S)
        return self.watched_s


class Verdict(Enum):
    """What ``Liveness.look`` says. PING: send one now. BUSY, SILENT: no answer for a short, a long while."""

    ALIVE = "alive"
    PING = "ping"
    BUSY = "busy"
    SILENT = "silent"


class Liveness:
    """Watches one worker. Any traffic counts as a beat; nothing is said before a ping went unanswered.

    SILENT is for the interface to show; it is no licence to kill.
    """

    def __init__(
        self,
        now: float,
        *,
        ping_every_s: float = PING_EVERY_S,
        busy_after_s: float = BUSY_AFTER_S,
        silent_after_s: float = SILENT_AFTER_S,
    ) -> None:
        self._watch = _Watch(now)
        self._ping_every_s = ping_every_s
        self._busy_after_s = busy_after_s
        self._silent_after_s = silent_after_s
        self._beat_s = 0.0
        self._ping_s: float | None = None  # the last ping since the last beat
        self._first_ping_s: float | None = None

    def beat(self, now: float) -> None:
        """Something authentic arrived from the worker."""
        self._beat_s = self._watch.look(now)
        self._ping_s = self._first_ping_s = None

    def look(self, now: float) -> Verdict:
        """To be called often; asks for a ping whenever one is due."""
        watched = self._watch.look(now)
        if self._watch.jumped:  # an answer may wait unread, or the ping be lost: ask again before judging
            self._ping_s = self._first_ping_s = None
        due = self._beat_s if self._ping_s is None else self._ping_s
        if watched - due >= self._ping_every_s:
            self._ping_s = watched
            if self._first_ping_s is None:
                self._first_ping_s = watched
            return Verdict.PING
        return self.verdict

    @property
    def verdict(self) -> Verdict:
        """ALIVE, BUSY or SILENT, as of the last look; silence is measured from the first unanswered ping."""
        if self._first_ping_s is None:
            return Verdict.ALIVE
        unanswered_s = self._watch.watched_s - self._first_ping_s
        if unanswered_s >= self._silent_after_s:
            return Verdict.SILENT
        return Verdict.BUSY if unanswered_s >= self._busy_after_s else Verdict.ALIVE


class Action(Enum):
    """What ``StepDeadline.look`` asks for; SOFT_CANCEL and KILL are each said once."""

    WAIT = "wait"
    SOFT_CANCEL = "soft_cancel"
    KILL = "kill"


class StepDeadline:
    """Watches one job from the moment it is sent; drop the object when the job ends.

    A heart that beats proves nothing: only a rising ``Pong.steps_done`` or a new Progress counts. Without
    either for ``deadline_s`` the job is cancelled softly, and the process killed ``kill_after_s`` later.
    """

    def __init__(
        self, now: float, *, deadline_s: float = STEP_DEADLINE_S, kill_after_s: float = KILL_AFTER_S
    ) -> None:
        self._watch = _Watch(now)
        self._deadline_s = deadline_s
        self._kill_after_s = kill_after_s
        self._advanced_s = 0.0
        self._steps: int | None = None
        self._cancelled_s: float | None = None
        self._hung = False
        self._killed = False

    @property
    def hung(self) -> bool:
        """The deadline has passed: the job's end is a time-out, not the user's wish."""
        return self._hung

    def pong(self, now: float, steps_done: int) -> None:
        """A Pong arrived. The first one only tells where counting starts."""
        watched = self._watch.look(now)
        if self._steps is not None and steps_done > self._steps:
            self._advanced_s = watched
        self._steps = steps_done

    def progress(self, now: float) -> None:
        """A Progress of this job arrived."""
        self._advanced_s = self._watch.look(now)

    def cancelled(self, now: float) -> None:
        """The user cancels: the worker has ``kill_after_s`` to stop. A second call changes nothing."""
        watched = self._watch.look(now)
        if self._cancelled_s is None:
            self._cancelled_s = watched

    def look(self, now: float) -> Action:
        """To be called often."""
        watched = self._watch.look(now)
        if self._cancelled_s is None:
            if watched - self._advanced_s < self._deadline_s:
                return Action.WAIT
            self._hung = True
            self._cancelled_s = watched
            return Action.SOFT_CANCEL
        if self._killed or watched - self._cancelled_s < self._kill_after_s:
            return Action.WAIT
        self._killed = True
        return Action.KILL


class Backoff:
    """1, 2, 4, 4, ... seconds, until ``reset``."""

    def __init__(self, waits_s: tuple[float, ...] = WAITS_S) -> None:
        self._waits_s = waits_s
        self._next = 0

    def wait_s(self) -> float:
        """The next wait."""
        wait = self._waits_s[min(self._next, len(self._waits_s) - 1)]
        self._next += 1
        return wait

    def reset(self) -> None:
        self._next = 0


class RestartBreaker:
    """May the worker be started, and when? After ``starts`` starts that did not last: not until ``reset``.

    A worker that lived for ``stable_after_s`` clears the count: it was no crash loop.
    """

    def __init__(
        self,
        *,
        starts: int = STARTS,
        stable_after_s: float = STABLE_AFTER_S,
        backoff: Backoff | None = None,
    ) -> None:
        self._most = starts
        self._stable_after_s = stable_after_s
        self._backoff = backoff or Backoff()
        self._starts = 0
        self._started_at: float | None = None
        self._not_before: float | None = None

    @property
    def open(self) -> bool:
        """True: do not start again; tell the user once, and offer a retry (``reset``)."""
        return self._started_at is None and self._starts >= self._most

    def wait_s(self, now: float) -> float:
        """Seconds until the next start is allowed; 0: now, infinity: the breaker is open."""
        if self.open:
            return float("inf")
        return 0.0 if self._not_before is None else max(self._not_before - now, 0.0)

    def started(self, now: float) -> None:
        """A process was spawned."""
        self._starts += 1
        self._started_at = now

    def died(self, now: float) -> None:
        """That process is known to have exited (``poll()`` says so), without having been asked to."""
        if self._started_at is not None and now - self._started_at >= self._stable_after_s:
            self.reset()
        self._started_at = None
        self._not_before = now + self._backoff.wait_s()

    def ended(self) -> None:
        """That process ended because we asked it to: nothing to hold against it."""
        self.reset()

    def reset(self) -> None:
        """The user asks again: count and waits begin anew."""
        self._starts = 0
        self._started_at = self._not_before = None
        self._backoff.reset()
