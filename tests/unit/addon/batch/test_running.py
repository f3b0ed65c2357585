# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch: what is next, what becomes of each shot, and what is left after stops, failures and others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.batch import running as batches
from footfall.addon.batch.journal import LEASE_S, Claim, Journal, Made
from footfall.addon.batch.running import Batch, Entry, Outcome, Wish
from footfall.addon.shots.listed import Shot
from footfall.addon.timeline import FrameRange
from footfall.addon.wire.errors import BadInput, SaveError, WorkerNotInstalled

FILE = "../shot.blend"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FakeHands:
    """Does everything at once, unless told otherwise. ``log``: what was asked of it."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.log: list[tuple[str, str]] = []
        self.jobs: dict[str, list[Outcome]] = {}
        self.scripts: dict[str, list[Outcome]] = {}
        self.looks: dict[str, str] = {}
        self.gone: set[str] = set()
        self.locks: set[str] = set()
        self.refuse: Exception | None = None
        self.waiting: list[Callable[[], None]] = []
        self.most = 0

    def make(self, entry: Entry, look: str) -> str:
        if self.refuse is not None:
            raise self.refuse
        name = entry.wish.shot.name
        self.log.append(("make", name))
        script = self.scripts.get(name)
        now = self.looks.get(name, "as it is")
        if script is None and look and look == now:
            script = [Outcome(state="unchanged", code="unchanged")]
        if script is None:
            assert entry.claim is not None
            claim, wish = entry.claim, entry.wish
            entered = self.journal.finish(
                claim, asked=wish.asked, look=now, stored=name, took_s=1.0, length_s=wish.length_s
            )
            script = [
                Outcome(state="placing"),
                Outcome(state="done" if entered else "elsewhere", code="save"),
            ]
        job_id = f"{name}-{len(self.log)}"
        self.jobs[job_id] = list(script)
        return job_id

    def place(self, entry: Entry, made: Made) -> str | None:
        self.log.append(("place", entry.wish.shot.name))
        if entry.wish.shot.name in self.gone:
            return None
        job_id = f"{entry.wish.shot.name}-{len(self.log)}"
        self.jobs[job_id] = [Outcome(state="placing"), Outcome(state="done")]
        return job_id

    def outcome(self, job_id: str) -> Outcome:
        left = self.jobs[job_id]
        return left.pop(0) if len(left) > 1 else left[0]

    def later(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def work_off(self) -> None:
        """Do what waits for another thread."""
        while self.waiting:
            self.waiting.pop(0)()

    def cancel(self, job_id: str) -> None:
        self.log.append(("cancel", job_id))
        self.jobs[job_id] = [Outcome(state="cancelled")]

    def locked(self, entry: Entry, before: Made) -> bool:
        return entry.wish.shot.name in self.locks

    def sweep(self, claim: Claim) -> None:
        self.log.append(("sweep", claim.shot.rpartition("/")[2]))


def wish(name: str, asked: str = "x", problem: Any = None) -> Wish:
    shot = Shot(kind="markers", scene="Scene", name=name, span=FrameRange(1, 48))
    return Wish(shot=shot, asked=asked, length_s=2.0, problem=problem)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db")


@pytest.fixture
def hands(journal: Journal) -> FakeHands:
    return FakeHands(journal)


def begin(journal: Journal, hands: FakeHands, wishes: list[Wish], **more: Any) -> Batch:
    return Batch(file=FILE, wishes=wishes, journal=journal, hands=hands, clock=Clock(), **more)


def tick(batch: Batch) -> None:
    """A step, what it wants to be done on another thread, and what comes of that."""
    batch.step()
    batch.hands.work_off()  # type: ignore[attr-defined]


def turn(batch: Batch, steps: int = 300) -> dict[str, str]:
    """Until it is over; the state of each shot by its name."""
    for _ in range(steps):
        tick(batch)
        batch.clock.now += 0.5  # type: ignore[attr-defined]
        batch.hands.most = max(batch.hands.most, len(batch.busy))  # type: ignore[attr-defined]
        if batch.over:
            break
    return {entry.wish.shot.name: entry.state for entry in batch.entries}


NAMES = [f"sh{number}" for number in range(6)]
ALL_DONE = dict.fromkeys(NAMES, "done")


def test_every_shot_once_and_two_at_a_time(journal: Journal, hands: FakeHands) -> None:
    assert turn(begin(journal, hands, [wish(name) for name in NAMES])) == ALL_DONE
    assert hands.log == [("make", name) for name in NAMES]
    assert 1 < hands.most <= batches.AT_ONCE


def test_again_makes_nothing_but_places_what_is_there(journal: Journal, hands: FakeHands) -> None:
    wishes = [wish(name) for name in NAMES]
    turn(begin(journal, hands, wishes))
    hands.log.clear()
    second = begin(journal, hands, wishes)
    assert turn(second) == ALL_DONE
    assert {what for what, _ in hands.log} == {"place"}
    assert all(entry.kept for entry in second.entries)


def test_a_shot_whose_files_are_gone_is_made_again(journal: Journal, hands: FakeHands) -> None:
    turn(begin(journal, hands, [wish("a"), wish("b")]))
    hands.log.clear()
    hands.gone = {"a"}
    turn(begin(journal, hands, [wish("a"), wish("b")]))
    assert hands.log == [("place", "a"), ("make", "a"), ("place", "b")]


def test_only_what_is_asked_anew_is_made(journal: Journal, hands: FakeHands) -> None:
    turn(begin(journal, hands, [wish("a"), wish("b")]))
    hands.log.clear()
    turn(begin(journal, hands, [wish("a"), wish("b", asked="other words")]))
    assert hands.log == [("place", "a"), ("make", "b")]


def test_failed_only(journal: Journal, hands: FakeHands) -> None:
    hands.scripts["b"] = [Outcome(state="failed", code="out_of_memory", sentence="Too little memory.")]
    wishes = [wish("a"), wish("b"), wish("c")]
    assert turn(begin(journal, hands, wishes)) == {"a": "done", "b": "failed", "c": "done"}
    hands.scripts.clear()
    hands.log.clear()
    assert turn(begin(journal, hands, wishes, which="failed")) == {"b": "done"}
    assert hands.log == [("make", "b")]
    assert begin(journal, hands, wishes, which="failed").over


def test_failed_only_in_a_fresh_copy_places_the_others_too(journal: Journal, hands: FakeHands) -> None:
    hands.scripts["b"] = [Outcome(state="failed", code="out_of_memory", sentence="Too little memory.")]
    turn(begin(journal, hands, [wish("a"), wish("b")]))
    hands.scripts.clear()
    hands.log.clear()
    wishes = [wish("a", asked="not looked at"), wish("b"), wish("never made")]
    batch = begin(journal, hands, wishes, which="failed", place_rest=True)
    assert turn(batch) == {"a": "done", "b": "done"}
    assert sorted(hands.log) == [("make", "b"), ("place", "a")]


def test_changed_only(journal: Journal, hands: FakeHands) -> None:
    turn(begin(journal, hands, [wish("a"), wish("b")]))
    hands.looks["b"] = "another picture"
    hands.log.clear()
    batch = begin(journal, hands, [wish("a"), wish("b"), wish("new")], which="changed")
    assert turn(batch) == {"a": "done", "b": "done"}
    assert hands.log == [("make", "a"), ("place", "a"), ("make", "b")]  # the first is drawn, and that was all
    assert [entry.kept for entry in batch.entries] == [True, False]
    assert journal.made(FILE)["markers/Scene/b"].look == "another picture"


def test_a_locked_sound_stays(journal: Journal, hands: FakeHands) -> None:
    turn(begin(journal, hands, [wish("a"), wish("b")]))
    hands.locks = {"a"}
    hands.log.clear()
    batch = begin(journal, hands, [wish("a", asked="other"), wish("b", asked="other")])
    assert turn(batch) == {"a": "unchanged", "b": "done"}
    assert hands.log == [("make", "b")]
    assert journal.made(FILE)["markers/Scene/a"].asked == "x"
    assert isinstance(journal.claim(FILE, "markers/Scene/a", "x"), Made)


def test_stopped_it_goes_on_where_it_was(journal: Journal, hands: FakeHands) -> None:
    wishes = [wish(name) for name in NAMES]
    hands.scripts["sh2"] = [Outcome(state="working")]
    first = begin(journal, hands, wishes)
    for _ in range(10):
        tick(first)
    first.stop()
    states = turn(first)
    assert states["sh2"] == "cancelled"
    assert "done" in states.values()
    hands.scripts.clear()
    made = [name for what, name in hands.log if what == "make" and name != "sh2"]
    assert turn(begin(journal, hands, wishes)) == ALL_DONE
    again = [name for what, name in hands.log if what == "make" and name != "sh2"]
    assert sorted(again) == sorted(set(again))
    assert set(made) <= set(again)


def test_what_died_is_swept_and_in_the_end_left_out(tmp_path: Path) -> None:
    now = [0.0]
    for number in range(batches.DEATHS + 1):
        journal = Journal(tmp_path / "journal.db", clock=lambda: now[0], me=(f"host {number}", 1, ""))
        hands = FakeHands(journal)
        hands.scripts["a"] = [Outcome(state="working")]
        batch = begin(journal, hands, [wish("a")])
        tick(batch)
        tick(batch)
        assert (("sweep", "a") in hands.log) == (number > 0)
        now[0] += 2 * LEASE_S
    assert batch.entries[0].state == "failed"
    assert "ended" in batch.entries[0].sentence
    assert ("make", "a") not in hands.log
    assert turn(begin(journal, FakeHands(journal), [wish("a")])) == {
        "a": "done"
    }  # when it is asked for again


def test_shots_of_another_blender_are_waited_for_and_used(tmp_path: Path) -> None:
    theirs = Journal(tmp_path / "journal.db", me=("attic", 7, ""))
    claim = theirs.claim(FILE, "markers/Scene/a", "x")
    assert isinstance(claim, Claim)
    mine = Journal(tmp_path / "journal.db", me=("kitchen", 8, ""))
    hands = FakeHands(mine)
    batch = begin(mine, hands, [wish("a"), wish("b")])
    states = turn(batch, steps=20)
    assert states == {"a": "taken", "b": "done"}
    assert "attic, process 7" in next(e.sentence for e in batch.entries if e.state == "taken")
    theirs.finish(claim, asked="x", look="", stored="a", took_s=1, length_s=2)
    assert turn(batch) == {"a": "done", "b": "done"}
    assert hands.log == [("make", "b"), ("place", "a")]


def test_a_shot_that_was_taken_over_is_used_as_the_other_made_it(journal: Journal, hands: FakeHands) -> None:
    elsewhere = Outcome(state="elsewhere", code="save", sentence="Another Blender has made it.")
    hands.scripts["a"] = [Outcome(state="working"), elsewhere]
    batch = begin(journal, hands, [wish("a")])
    tick(batch)
    tick(batch)
    claim = batch.entries[0].claim
    assert claim is not None
    journal.finish(claim, asked="x", look="", stored="a", took_s=1, length_s=2)
    assert turn(batch) == {"a": "done"}
    assert hands.log == [("make", "a"), ("place", "a")]


def test_a_shot_that_cannot_be_asked_for_fails_alone(journal: Journal, hands: FakeHands) -> None:
    problem = BadInput("It is too long for one job.")
    states = turn(begin(journal, hands, [wish("a", problem=problem), wish("b")]))
    assert states == {"a": "failed", "b": "done"}


def test_without_a_worker_it_stops_at_the_first(journal: Journal, hands: FakeHands) -> None:
    hands.refuse = WorkerNotInstalled("Footfall's worker is not set up yet.")
    states = turn(begin(journal, hands, [wish(name) for name in NAMES]))
    assert list(states.values()) == ["failed"] + ["cancelled"] * 5


def test_a_journal_out_of_reach_is_told(tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    journal = Journal(tmp_path / "share" / "journal.db")
    batch = begin(journal, FakeHands(journal), [wish("a")])
    tick(batch)
    tick(batch)
    (tmp_path / "share").rename(tmp_path / "gone")
    with pytest.raises(SaveError, match="cannot be reached"):
        turn(begin(journal, FakeHands(journal), [wish("b")]))


def test_how_long_it_will_take(journal: Journal, hands: FakeHands) -> None:
    batch = begin(journal, hands, [wish(name) for name in NAMES], pace=3.0)
    assert batch.progress().left_s == pytest.approx(3.0 * 12.0)  # as it was the last time
    hands.scripts = {name: [Outcome(state="working")] for name in NAMES[3:]}
    for _ in range(12):
        tick(batch)
        batch.clock.now += 1.0  # type: ignore[attr-defined]
    progress = batch.progress()
    assert progress.ended == 3
    assert progress.fraction == pytest.approx(0.5)
    assert progress.left_s == pytest.approx(12.0)  # three of six took 12 s
