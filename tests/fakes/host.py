# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for Blender that is made to be killed: starts workers, gives each a job, names them, waits.

``python host.py JSON`` with log_dir, workers, prompt ("" leaves them idle), phase (wait for this progress),
silent (wait until pings stay unanswered), fork (a forked sibling keeps the lifelines open) and wrapper (a
command before the interpreter). Prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from footfall.addon.wire.messages import Ping, Progress
from footfall.tests.fakes.peer import Peer, WorkerProcess, children, request, wait_until


def unheard(peer: Peer) -> bool:
    """Whether a ping stays without its pong for longer than any worker takes that has the GIL to share."""
    peer.send(Ping(number=1))
    silent = peer.silent(0.5)
    if not silent:
        peer.receive()
    return silent


def main() -> None:
    wish = json.loads(sys.argv[1])
    peers = [
        Peer(WorkerProcess(Path(wish["log_dir"]) / str(number), wrapper=wish.get("wrapper", [])))
        for number in range(wish["workers"])
    ]
    for peer in peers:
        peer.hello()
    keepers = [children(peer.pid) for peer in peers]
    if wish["prompt"]:
        for peer in peers:
            peer.submit(request(wish["prompt"]))
        for peer in peers:
            peer.expect(Progress, phase=wish["phase"])
            wait_until(lambda peer=peer: not wish.get("silent") or unheard(peer), what="silence")
    siblings = []
    if wish.get("fork"):
        pid = os.fork()
        if pid == 0:
            os.close(1)
            threading.Event().wait(60)  # long enough for any test, and then gone
            os._exit(0)
        siblings.append(pid)
    said = {
        "workers": [peer.pid for peer in peers],
        "keepers": [pid for pids in keepers for pid in pids],
        "siblings": siblings,
    }
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
