# SPDX-License-Identifier: GPL-3.0-or-later
"""Why the worker's process ended, as its exit code says it; a negative code is a signal."""

from __future__ import annotations

from enum import IntEnum


class WorkerExit(IntEnum):
    """Exit codes of ``server/launch.py``. Python itself uses 1 and 2 for its own troubles, hence the gap."""

    DONE = 0  # told to shut down
    CRASHED = 1  # an error nobody foresaw; the traceback is in the log
    USAGE = 2  # wrong command line
    REFUSED = 10  # the configuration would let others than this computer reach the worker
    BAD_GREETING = 11  # no readable settings arrived on stdin in time
    NO_SOCKET = 12  # the address is taken, or libzmq is too old
    NOT_INSTALLED = 13  # a package that the worker needs is missing or broken
    WRONG_PYTHON = 14  # Python older than 3.11, or started without -I
    ORPHANED = 15  # the process that started the worker is gone
    INTERRUPTED = 130  # Ctrl-C, when run in a terminal


SENTENCES: dict[int, str] = {
    WorkerExit.DONE: "The worker has ended as asked.",
    WorkerExit.CRASHED: "The worker has failed; copy the details from its log, then try again.",
    WorkerExit.USAGE: "The worker was started with a wrong command line; run Set Up Worker again.",
    WorkerExit.REFUSED: "The worker only listens to this computer (127.0.0.1); remove the other address.",
    WorkerExit.BAD_GREETING: "The worker did not understand its settings; run Set Up Worker again.",
    WorkerExit.NO_SOCKET: "The worker could not open its local connection; see its log, then try again.",
    WorkerExit.NOT_INSTALLED: "The worker's environment is incomplete; run Set Up Worker again.",
    WorkerExit.WRONG_PYTHON: "The worker needs Python 3.11 or newer; run Set Up Worker again.",
    WorkerExit.ORPHANED: "The worker ended because the program that started it did.",
    WorkerExit.INTERRUPTED: "The worker was interrupted.",
}


def sentence_for(code: int) -> str:
    """One sentence for an artist about an exit code of the worker, unknown ones and signals included."""
    if code in SENTENCES:
        return SENTENCES[code]
    return f"The worker ended unexpectedly (code {code}); its log may tell why. Try again."
