# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker on another computer, in place of a process of our own: reached by its address, never started.

Both sides show CURVE keys. The folder of keys holds ``worker.key``, the worker's public key, and one
``*.key_secret``, our own; ``footfall worker --make-keys`` writes it as its ``artist`` part. No sockets here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..wire.auth import remote_key
from ..wire.errors import BadInput
from ..wire.handshake import WorkerAddress, WorkerSettings
from ..wire.messages import PROTOCOL_MAJOR, PROTOCOL_MINOR

WORKER = "worker.key"
READY_S = 20.0  # a worker that runs already answers sooner
_ADDRESS = re.compile(r"(?:tcp://)?(?P<host>[A-Za-z0-9.\-\[\]:]+):(?P<port>[1-9][0-9]{0,4})")
_KEY = re.compile(rb"^\s*(public|secret)-key\s*=\s*\"([!-~]{40})\"\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteLaunch:
    """The worker at ``endpoint``. The keys are 40 characters of Z85 each; ``secret`` never shows."""

    endpoint: str
    worker_public: bytes
    public: bytes
    secret: Secret
    log_dir: Path

    @property
    def where(self) -> str:
        """Another place is another worker."""
        return f"{self.endpoint} {self.worker_public!r} {self.public!r}"

    def start(self) -> RemoteProcess:
        return RemoteProcess(self)

    def secure(self, socket: Any, _settings: WorkerSettings) -> None:
        """Put the keys on a zmq socket before it connects."""
        socket.curve_serverkey = self.worker_public
        socket.curve_publickey = self.public
        socket.curve_secretkey = self.secret.value


class Secret:
    """Bytes that no log shows."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "Secret()"


def remote_launch(address: str, keys: Path, log_dir: Path) -> RemoteLaunch:
    """From what the preferences say. Raises BadInput with what is wrong."""
    found = _ADDRESS.fullmatch(address.strip())
    if found is None or int(found["port"]) > 65_535:
        raise BadInput("Say where the worker is, as 192.168.1.20:5599, in Footfall's preferences.")
    secrets = sorted(keys.glob("*.key_secret"))
    if not (keys / WORKER).is_file() or len(secrets) != 1:
        raise BadInput(
            f"The folder of keys needs {WORKER} and one file *.key_secret; make them where the worker runs "
            "with footfall worker --make-keys FOLDER, and bring its artist part here."
        )
    own = _read(secrets[0])
    if b"secret" not in own:
        raise BadInput(f"{secrets[0].name} holds no secret key; make keys again.")
    return RemoteLaunch(
        endpoint=f"tcp://{found['host']}:{found['port']}",
        worker_public=_read(keys / WORKER)[b"public"],
        public=own[b"public"],
        secret=Secret(own[b"secret"]),
        log_dir=log_dir,
    )


def _read(path: Path) -> dict[bytes, bytes]:
    """Kind of key -> key, of a certificate as pyzmq writes it."""
    try:
        with path.open("rb") as file:
            found = dict(_KEY.findall(file.read(16_384)))
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read; look at its rights.", str(error)) from error
    if b"public" not in found:
        raise BadInput(f"{path.name} is no key; make keys again.")
    return found


class RemoteProcess:
    """Stands where a process of our own would. It lives until it is told to end, which only hangs up."""

    def __init__(self, launch: RemoteLaunch) -> None:
        self._endpoint = launch.endpoint
        self._ending = False
        self.settings = WorkerSettings(
            key=remote_key(launch.worker_public),
            parent_pid=os.getpid(),
            models_dir="",
            log_dir=str(launch.log_dir),
        )

    @property
    def pid(self) -> int:
        """0: not of this computer."""
        return 0

    @property
    def hint(self) -> str:
        host = self._endpoint.removeprefix("tcp://")
        return f"look whether it runs at {host}, lists this computer's key, and serves nobody else"

    @property
    def ready_s(self) -> float:
        return READY_S

    def read_address(self) -> WorkerAddress:
        """At once; its version is told with its greeting."""
        return WorkerAddress(
            endpoint=self._endpoint, pid=1, major=PROTOCOL_MAJOR, minor=PROTOCOL_MINOR, version=""
        )

    def poll(self, _now: float) -> int | None:
        return 0 if self._ending else None

    @property
    def ending(self) -> bool:
        return self._ending

    def exit_reason(self) -> str:
        return "The connection to the worker on the other computer was closed."

    def said(self) -> str:
        return ""

    def ask_to_end(self, _now: float) -> None:
        self._ending = True

    def step_ladder(self, _now: float, *, patience: float = 1.0) -> None:
        """Nothing to climb: the worker is not ours to end."""

    def close(self) -> None:
        """Nothing to let go of."""
