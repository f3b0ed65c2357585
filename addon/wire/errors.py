# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that Footfall raises on purpose.

::

    FootfallError
    ├── WireError                 a message that must not be believed
    │   ├── Forged                wrong signature, replayed, reflected, or from another run
    │   ├── Malformed             authentic but not a message of this protocol
    │   ├── LimitExceeded         a number, text, list or buffer beyond its bound
    │   └── VersionMismatch       the other side speaks another protocol version
    ├── WrongUsage                words that the command line does not know          (exit 2)
    ├── BadInput                  the request cannot be fulfilled as asked           (exit 3)
    ├── ModelError                                                                  (exit 4)
    │   ├── ModelMissing          the bundle, or a part of it, is not on this machine
    │   └── ModelRefused          damaged, unsafe, mismatched, or licence not accepted
    ├── WorkerError                                                                 (exit 5)
    │   ├── WorkerNotInstalled    there is no environment to start the worker from
    │   ├── WorkerFailedToStart
    │   ├── WorkerDied            the process ended while it was needed
    │   ├── WorkerTimeout         no progress until the deadline
    │   └── OutOfMemory           the device has no memory for this job
    ├── SaveError                 the sound exists but could not be written          (exit 3)
    └── Cancelled                 the user asked for it                              (exit 130)

``str(error)`` is one sentence for an artist that says what to do next. ``detail`` is for the log and for the
button that copies it. ``code`` is stable and travels on the wire.
"""

from __future__ import annotations


class FootfallError(Exception):
    """Base class. ``sentence``: what happened and what to do next; ``detail``: for the log."""

    code = "error"
    exit_code = 5

    def __init__(self, sentence: str, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail

    def report(self) -> dict[str, object]:
        """What ``--json`` prints for it, in the shell and in Blender."""
        return {"ok": False, "code": self.code, "error": self.sentence, "detail": self.detail}


class WireError(FootfallError):
    code = "wire"


class Forged(WireError):
    code = "forged"


class Malformed(WireError):
    code = "malformed"


class LimitExceeded(WireError):
    code = "limit"
    exit_code = 3


class VersionMismatch(WireError):
    code = "version"


class WrongUsage(FootfallError):
    code = "usage"
    exit_code = 2


class BadInput(FootfallError):
    code = "bad_input"
    exit_code = 3


class ModelError(FootfallError):
    code = "model"
    exit_code = 4


class ModelMissing(ModelError):
    code = "model_missing"


class ModelRefused(ModelError):
    code = "model_refused"


class WorkerError(FootfallError):
    code = "worker"


class WorkerNotInstalled(WorkerError):
    code = "worker_not_installed"


class WorkerFailedToStart(WorkerError):
    code = "worker_start"


class WorkerDied(WorkerError):
    code = "worker_died"


class WorkerTimeout(WorkerError):
    code = "timeout"


class OutOfMemory(WorkerError):
    code = "out_of_memory"


class SaveError(FootfallError):
    code = "save"
    exit_code = 3


class Cancelled(FootfallError):
    code = "cancelled"
    exit_code = 130

    def __init__(self, sentence: str = "Cancelled.", detail: str = "") -> None:
        super().__init__(sentence, detail)


def _tree(root: type[FootfallError]) -> dict[str, type[FootfallError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


BY_CODE: dict[str, type[FootfallError]] = _tree(FootfallError)


def from_code(code: str, sentence: str, detail: str = "") -> FootfallError:
    """The error that a ``Failed`` message stands for; an unknown code becomes a plain FootfallError."""
    return BY_CODE.get(code, FootfallError)(sentence, detail)
