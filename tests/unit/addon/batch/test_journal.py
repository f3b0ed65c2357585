# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: each shot once, whoever dies; leases, late comers, a disk that goes away."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.batch.journal import LEASE_S, PATIENCE_S, Claim, Journal, Made, Taken, file_key
from footfall.addon.batch.processes import alive, born
from footfall.addon.wire.errors import SaveError

FILE, SHOT = "../shot.blend", "markers/Scene/sh010"
ASKED = "a" * 64


class Clock:
    """A wall clock that stands until it is told to go."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def book(folder: Path, clock: Clock | None = None, who: str = "here", **more: Any) -> Journal:
    """A journal in the hands of ``who``, on a computer of its own so that nobody's process is asked about."""
    return Journal(folder / "journal.db", clock=clock or Clock(), me=(who, 1, "x"), **more)


def claimed(found: object) -> Claim:
    assert isinstance(found, Claim), found
    return found


def finish(journal: Journal, claim: Claim, asked: str = ASKED) -> bool:
    return journal.finish(claim, asked=asked, look="", stored="{}", took_s=1.0, length_s=2.0)


def test_a_finished_shot_is_never_made_again(tmp_path: Path) -> None:
    journal = book(tmp_path)
    claim = claimed(journal.claim(FILE, SHOT, ASKED))
    assert finish(journal, claim)
    found = journal.claim(FILE, SHOT, ASKED)
    assert isinstance(found, Made)
    assert found.job_id == claim.job_id
    again = book(tmp_path, who="another").claim(FILE, SHOT, ASKED)
    assert isinstance(again, Made)


def test_what_is_asked_anew_is_made_anew_and_the_old_one_is_remembered(tmp_path: Path) -> None:
    journal = book(tmp_path)
    first = claimed(journal.claim(FILE, SHOT, ASKED))
    finish(journal, first)
    second = claimed(journal.claim(FILE, SHOT, "b"))
    assert second.before is not None
    assert second.before.job_id == first.job_id
    journal.release(second)  # cancelled: the old one still stands
    assert journal.made(FILE)[SHOT].job_id == first.job_id
    assert claimed(journal.claim(FILE, SHOT, ASKED, again=True)).before is not None


def test_two_hosts_never_make_one_shot(tmp_path: Path) -> None:
    mine, theirs = book(tmp_path, who="mine"), book(tmp_path, who="theirs")
    claimed(mine.claim(FILE, SHOT, ASKED))
    found = theirs.claim(FILE, SHOT, ASKED)
    assert isinstance(found, Taken)
    assert "mine" in found.who


def test_a_lease_runs_out_unless_it_is_renewed(tmp_path: Path) -> None:
    clock = Clock()
    mine, theirs = book(tmp_path, clock, "mine"), book(tmp_path, clock, "theirs")
    claim = claimed(mine.claim(FILE, SHOT, ASKED))
    clock.now += LEASE_S * 0.9
    mine.renew([claim])
    clock.now += LEASE_S * 0.9
    assert isinstance(theirs.claim(FILE, SHOT, ASKED), Taken)
    clock.now += LEASE_S
    taken_over = claimed(theirs.claim(FILE, SHOT, ASKED))
    assert taken_over.leftovers == (claim.job_id,)


def test_a_clock_that_was_set_back_holds_no_shot_for_a_day(tmp_path: Path) -> None:
    """Another computer died, and what it said of its lease is a day ahead of every clock now."""
    clock = Clock()
    mine, theirs = book(tmp_path, clock, "mine"), book(tmp_path, clock, "theirs")
    claim = claimed(mine.claim(FILE, SHOT, ASKED))
    clock.now -= 86_400
    assert claimed(theirs.claim(FILE, SHOT, ASKED)).leftovers == (claim.job_id,)


def test_a_clock_that_was_set_forward_takes_no_shot_from_the_living(tmp_path: Path) -> None:
    """Both are on this computer; the maker renews as soon as its turn comes, and only then is it trusted."""
    clock, steady = Clock(), Clock()
    me = ("here", os.getpid(), born(os.getpid()))
    if not me[2]:
        pytest.skip("the system does not tell when a process was born")
    mine = Journal(tmp_path / "journal.db", clock=clock, me=me)
    theirs = book(tmp_path, clock, steady=steady)
    claim = claimed(mine.claim(FILE, SHOT, ASKED))
    clock.now += 86_400
    assert isinstance(theirs.claim(FILE, SHOT, ASKED), Taken)
    steady.now += 0.9 * PATIENCE_S
    mine.renew([claim])
    clock.now += 2 * LEASE_S
    assert isinstance(theirs.claim(FILE, SHOT, ASKED), Taken)
    steady.now += 0.9 * PATIENCE_S
    assert isinstance(theirs.claim(FILE, SHOT, ASKED), Taken)
    steady.now += 0.2 * PATIENCE_S  # it lives, and does nothing any more
    assert claimed(theirs.claim(FILE, SHOT, ASKED)).leftovers == (claim.job_id,)


def test_who_comes_back_from_the_dead_is_not_entered(tmp_path: Path) -> None:
    """The computer slept through its lease, and another has taken the shot over."""
    clock = Clock()
    mine, theirs = book(tmp_path, clock, "mine"), book(tmp_path, clock, "theirs")
    late = claimed(mine.claim(FILE, SHOT, ASKED))
    clock.now += 2 * LEASE_S
    claim = claimed(theirs.claim(FILE, SHOT, ASKED))
    assert not finish(mine, late)
    mine.fail(late, "worker_died", "It died.")
    mine.release(late)
    mine.renew([late])
    assert mine.failed(FILE) == {}
    assert finish(theirs, claim)
    assert mine.made(FILE)[SHOT].job_id == claim.job_id


def test_a_lease_that_ran_out_is_still_good_while_nobody_else_wants_it(tmp_path: Path) -> None:
    clock = Clock()
    journal = book(tmp_path, clock)
    claim = claimed(journal.claim(FILE, SHOT, ASKED))
    clock.now += 100 * LEASE_S
    assert finish(journal, claim)


def test_leftovers_of_several_deaths_are_all_known(tmp_path: Path) -> None:
    clock = Clock()
    dead = []
    for number in range(3):
        claim = claimed(book(tmp_path, clock, f"host {number}").claim(FILE, SHOT, ASKED))
        assert list(claim.leftovers) == dead
        dead.append(claim.job_id)
        clock.now += 2 * LEASE_S


def test_the_claim_of_a_process_that_has_ended_is_free_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from footfall.addon.batch.journal import Journal;"
        f"print(Journal(Path(sys.argv[1])).claim({FILE!r}, {SHOT!r}, {ASKED!r}).job_id)"
    )
    path = tmp_path / "journal.db"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    claim = claimed(Journal(path).claim(FILE, SHOT, ASKED))
    assert claim.leftovers == (done.stdout.strip(),)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_process_is_told_from_a_later_one_with_its_id() -> None:
    me = os.getpid()
    assert born(me)
    assert alive(me, born(me))
    assert not alive(me, "another boot/1")
    assert alive(me, "")


def test_failures_are_kept_until_the_shot_is_made(tmp_path: Path) -> None:
    journal = book(tmp_path)
    journal.fail(claimed(journal.claim(FILE, SHOT, ASKED)), "out_of_memory", "Too little memory.")
    assert journal.failed(FILE)[SHOT].sentence == "Too little memory."
    finish(journal, claimed(journal.claim(FILE, SHOT, ASKED)))
    assert journal.failed(FILE) == {}
    assert list(journal.made(FILE)) == [SHOT]
    assert journal.made("other.blend") == {}


def _claim_all(path: str, names: list[str], line: Connection) -> None:
    journal = Journal(Path(path))
    line.send("ready")
    line.recv()
    mine = []
    for name in names:
        claim = journal.claim(FILE, name, ASKED)
        if isinstance(claim, Claim) and finish(journal, claim):
            mine.append(name)
    line.send(mine)


def test_four_processes_share_the_work_without_a_double(tmp_path: Path) -> None:
    """Over pipes: locks between processes would want a /dev/shm, which not every container has."""
    names = [f"markers/Scene/sh{number:03}" for number in range(40)]
    context = multiprocessing.get_context("spawn")
    lines, theirs = zip(*(context.Pipe() for _ in range(4)), strict=True)
    path = str(tmp_path / "journal.db")
    makers = [context.Process(target=_claim_all, args=(path, names, line)) for line in theirs]
    for maker in makers:
        maker.start()
    for line in theirs:
        line.close()  # so that one who dies is an end of the line, and no wait
    assert [line.recv() for line in lines] == ["ready"] * 4
    for line in lines:
        line.send("go")
    made = [name for line in lines for name in line.recv()]
    for maker in makers:
        maker.join(60)
    assert sorted(made) == names


def test_threads_share_one_journal(tmp_path: Path) -> None:
    journal = book(tmp_path)
    claims = [claimed(journal.claim(FILE, f"s{number}", ASKED)) for number in range(20)]
    threads = [threading.Thread(target=finish, args=(journal, claim)) for claim in claims]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(journal.made(FILE)) == 20


class TestTrouble:
    def test_the_folder_is_gone(self, tmp_path: Path) -> None:
        journal = book(tmp_path / "share")
        with pytest.raises(SaveError, match="cannot be reached"):
            journal.claim(FILE, SHOT, ASKED)
        (tmp_path / "share").mkdir()
        claimed(journal.claim(FILE, SHOT, ASKED))  # and it is back

    def test_the_storage_vanishes_and_comes_back(self, tmp_path: Path) -> None:
        share, away = tmp_path / "share", tmp_path / "away"
        share.mkdir()
        journal = book(share)
        claim = claimed(journal.claim(FILE, SHOT, ASKED))
        share.rename(away)
        with pytest.raises(SaveError, match="cannot be reached"):
            finish(journal, claim)
        away.rename(share)
        assert finish(journal, claim)

    def test_a_damaged_journal_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "journal.db").write_bytes(b"not a database at all" * 100)
        with pytest.raises(SaveError, match="damaged"):
            book(tmp_path).made(FILE)

    def test_a_newer_journal_is_left_alone(self, tmp_path: Path) -> None:
        database = sqlite3.connect(tmp_path / "journal.db")
        database.execute("PRAGMA user_version=99")
        database.close()
        with pytest.raises(SaveError, match="newer"):
            book(tmp_path).made(FILE)

    def test_a_journal_that_somebody_holds(self, tmp_path: Path) -> None:
        journal = book(tmp_path, busy_s=0.05)
        journal.made(FILE)
        holder = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SaveError, match="holds the journal"):
            journal.claim(FILE, SHOT, ASKED)
        holder.execute("ROLLBACK")
        holder.close()
        claimed(journal.claim(FILE, SHOT, ASKED))

    def test_a_full_disk(self, tmp_path: Path) -> None:
        """R23: as SQLite says it, and nothing of what was there is lost."""
        journal = book(tmp_path)
        finish(journal, claimed(journal.claim(FILE, SHOT, ASKED)))
        claim = claimed(journal.claim(FILE, "another", ASKED))
        database = journal._database
        assert database is not None
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(SaveError, match="full"):
            journal.finish(claim, asked=ASKED, look="", stored="x" * 10**6, took_s=1, length_s=1)
        assert list(journal.made(FILE)) == [SHOT]
        assert finish(journal, claim)  # there is room again

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
    def test_a_read_only_folder(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(SaveError):
                book(tmp_path).claim(FILE, SHOT, ASKED)
        finally:
            tmp_path.chmod(0o700)


def test_a_file_is_named_as_it_lies(tmp_path: Path) -> None:
    assert file_key(str(tmp_path / "a.blend"), tmp_path / "footfall") == "../a.blend"


def test_a_late_word_after_closing_leaves_no_file_open(tmp_path: Path) -> None:
    """What the client's thread still has to enter when the batch is over is entered, and let go."""
    book = Journal(tmp_path / "journal.db")
    claim = book.claim("a.blend", "sh010", "asked")
    assert isinstance(claim, Claim)
    book.close()
    book.fail(claim, "error", "It broke.")
    assert book._database is None
    assert set(book.failed("a.blend")) == {"sh010"}
    assert book._database is None
