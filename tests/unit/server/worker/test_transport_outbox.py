# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for a slow add-on stays small, in order, and complete where it matters."""

from __future__ import annotations

import pytest
from footfall.addon.wire.messages import Accepted, Failed, Message, Pong, Progress, Result
from footfall.server.worker.outbox import Endings, Outbox
from footfall.tests.fakes.fake_pipeline import render
from footfall.tests.fakes.peer import new_job, request
from hypothesis import given
from hypothesis import strategies as st

A, B = "a" * 32, "b" * 32


def progress(job_id: str, fraction: float) -> Progress:
    return Progress(job_id=job_id, phase="sampling", fraction=fraction)


def failed(job_id: str) -> Failed:
    return Failed(job_id=job_id, code="error", sentence="No.")


def result(job_id: str) -> Result:
    rendering = render(request())
    return Result(job_id=job_id, clips=rendering.clips, provenance=rendering.provenance)


def drain(outbox: Outbox) -> list[Message]:
    return [outbox.take() for _ in range(len(outbox))]


def test_only_the_newest_progress_waits_and_none_after_the_end() -> None:
    outbox = Outbox()
    outbox.put(Accepted(job_id=A))
    for step in range(1000):
        outbox.put(progress(A, step / 1000))
        outbox.put(progress(B, step / 1000))
    outbox.put(failed(A))
    assert drain(outbox) == [Accepted(job_id=A), progress(B, 0.999), failed(A)]


def test_only_the_newest_pong_waits() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put(Pong(number=number, state="busy", steps_done=number))
    assert [pong.number for pong in drain(outbox)] == [99]  # type: ignore[attr-defined]


@given(st.lists(st.tuples(st.sampled_from("APF"), st.sampled_from([A, B])), max_size=100))
def test_nothing_but_progress_is_ever_lost(puts: list[tuple[str, str]]) -> None:
    outbox = Outbox()
    kinds = {"A": lambda job: Accepted(job_id=job), "P": lambda job: progress(job, 0.5), "F": failed}
    for kind, job_id in puts:
        outbox.put(kinds[kind](job_id))
    assert len(outbox) <= 6
    kept = drain(outbox)
    for kind, job_id in puts:
        assert kind == "P" or kinds[kind](job_id) in kept


def test_endings_are_kept_until_received() -> None:
    endings = Endings()
    one = result(A)
    endings.keep(one)
    assert endings.get(A) is one
    assert endings.all() == (one,)
    assert endings.nbytes == one.clips[0].waveform.nbytes
    endings.received(A)
    assert endings.get(A) is None
    assert endings.was_received(A)
    assert endings.nbytes == 0
    assert not endings.was_received(B)


def test_an_unknown_number_is_not_remembered() -> None:
    endings = Endings()
    endings.received(A)
    assert not endings.was_received(A)


@pytest.mark.parametrize("options", [{"most": 3}, {"most_bytes": 3 * 4 * 48_000}])
def test_endings_are_bounded_oldest_first(options: dict[str, int]) -> None:
    endings = Endings(**options)
    jobs = [new_job() for _ in range(10)]
    for job_id in jobs:
        endings.keep(result(job_id))
    assert [ending.job_id for ending in endings.all()] == jobs[-3:]
    assert endings.nbytes == 3 * 4 * 48_000


def test_the_newest_is_kept_however_large() -> None:
    endings = Endings(most_bytes=1)
    endings.keep(result(A))
    assert endings.get(A) is not None


def test_remembered_numbers_are_bounded() -> None:
    endings = Endings(most_ids=2)
    jobs = [new_job() for _ in range(3)]
    for job_id in jobs:
        endings.keep(failed(job_id))
        endings.received(job_id)
    assert [endings.was_received(job_id) for job_id in jobs] == [False, True, True]


def test_the_same_ending_twice_counts_once() -> None:
    endings = Endings()
    for _ in range(2):
        endings.keep(result(A))
    assert endings.nbytes == result(A).clips[0].waveform.nbytes
