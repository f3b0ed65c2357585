# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall worker``: a worker on its own, to watch it: state, memory, log. Ends with Ctrl-C.

There is no remote mode: the worker listens on this computer only, for the program that started it.
"""

from __future__ import annotations

import argparse

from .. import __version__
from ..addon.client import JobClient
from ..addon.reports import FAILED, WorkerStatus
from ..addon.wire.errors import WorkerFailedToStart
from .jobs import worker_launch

TURN_S = 1.0


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("worker", help="the worker on its own, to watch it")
    parser.add_argument("--once", action="store_true", help="start it, say how it is, and end")


def run(options: argparse.Namespace) -> int:
    client = JobClient(worker_launch(), version=__version__)
    shown = 0
    try:
        client.restart()
        while True:
            for event in client.wait(TURN_S):
                if isinstance(event, WorkerStatus):
                    print(_line(event), flush=True)
                    if event.state == FAILED:
                        raise WorkerFailedToStart(event.sentence, event.detail)
                    if event.state == "ready" and options.once:
                        return 0
            log = client.log_tail(1000)
            for line in log[shown:]:
                print(f"  {line}", flush=True)
            shown = len(log)
    except KeyboardInterrupt:
        return 0
    finally:
        client.close()


def _line(status: WorkerStatus) -> str:
    words = [status.state, status.device, f"pid {status.pid}" if status.pid else "", status.sentence]
    return "worker: " + ", ".join(word for word in words if word)
