# SPDX-License-Identifier: GPL-3.0-or-later
"""The doors of a worker that other computers may reach: CURVE keys on both sides, all clients on a list.

Only ``--remote`` with ``--keys FOLDER`` opens them. The folder holds ``worker.key_secret`` and, in
``clients/``, the public key of everyone who may come in; ``footfall worker --make-keys`` writes both.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from ...addon.wire.errors import BadInput, WorkerFailedToStart

SECRET = "worker.key_secret"
CLIENTS = "clients"
_ADDRESS = re.compile(r"tcp://[A-Za-z0-9.\-\[\]:]+:(\*|[1-9][0-9]{0,4})")


def require_keys(endpoint: str, folder: str) -> Path:
    """The folder of keys for ``endpoint``. Raises BadInput unless keys of both sides are there and safe."""
    found = _ADDRESS.fullmatch(endpoint)
    if found is None or (found[1] != "*" and int(found[1]) > 65_535):
        raise BadInput(
            "A worker for other computers needs an address, as tcp://192.168.1.20:5599.", endpoint[:200]
        )
    keys = Path(folder)
    if not folder or not (keys / SECRET).is_file():
        raise BadInput(
            "A worker for other computers needs keys; make them with footfall worker --make-keys FOLDER, "
            "then give that folder's worker part with --keys."
        )
    if not any((keys / CLIENTS).glob("*.key")):
        raise BadInput("Nobody may come in: put the public key of each client into the keys' clients folder.")
    if os.name == "posix" and (keys / SECRET).stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInput(f"Others can read {SECRET}; let only its owner do that (chmod 600), then start again.")
    return keys


def public_key(keys: Path) -> bytes:
    """The worker's own public key, 40 characters of Z85. Raises WorkerFailedToStart."""
    return _load(keys)[0]


class Doors:
    """Keeps strangers out of one ROUTER socket; ``close`` before the context is terminated."""

    def __init__(self, context: zmq.Context[Any], socket: zmq.Socket[bytes], keys: Path) -> None:
        public, secret = _load(keys)
        self._guard = ThreadAuthenticator(context)
        self._guard.start()
        self._guard.configure_curve(domain="*", location=keys / CLIENTS)
        socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        socket.setsockopt(zmq.CURVE_SERVER, 1)

    def close(self) -> None:
        self._guard.stop()


def visitor(frame: zmq.Frame) -> str:
    """Whose message ``frame`` belongs to: the client's public key, as the doors have checked it."""
    found = frame.get("User-Id")
    return found if isinstance(found, str) else ""


def _load(keys: Path) -> tuple[bytes, bytes]:
    try:
        public, secret = zmq.auth.load_certificate(keys / SECRET)
    except (OSError, ValueError) as error:
        raise WorkerFailedToStart(f"{keys / SECRET} is no key; make keys again.", str(error)) from error
    if secret is None:
        raise WorkerFailedToStart(f"{keys / SECRET} holds no secret key; make keys again.")
    return public, secret
