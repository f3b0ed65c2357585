# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shots are made, which are being made and by whom: a small database beside the sound. No bpy.

A shot is claimed before it is begun and entered when its files are whole, both in one step that happens or
does not. So whatever dies (Blender, worker, power), a shot that was entered is never made again, and one that
was not is free as soon as its maker is gone. A claim is a lease: it is renewed while work goes on, runs out
by itself, and ends at once when its process on this computer has ended. Whoever was given up for dead and
comes back finds that its claim is no longer its own, and its late sound is not entered.

The file is written with SQLite's rollback journal and not with its write-ahead log, because the log must not
be shared between computers, and folders with shots often are.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..wire.errors import SaveError
from .processes import alive, born

NAME = "journal.db"
SCHEMA = 1
LEASE_S = 300.0  # longer than one picture takes to render
RENEW_S = 20.0
FAR_S = 3600.0  # a lease that ends later than this was written by a clock that has been set back since
PATIENCE_S = 2 * RENEW_S  # for a process of this computer that lives while its lease has run out
_PACED = 50  # shots that tell how long the next ones will take
BUSY_S = 5.0  # how long another Blender may hold the file for one entry

_TABLES = """
CREATE TABLE IF NOT EXISTS claims (
    file TEXT NOT NULL, shot TEXT NOT NULL, job_id TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
    born TEXT NOT NULL, until REAL NOT NULL, leftovers TEXT NOT NULL, PRIMARY KEY (file, shot));
CREATE TABLE IF NOT EXISTS made (
    id INTEGER PRIMARY KEY, file TEXT NOT NULL, shot TEXT NOT NULL, job_id TEXT NOT NULL UNIQUE,
    asked TEXT NOT NULL, look TEXT NOT NULL, stored TEXT NOT NULL, took_s REAL NOT NULL,
    length_s REAL NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS made_by_shot ON made (file, shot);
CREATE TABLE IF NOT EXISTS failed (
    file TEXT NOT NULL, shot TEXT NOT NULL, code TEXT NOT NULL, sentence TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (file, shot));
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A finished shot. ``asked``, ``look``: see shots/listed.py; ``stored``: its sound, see stored_text.py.

    ``took_s``: seconds of work; ``length_s``: of the shot; ``at``: when, by the wall clock.
    """

    shot: str
    job_id: str
    asked: str
    look: str
    stored: str
    took_s: float
    length_s: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a shot could not be made."""

    shot: str
    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A shot that is ours to make. ``leftovers``: job ids of tries that died; their files are to be removed.

    ``before``: how it was made the last time, if it was.
    """

    file: str
    shot: str
    job_id: str
    leftovers: tuple[str, ...] = ()
    before: Made | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A shot that somebody else is making. ``who``: in words."""

    who: str


class Journal:
    """One journal. Safe to use from several threads and processes; raises SaveError when it is out of reach.

    clock: the wall clock, which other computers have too; steady: one that nobody sets. me: (host, process
    id, a text that tells this process from a later one with the same id).
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
        me: tuple[str, int, str] | None = None,
        busy_s: float = BUSY_S,
    ) -> None:
        self.path = path
        self._clock, self._steady = clock, steady
        self._overdue: dict[str, tuple[float, float]] = {}
        self._me = me or (socket.gethostname(), os.getpid(), born(os.getpid()))
        self._busy_s = busy_s
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._closed = False

    def close(self) -> None:
        """Let the file go; a late use opens it for that moment only."""
        with self._lock:
            self._closed = True
            self._drop()

    # Making shots --------------------------------------------------------------------------------------

    def claim(self, file: str, shot: str, asked: str, *, again: bool = False) -> Claim | Made | Taken:
        """The shot as ours to make, as finished already, or as somebody else's.

        ``asked``: a shot that was made for something else is made anew; ``again``: in any case.
        """
        with self._change() as database:
            row = database.execute(
                "SELECT job_id, host, pid, born, until, leftovers FROM claims WHERE file=? AND shot=?",
                (file, shot),
            ).fetchone()
            leftovers: list[str] = []
            if row is not None:
                job_id, host, pid, birth, until, more = row
                mine = (host, pid, birth) == self._me
                if not mine and not self._gone(host, pid, birth) and self._holds(job_id, host, birth, until):
                    return Taken(who=f"{host}, process {pid}")
                leftovers = [*json.loads(more), job_id]
            before = self._latest(database, file, shot)
            if before is not None and before.asked == asked and not again and not leftovers:
                return before
            claim = Claim(
                file=file,
                shot=shot,
                job_id=secrets.token_hex(16),
                leftovers=tuple(leftovers),
                before=before,
            )
            database.execute(
                "INSERT OR REPLACE INTO claims VALUES (?,?,?,?,?,?,?,?)",
                (
                    file,
                    shot,
                    claim.job_id,
                    *self._me,
                    self._clock() + LEASE_S,
                    json.dumps(leftovers),
                ),
            )
            return claim

    def finish(
        self, claim: Claim, *, asked: str, look: str, stored: str, took_s: float, length_s: float
    ) -> bool:
        """Enter a finished shot and give up its claim; False when somebody else has taken it over."""
        with self._change() as database:
            if not self._held(database, claim):
                return False
            database.execute(
                "INSERT INTO made (file, shot, job_id, asked, look, stored, took_s, length_s, at) "
                "VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    claim.file,
                    claim.shot,
                    claim.job_id,
                    asked,
                    look,
                    stored,
                    took_s,
                    length_s,
                    self._clock(),
                ),
            )
            _forget(database, "claims", claim)
            _forget(database, "failed", claim)
            return True

    def fail(self, claim: Claim, code: str, sentence: str) -> None:
        """Give up a claim, and remember why; nothing if it is no longer ours."""
        with self._change() as database:
            if self._held(database, claim):
                database.execute(
                    "INSERT OR REPLACE INTO failed VALUES (?,?,?,?,?)",
                    (claim.file, claim.shot, code, sentence, self._clock()),
                )
                _forget(database, "claims", claim)

    def release(self, claim: Claim) -> None:
        """Give up a claim without a word; nothing if it is no longer ours."""
        with self._change() as database:
            if self._held(database, claim):
                _forget(database, "claims", claim)

    def renew(self, claims: Iterable[Claim]) -> None:
        """Say that work on these goes on."""
        with self._change() as database:
            database.executemany(
                "UPDATE claims SET until=? WHERE file=? AND shot=? AND job_id=?",
                [(self._clock() + LEASE_S, c.file, c.shot, c.job_id) for c in claims],
            )

    # Looking -------------------------------------------------------------------------------------------

    def made(self, file: str) -> dict[str, Made]:
        """The finished shots of a file, each as it was made last."""
        with self._look() as database:
            rows = database.execute(f"{_MADE} WHERE file=? ORDER BY id", (file,))
            return {row[0]: _made(row) for row in rows}

    def failed(self, file: str) -> dict[str, Failure]:
        """The shots of a file that could not be made the last time."""
        with self._look() as database:
            rows = database.execute("SELECT shot, code, sentence FROM failed WHERE file=?", (file,))
            return {row[0]: Failure(shot=row[0], code=row[1], sentence=row[2]) for row in rows}

    def pace(self) -> float:
        """Seconds of work for a second of shot, as the last ones went; 0 when there were none.

        Shots overlap, so the time from one's end to the next one's counts, while it is no pause.
        """
        with self._look() as database:
            rows = database.execute(
                "SELECT at, took_s, length_s FROM made ORDER BY id DESC LIMIT ?", (_PACED,)
            ).fetchall()
        spent = [
            (min(took_s, max(0.0, at - before)), length_s)
            for (at, took_s, length_s), (before, _, _) in itertools.pairwise(rows)
        ] or [(took_s, length_s) for _, took_s, length_s in rows]
        length_s = sum(length for _, length in spent)
        return sum(took for took, _ in spent) / length_s if length_s else 0.0

    # The file ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, by one writer at a time; all of it happens, or nothing."""
        with self._look() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # what went wrong is on its way
                    database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    @contextlib.contextmanager
    def _look(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._open()
            except (sqlite3.Error, OSError, ValueError) as error:
                self._drop()  # the next use begins afresh, on a disk that may be back
                raise SaveError(_sentence(error, self.path), f"{self.path}: {error}") from error
            finally:
                if self._closed:
                    self._drop()

    def _open(self) -> sqlite3.Connection:
        if self._database is not None and self.path.is_file():
            return self._database
        self._drop()
        # autocommit, so that the transactions are ours; the lock above keeps threads apart
        database = sqlite3.connect(
            self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        self._database = database
        database.execute("PRAGMA journal_mode=DELETE")
        database.execute("PRAGMA synchronous=FULL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise ValueError("newer")
        if version < SCHEMA:
            database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={SCHEMA}; COMMIT;")
        return database

    def _drop(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()

    def _held(self, database: sqlite3.Connection, claim: Claim) -> bool:
        row = database.execute(
            "SELECT 1 FROM claims WHERE file=? AND shot=? AND job_id=?",
            (claim.file, claim.shot, claim.job_id),
        ).fetchone()
        return row is not None

    def _latest(self, database: sqlite3.Connection, file: str, shot: str) -> Made | None:
        row = database.execute(
            f"{_MADE} WHERE file=? AND shot=? ORDER BY id DESC LIMIT 1", (file, shot)
        ).fetchone()
        return None if row is None else _made(row)

    def _holds(self, job_id: str, host: str, birth: str, until: float) -> bool:
        """Whether the lease of a maker that may live still counts. The clock may have been set, or the
        computer may have slept: who is known to live then gets the time to renew.
        """
        left_s = until - self._clock()
        if left_s > 0:
            self._overdue.pop(job_id, None)
            return left_s < FAR_S
        if host != self._me[0] or not birth:
            return False
        seen, since = self._overdue.get(job_id, (until, self._steady()))
        if seen != until:
            since = self._steady()
        self._overdue[job_id] = (until, since)
        return self._steady() - since < PATIENCE_S

    def _gone(self, host: str, pid: int, birth: str) -> bool:
        """Whether the maker is known to have ended; of another computer that is never known."""
        return host == self._me[0] and not alive(pid, birth)


_MADE = "SELECT shot, job_id, asked, look, stored, took_s, length_s, at FROM made"


def _made(row: tuple[str, str, str, str, str, float, float, float]) -> Made:
    shot, job_id, asked, look, stored, took_s, length_s, at = row
    return Made(
        shot=shot,
        job_id=job_id,
        asked=asked,
        look=look,
        stored=stored,
        took_s=took_s,
        length_s=length_s,
        at=at,
    )


def _forget(database: sqlite3.Connection, table: str, claim: Claim) -> None:
    database.execute(f"DELETE FROM {table} WHERE file=? AND shot=?", (claim.file, claim.shot))


def _sentence(error: Exception, path: Path) -> str:
    if isinstance(error, ValueError):
        return f"The journal {path} was written by a newer Footfall; update this one."
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"Another Blender holds the journal {path} for too long; close it, then start once more."
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return f"The disk with the journal {path} is full; make room, then start once more."
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return (
            f"The journal {path} is damaged; move it away, and the shots are made anew beside the old ones."
        )
    return (
        f"The journal {path} cannot be reached; see to the disk or the share that it lies on, "
        "then start once more. What is made is kept."
    )


def file_key(blend: str, folder: Path) -> str:
    """How the journal in ``folder`` names a .blend file: as it lies to it, so that both can move together."""
    try:
        return os.path.relpath(blend, folder).replace(os.sep, "/")
    except ValueError:  # another drive
        return os.path.abspath(blend)
