# SPDX-License-Identifier: GPL-3.0-or-later
"""The two lines that start a worker: settings into its stdin, its address out of its stdout.

They travel through pipes between parent and child, so the key never shows in arguments, environment, files
or logs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TypeVar

from . import limits, strict_json
from .errors import LimitExceeded, Malformed
from .fields import Choice, Integer, Real, Spec, Text
from .texts import scrub

KEY_BYTES = 32
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """First and only line on the worker's stdin. ``key``: 64 hex digits, new for each worker."""

    key: str = field(repr=False)
    parent_pid: int
    models_dir: str
    log_dir: str
    device: str = "auto"
    memory_limit_mb: int = 0  # 0: as much as the device has
    idle_s: float = 300.0  # release device memory after this long without a job; 0: never
    online: bool = False  # may the worker use the internet?

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAddress:
    """First and only line on the worker's stdout."""

    endpoint: str  # tcp://127.0.0.1:PORT, or what a worker for other computers was told to bind
    pid: int
    major: int
    minor: int
    version: str

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


Line = TypeVar("Line", WorkerSettings, WorkerAddress)
_TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
_LINE_BYTES = 64 * 1024
_PID = Integer(1, 2**32)
_VERSION = Integer(0, 2**31)
_BOUNDS: dict[str, Spec] = {
    "key": Text(2 * KEY_BYTES, f"[0-9a-f]{{{2 * KEY_BYTES}}}"),
    "parent_pid": _PID,
    "device": Choice(DEVICES),
    "memory_limit_mb": Integer(0, 2**31),
    "idle_s": Real(0.0, 1e9),
    # Loopback alone, whoever wrote the line: frames are sent there.
    "endpoint": Text(30, r"tcp://127\.0\.0\.1:[1-9][0-9]{0,4}"),
    "pid": _PID,
    "major": _VERSION,
    "minor": _VERSION,
    "version": Text(limits.NAME),
}


def parse(kind: type[Line], line: bytes, *, anywhere: bool = False) -> Line:
    """Strict: only known fields, each of its declared type and within its bounds. Raises Malformed.

    anywhere: the address need not be this computer's.
    """
    try:
        plain = strict_json.loads(line, most_bytes=_LINE_BYTES, most_depth=2)
        if not isinstance(plain, dict):
            raise Malformed("The worker's greeting is not an object.")
        known = {item.name: _TYPES[str(item.type)] for item in fields(kind)}
        for name, value in plain.items():
            accepted = (int, float) if known.get(name) is float else (known.get(name),)
            if type(value) not in accepted:
                raise Malformed(f"The worker's greeting has a wrong {scrub(name, 60)!r}.")
            if name in _BOUNDS and not (anywhere and name == "endpoint"):
                _BOUNDS[name].check(name, value)
        return kind(**plain)
    except LimitExceeded as error:
        raise Malformed(f"The worker's greeting is wrong: {error.sentence}", error.detail) from error
    except TypeError as error:
        raise Malformed("The worker's greeting lacks a field.", str(error)) from error
