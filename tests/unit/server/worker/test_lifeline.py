# SPDX-License-Identifier: GPL-3.0-or-later
"""Who counts as the program that started us, and when it counts as gone (R1, the parts without a process)."""

from __future__ import annotations

import os
import threading

import psutil
import pytest
from footfall.server.worker import lifeline


class FakeProcess:
    """A psutil.Process that ends when told to."""

    def __init__(self, started: float = 100.0) -> None:
        self.started = started
        self.running = True
        self.state = psutil.STATUS_SLEEPING
        self.error: Exception | None = None

    def is_running(self) -> bool:
        return self.running

    def status(self) -> str:
        if self.error:
            raise self.error
        return self.state

    def create_time(self) -> float:
        return self.started


class Processes:
    """A table of processes; ours is in it."""

    def __init__(self, **others: FakeProcess) -> None:
        self.table = {os.getpid(): FakeProcess(started=200.0)}
        self.table |= {int(pid.removeprefix("p")): process for pid, process in others.items()}

    def __call__(self, pid: int) -> FakeProcess:
        if pid not in self.table:
            raise psutil.NoSuchProcess(pid)
        return self.table[pid]


def test_a_real_parent_lives_until_the_kernel_names_another() -> None:
    parents = [77]
    parent = lifeline.Parent(77, parent_pid=lambda: parents[-1], process=Processes(), adopts_orphans=True)
    assert parent.alive()
    parents.append(900)  # a subreaper, not pid 1
    assert not parent.alive()


def test_pid_1_is_a_good_parent() -> None:
    parents = [1]
    parent = lifeline.Parent(1, parent_pid=lambda: parents[-1], process=Processes(), adopts_orphans=True)
    assert parent.alive()


def test_behind_a_wrapper_the_process_itself_is_watched() -> None:
    host = FakeProcess()
    parent = lifeline.Parent(77, parent_pid=lambda: 5, process=Processes(p77=host), adopts_orphans=True)
    assert parent.alive()
    host.state = psutil.STATUS_ZOMBIE
    assert not parent.alive()
    host.state, host.running = psutil.STATUS_SLEEPING, False
    assert not parent.alive()


def test_a_parent_that_died_before_we_looked_is_gone() -> None:
    parent = lifeline.Parent(77, parent_pid=lambda: 1, process=Processes(), adopts_orphans=True)
    assert not parent.alive()


def test_a_younger_process_of_the_same_number_is_a_stranger() -> None:
    stranger = FakeProcess(started=300.0)
    parent = lifeline.Parent(77, parent_pid=lambda: 1, process=Processes(p77=stranger), adopts_orphans=True)
    assert not parent.alive()


def test_where_nobody_adopts_orphans_the_parent_s_number_proves_nothing() -> None:
    host = FakeProcess()
    parent = lifeline.Parent(77, parent_pid=lambda: 77, process=Processes(p77=host), adopts_orphans=False)
    assert parent.alive()
    host.running = False  # Windows: os.getppid() still says 77
    assert not parent.alive()


@pytest.mark.parametrize(
    ("error", "alive"), [(psutil.NoSuchProcess(77), False), (psutil.AccessDenied(77), True)]
)
def test_what_cannot_be_looked_at(error: Exception, alive: bool) -> None:
    host = FakeProcess()
    host.error = error
    parent = lifeline.Parent(77, parent_pid=lambda: 5, process=Processes(p77=host), adopts_orphans=True)
    assert parent.alive() is alive


def test_the_real_parent_of_this_process_lives() -> None:
    assert lifeline.Parent(os.getppid()).alive()


def test_end_of_file_is_the_end_and_words_are_not() -> None:
    reading, writing = os.pipe()
    ended = threading.Event()

    def watch() -> None:
        lifeline.wait_for_end(reading)
        ended.set()

    thread = threading.Thread(target=watch)
    thread.start()
    os.write(writing, b"nothing is expected here\n")
    assert not ended.wait(0.05)
    os.close(writing)
    assert ended.wait(10)
    thread.join(10)
    os.close(reading)


def test_waiting_for_a_parent_ends_with_it() -> None:
    parents = [77]
    parent = lifeline.Parent(77, parent_pid=lambda: parents[-1], process=Processes(), adopts_orphans=True)
    thread = threading.Thread(target=lambda: lifeline.wait_for_parent(parent, every_s=0.001))
    thread.start()
    parents.append(900)
    thread.join(10)
    assert not thread.is_alive()


def test_a_closed_descriptor_is_an_end_too() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    lifeline.wait_for_end(reading)
