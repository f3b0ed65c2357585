# SPDX-License-Identifier: GPL-3.0-or-later
"""R4 a hung worker is ended, R5 a busy one is not, R6 the restart budget, R14 clocks that jump."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from footfall.addon.wire.liveness import Action, Backoff, Liveness, RestartBreaker, StepDeadline, Verdict
from hypothesis import given
from hypothesis import strategies as st

HOUR = 3600.0
DAY = 24 * HOUR
TICK = 0.1


def ticks(clock: Any, seconds: float) -> Iterator[float]:
    for _ in range(round(seconds / TICK)):
        yield clock.advance(TICK)


def test_an_answering_worker_is_alive_and_pinged_once_a_second(clock: Any) -> None:
    watch = Liveness(clock())
    pings = 0
    for now in ticks(clock, 30):
        verdict = watch.look(now)
        assert verdict in (Verdict.ALIVE, Verdict.PING)
        if verdict is Verdict.PING:
            pings += 1
            watch.beat(now + 0.01)
    assert 25 <= pings <= 31


def test_any_traffic_counts_as_a_beat(clock: Any) -> None:
    watch = Liveness(clock())
    for now in ticks(clock, 60):
        watch.beat(now)  # Progress, say: no Pong ever comes
        assert watch.look(now) is Verdict.ALIVE


def test_busy_is_not_dead(clock: Any) -> None:
    """The worker holds Python's lock for 10 s while it loads: busy is said, and no more."""
    watch = Liveness(clock())
    job = StepDeadline(clock(), deadline_s=60)
    seen = set()
    for now in ticks(clock, 10):
        seen |= {watch.look(now), watch.verdict}
        assert job.look(now) is Action.WAIT
    assert seen == {Verdict.ALIVE, Verdict.PING, Verdict.BUSY}
    watch.beat(clock())
    assert watch.look(clock()) is Verdict.ALIVE


def test_silence_is_told_after_a_minute(clock: Any) -> None:
    watch = Liveness(clock(), silent_after_s=60)
    verdicts = [(now, watch.look(now), watch.verdict)[2] for now in ticks(clock, 70)]
    assert verdicts[-1] is Verdict.SILENT
    assert 58 <= (len(verdicts) - verdicts[::-1].index(Verdict.BUSY)) * TICK <= 62


JUMPS = [HOUR, DAY, -HOUR, -DAY, 1e9, -1e9]


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("ping_is_out", [False, True])
def test_clock_jump(jump: float, ping_is_out: bool, clock: Any) -> None:
    """A suspend or a set clock: no death is declared, and a ping goes out before any judgement."""
    watch = Liveness(clock())
    job = StepDeadline(clock(), deadline_s=60)
    for now in ticks(clock, 1.5 if ping_is_out else 0.5):
        watch.look(now)
        job.look(now)
    now = clock.advance(jump)
    assert watch.look(now) in (Verdict.ALIVE, Verdict.PING)
    assert watch.verdict is not Verdict.SILENT
    assert job.look(now) is Action.WAIT
    pinged = False
    for now in ticks(clock, 5):
        assert job.look(now) is Action.WAIT
        pinged = pinged or watch.look(now) is Verdict.PING
        if not pinged:
            assert watch.verdict is Verdict.ALIVE
    assert pinged
    watch.beat(now)
    assert watch.look(now) is Verdict.ALIVE


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.floats(0, 1)), max_size=60))
def test_no_silence_without_watching_and_asking(steps: list[float]) -> None:
    """Whatever the clock does: SILENT needs a ping and then a minute of looks, each good for 2 s at most."""
    now, looks_since_ping = 0.0, None
    watch = Liveness(now, silent_after_s=60)
    for step in steps:
        now += step
        verdict = watch.look(now)
        if looks_since_ping is not None:
            looks_since_ping += 1
        elif verdict is Verdict.PING:
            looks_since_ping = 0
        if watch.verdict is Verdict.SILENT:
            assert looks_since_ping is not None
            assert looks_since_ping >= 30


def test_hang(clock: Any) -> None:
    """Pongs answer, progress stops: soft cancel at the deadline, kill five seconds later, each once."""
    watch = Liveness(clock())
    job = StepDeadline(clock(), deadline_s=20)
    for steps, now in enumerate(ticks(clock, 10)):
        job.pong(now, steps)
        assert job.look(now) is Action.WAIT
    stopped = clock()
    asked: list[tuple[Action, float]] = []
    for now in ticks(clock, 60):
        watch.beat(now)
        job.pong(now, 99)
        assert watch.look(now) is Verdict.ALIVE
        action = job.look(now)
        if action is not Action.WAIT:
            asked.append((action, now - stopped))
    assert [action for action, _ in asked] == [Action.SOFT_CANCEL, Action.KILL]
    assert asked[0][1] == pytest.approx(20, abs=2 * TICK)
    assert asked[1][1] - asked[0][1] == pytest.approx(5, abs=2 * TICK)
    assert job.hung


def test_a_slow_job_that_advances_is_left_alone(clock: Any) -> None:
    """Every step takes nearly the whole deadline, for an hour."""
    job = StepDeadline(clock(), deadline_s=20)
    for steps in range(180):
        for now in ticks(clock, 19):
            job.pong(now, steps)
            assert job.look(now) is Action.WAIT


def test_progress_counts_without_any_pong(clock: Any) -> None:
    job = StepDeadline(clock(), deadline_s=20)
    for _ in range(10):
        for now in ticks(clock, 15):
            assert job.look(now) is Action.WAIT
        job.progress(clock())


def test_the_first_pong_is_no_progress(clock: Any) -> None:
    """Otherwise the steps of an earlier job would speak for a hung one."""
    job = StepDeadline(clock(), deadline_s=20)
    for now in ticks(clock, 19):
        job.look(now)
    job.pong(clock(), 1_000_000)
    assert Action.SOFT_CANCEL in [job.look(now) for now in ticks(clock, 2)]


def test_a_cancel_that_is_not_obeyed_ends_in_a_kill(clock: Any) -> None:
    job = StepDeadline(clock(), deadline_s=1000)
    job.cancelled(clock())
    start = clock()
    killed = []
    for now in ticks(clock, 20):
        job.cancelled(now)  # an impatient user gains no time for the worker
        job.progress(now)
        action = job.look(now)
        assert action is not Action.SOFT_CANCEL
        if action is Action.KILL:
            killed.append(now - start)
    assert killed == [pytest.approx(5, abs=2 * TICK)]
    assert not job.hung


def test_backoff() -> None:
    backoff = Backoff()
    assert [backoff.wait_s() for _ in range(5)] == [1, 2, 4, 4, 4]
    backoff.reset()
    assert backoff.wait_s() == 1


def run_until_open(breaker: RestartBreaker, clock: Any, lives_s: float = 0.0) -> tuple[int, list[float]]:
    """A worker that dies after ``lives_s``: how often it was started, and the waits in between."""
    starts, waits = 0, []
    while not breaker.open and starts < 20:
        wait = breaker.wait_s(clock())
        if starts:
            waits.append(wait)
        clock.advance(wait)
        assert breaker.wait_s(clock()) == 0
        breaker.started(clock())
        starts += 1
        clock.advance(lives_s)
        breaker.died(clock())
    return starts, waits


def test_restart_budget(clock: Any) -> None:
    breaker = RestartBreaker()
    assert breaker.wait_s(clock()) == 0
    assert run_until_open(breaker, clock) == (3, [1, 2])
    for _ in range(5):
        clock.advance(HOUR)
        assert breaker.open
        assert breaker.wait_s(clock()) == float("inf")
    breaker.reset()  # the user asks again
    assert breaker.wait_s(clock()) == 0
    assert run_until_open(breaker, clock) == (3, [1, 2])


def test_the_waits_double(clock: Any) -> None:
    assert run_until_open(RestartBreaker(starts=4), clock) == (4, [1, 2, 4])


def test_a_stable_worker_clears_the_count(clock: Any) -> None:
    starts, waits = run_until_open(RestartBreaker(stable_after_s=60), clock, lives_s=61)
    assert starts == 20
    assert set(waits) == {1}
    assert run_until_open(RestartBreaker(stable_after_s=60), clock, lives_s=59) == (3, [1, 2])


def test_a_worker_that_runs_is_not_held_against_anyone(clock: Any) -> None:
    breaker = RestartBreaker(starts=1)
    breaker.started(clock())
    assert not breaker.open
    breaker.ended()
    assert breaker.wait_s(clock()) == 0
