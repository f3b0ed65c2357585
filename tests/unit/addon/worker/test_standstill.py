# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that is held does nothing; it goes on afterwards, and one that is busy is not waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from footfall.addon.worker.standstill import Standstill

LONG_S = 20.0


class Turning:
    """A thread that counts its turns, as fast as it can, until told to stop."""

    def __init__(self) -> None:
        self.turns = 0
        self.standstill = Standstill(wake=lambda: None)
        self.ends = False
        self.turned = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.ends:
            self.standstill.here()
            with self.turned:
                self.turns += 1
                self.turned.notify_all()

    def goes_on(self) -> bool:
        with self.turned:
            before = self.turns
            return self.turned.wait_for(lambda: self.turns > before, timeout=LONG_S)

    def end(self) -> None:
        self.ends = True
        self._thread.join(LONG_S)


@pytest.fixture
def turning() -> Iterator[Turning]:
    made = Turning()
    yield made
    made.end()


def test_it_stands_still_and_goes_on(turning: Turning) -> None:
    for _ in range(50):
        assert turning.goes_on()
        with turning.standstill.held(LONG_S) as rests:
            assert rests
            before = turning.turns
            sum(range(20_000))  # time in which it would turn
            assert turning.turns == before
    assert turning.goes_on()


def test_it_goes_on_after_an_error(turning: Turning) -> None:
    with pytest.raises(KeyError), turning.standstill.held(LONG_S):
        raise KeyError
    assert turning.goes_on()


def test_a_busy_thread_is_not_waited_for() -> None:
    standstill = Standstill(wake=lambda: None)
    with standstill.held(0.001) as rests:
        assert not rests
    standstill.here()  # nobody asks any more: returns at once


def test_it_is_woken() -> None:
    woken = threading.Event()
    standstill = Standstill(wake=woken.set)
    with standstill.held(0.001):
        assert woken.is_set()
