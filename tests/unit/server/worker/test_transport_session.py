# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol by itself: greeting and version gate, one run per job, cancel in every state, what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from footfall.addon.wire import codec
from footfall.addon.wire.errors import LimitExceeded, Malformed
from footfall.addon.wire.messages import (
    PROTOCOL_MAJOR,
    Accepted,
    Cancel,
    CancelReply,
    Failed,
    FoleyRequest,
    Hello,
    Message,
    Ping,
    Pong,
    Progress,
    Ready,
    Received,
    Result,
    Shutdown,
    Submit,
)
from footfall.server.worker.engine import Description
from footfall.server.worker.session import Session
from footfall.tests.fakes.fake_pipeline import FakePipeline, render
from footfall.tests.fakes.peer import new_job, request

READY = Description(device="Fake device", bundles=FakePipeline().bundles())


class FakeJobs:
    """The engine as the session sees it; the test ends jobs itself."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self.submitted: list[str] = []
        self.posted: list[Message] = []
        self.description: Description | None = READY
        self.state = "busy"
        self.steps_done = 7
        self.device_bytes = 5
        self.described = 0
        self.full = False

    def submit(self, job_id: str, wanted: FoleyRequest) -> None:
        if self.full:
            raise LimitExceeded("Too many jobs are waiting.")
        self.active.append(job_id)
        self.submitted.append(job_id)

    def has(self, job_id: str) -> bool:
        return job_id in self.active

    def cancel(self, job_id: str) -> bool:
        return job_id in self.active

    def describe(self) -> None:
        self.described += 1

    def take(self) -> list[Message]:
        taken, self.posted = self.posted, []
        return taken

    def end(self, job_id: str) -> Result:
        rendering = render(request())
        result = Result(job_id=job_id, clips=rendering.clips, provenance=rendering.provenance)
        self.active.remove(job_id)
        self.posted.append(result)
        return result


class Table:
    """A session and its engine."""

    def __init__(self, *, greeted: bool = True, stays: bool = False) -> None:
        self.jobs = FakeJobs()
        self.session = Session(
            self.jobs, version="9.9", memory_bytes=lambda: 11, posts=self.jobs.take, stays=stays
        )
        if greeted:
            self.say(Hello(version="test"))

    def say(self, message: Message) -> list[Message]:
        """Handle one message; everything that is answered."""
        self.session.handle(message)
        return self.answers()

    def answers(self) -> list[Message]:
        self.session.catch_up()
        self.session.tick()
        return [self.session.outbox.take() for _ in range(len(self.session.outbox))]


def submit(job_id: str) -> Submit:
    return Submit(job_id=job_id, request=request())


def test_hello_is_answered_once_the_worker_knows_what_it_has() -> None:
    table = Table(greeted=False)
    table.jobs.description = None
    assert table.say(Hello(version="test")) == []
    assert isinstance(table.say(Ping(number=3))[0], Pong)
    table.jobs.description = READY
    ready = Ready(version="9.9", device="Fake device", bundles=READY.bundles)
    assert table.answers() == [ready]
    assert table.answers() == []
    assert table.say(Hello(version="test")) == [ready]
    assert table.jobs.described == 2


def test_version_gate() -> None:
    table = Table(greeted=False)
    (ready,) = table.say(Hello(major=PROTOCOL_MAJOR + 1, version="8.8"))
    assert isinstance(ready, Ready)
    assert ready.major == PROTOCOL_MAJOR
    (refused,) = table.say(submit(new_job()))
    assert isinstance(refused, Failed)
    assert refused.code == "version"
    assert "8.8" in refused.sentence
    assert str(PROTOCOL_MAJOR) in refused.sentence
    assert str(PROTOCOL_MAJOR + 1) in refused.sentence
    assert table.jobs.submitted == []


def test_another_minor_version_is_welcome() -> None:
    table = Table(greeted=False)
    table.say(Hello(minor=99, version="8.8"))
    assert table.say(submit(job_id := new_job())) == [Accepted(job_id=job_id)]


def test_nothing_runs_before_the_greeting() -> None:
    table = Table(greeted=False)
    (refused,) = table.say(submit(new_job()))
    assert refused.code == "version"  # type: ignore[attr-defined]
    assert table.jobs.submitted == []


def test_one_run_per_job_however_often_it_is_sent() -> None:
    table = Table()
    job_id = new_job()
    for _ in range(3):
        assert table.say(submit(job_id)) == [Accepted(job_id=job_id)]
    result = table.jobs.end(job_id)
    assert table.answers() == [result]
    assert table.say(submit(job_id)) == [Accepted(job_id=job_id), result]
    table.say(Received(job_id=job_id))
    (late,) = table.say(submit(job_id))
    assert isinstance(late, Failed)
    assert "delivered before" in late.sentence
    assert table.jobs.submitted == [job_id]


def test_a_job_that_ends_while_it_is_sent_again_is_not_run_again() -> None:
    table = Table()
    job_id = new_job()
    table.say(submit(job_id))
    result = table.jobs.end(job_id)  # posted, and not yet seen by the session
    assert table.say(submit(job_id)) == [result, Accepted(job_id=job_id)]
    assert table.jobs.submitted == [job_id]


def test_accepted_comes_before_anything_else_about_the_job() -> None:
    table = Table()
    job_id = new_job()
    table.session.handle(submit(job_id))
    table.jobs.posted.append(Progress(job_id=job_id, phase="looking", fraction=0.1))
    assert [type(message) for message in table.answers()] == [Accepted, Progress]


def test_a_full_queue_is_told_and_the_job_may_come_again() -> None:
    table = Table()
    table.jobs.full = True
    job_id = new_job()
    (refused,) = table.say(submit(job_id))
    assert refused.code == "limit"  # type: ignore[attr-defined]
    table.jobs.full = False
    assert table.say(submit(job_id)) == [Accepted(job_id=job_id)]


def test_cancel_replies() -> None:
    table = Table()
    running, ended, received = new_job(), new_job(), new_job()
    for job_id in (running, ended, received):
        table.say(submit(job_id))
    table.jobs.end(ended)
    table.jobs.end(received)
    table.answers()
    table.say(Received(job_id=received))
    for job_id, outcome in (
        (running, "cancelled"),
        (ended, "not_running"),
        (received, "not_running"),
        (new_job(), "unknown"),
    ):
        assert table.say(Cancel(job_id=job_id)) == [CancelReply(job_id=job_id, outcome=outcome)]


def test_a_cancel_that_meets_the_result_on_its_way_says_so() -> None:
    table = Table()
    job_id = new_job()
    table.say(submit(job_id))
    result = table.jobs.end(job_id)
    assert table.say(Cancel(job_id=job_id)) == [result, CancelReply(job_id=job_id, outcome="not_running")]


def test_pong_carries_the_numbers() -> None:
    assert Table().say(Ping(number=42)) == [
        Pong(number=42, state="busy", steps_done=7, memory_bytes=11, device_memory_bytes=5)
    ]


def test_what_was_not_received_is_sent_again_after_a_reconnect() -> None:
    table = Table()
    first, second = new_job(), new_job()
    for job_id in (first, second):
        table.say(submit(job_id))
    results = [table.jobs.end(first), table.jobs.end(second)]
    assert table.answers() == results
    table.say(Received(job_id=first))
    table.session.reconnected()
    assert table.answers() == results[1:]


def test_shutdown_ends_the_session() -> None:
    table = Table()
    table.say(Shutdown())
    assert table.session.ended


def test_what_only_a_worker_says_is_refused() -> None:
    table = Table()
    assert table.say(Accepted(job_id=new_job())) == []


@pytest.mark.parametrize("error", [Malformed("No."), LimitExceeded("Too much.")])
def test_a_job_that_cannot_be_read_has_failed(error: Any) -> None:
    table = Table()
    job_id = new_job()
    header = codec.encode(submit(job_id))[0]
    table.session.refuse(header, error)
    (refused,) = table.answers()
    assert (refused.job_id, refused.code, refused.sentence) == (job_id, error.code, error.sentence)  # type: ignore[attr-defined]


def test_an_unreadable_message_about_a_running_job_does_not_end_it() -> None:
    table = Table()
    job_id = new_job()
    table.say(submit(job_id))
    table.session.refuse(codec.encode(submit(job_id))[0], Malformed("No."))
    assert table.answers() == []


@pytest.mark.parametrize("header", [b"", b"\xff" * 100, b'{"job_id": "../../etc/passwd"}', b"[" * 100_000])
def test_an_unreadable_message_about_nothing_is_only_logged(header: bytes) -> None:
    table = Table()
    table.session.refuse(header, Malformed("No."))
    assert table.answers() == []


def test_a_job_that_hangs_is_left_behind_until_it_ends_whoever_comes() -> None:
    """The worker ends itself over it, and nobody after its owner would ever be served otherwise."""
    table = Table(stays=True)
    job_id = new_job()
    table.say(submit(job_id))
    table.say(Shutdown())  # its owner says good-bye
    table.session.hand_over()  # and somebody else comes
    table.say(Hello(version="test"))
    assert table.session.left_behind
    table.jobs.end(job_id)
    assert not table.session.left_behind
    assert table.answers() == []
