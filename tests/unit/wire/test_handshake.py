# SPDX-License-Identifier: GPL-3.0-or-later
"""The two lines that start a worker are read as strictly as any message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from footfall.addon.wire import auth
from footfall.addon.wire.errors import Malformed, WireError
from footfall.addon.wire.handshake import WorkerAddress, WorkerSettings, parse
from hypothesis import given
from hypothesis import strategies as st

SETTINGS = WorkerSettings(
    key="ab" * 32, parent_pid=1, models_dir="/models ☂", log_dir="C:\\log 'q'", idle_s=0
)
ADDRESS = WorkerAddress(endpoint="tcp://127.0.0.1:65535", pid=77, major=1, minor=0, version="0.1.0")


@pytest.mark.parametrize("greeting", [SETTINGS, ADDRESS])
def test_round_trip(greeting: Any) -> None:
    line = greeting.line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse(type(greeting), line) == greeting


def test_a_path_that_is_no_unicode_survives() -> None:
    odd = WorkerSettings(key="ab" * 32, parent_pid=1, models_dir="/caf\udce9", log_dir="/log")
    assert parse(WorkerSettings, odd.line()) == odd


def changed(greeting: Any, **changes: Any) -> bytes:
    return json.dumps(json.loads(greeting.line()) | changes).encode()


@pytest.mark.parametrize(
    "changes",
    [
        *({"key": key} for key in ("", "ab", "AB" * 32, "zz" * 32, "ab" * 33, None, 5)),
        *({"parent_pid": pid} for pid in (0, -1, 2**63, True, "1", 1.0, None)),
        *({"device": device} for device in ("gpu", "", "cuda:0", None)),
        *({"idle_s": idle} for idle in (-1, -0.001, float("nan"), float("inf"), 1e300, "5", True)),
        *({"memory_limit_mb": most} for most in (-1, 2**40, 0.5, True)),
        *({"online": online} for online in (1, 0, "true", None)),
        {"models_dir": 5},
        {"later": 1},
        {"\ud800": 1},
    ],
    ids=repr,
)
def test_wrong_settings_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        parse(WorkerSettings, changed(SETTINGS, **changes))
    assert "ab" * 16 not in f"{caught.value} {caught.value.detail}", "the key must show nowhere"


@pytest.mark.parametrize(
    "endpoint",
    [
        *(
            "tcp://0.0.0.0:5555",
            "tcp://*:5555",
            "tcp://192.168.1.2:5555",
            "tcp://[::1]:5555",
            "tcp://localhost:5555",
        ),
        *(
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:",
            "tcp://127.0.0.1:0",
            "tcp://127.0.0.1:*",
            "tcp://127.0.0.1:123456",
        ),
        *(
            "ipc:///tmp/x",
            "tcp://127.0.0.1:5@evil.example:80",
            "tcp://127.0.0.1:55;tcp://10.0.0.1:55",
            "",
            " ",
        ),
    ],
)
def test_only_loopback_is_believed(endpoint: str) -> None:
    with pytest.raises(Malformed):
        parse(WorkerAddress, changed(ADDRESS, endpoint=endpoint))


@pytest.mark.parametrize("kind", [WorkerSettings, WorkerAddress])
@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{}",
        b"[]",
        b"null",
        b"hello",
        b"\xff",
        b"[" * 100_000,
        b'{"pid":1,"pid":1}',
        b" " * 100_000,
    ],
)
def test_unreadable_lines_are_refused(kind: Any, line: bytes) -> None:
    with pytest.raises(Malformed):
        parse(kind, line)


@given(st.binary(max_size=100), st.integers(0, 200))
def test_a_damaged_line_never_raises_anything_else(noise: bytes, place: int) -> None:
    for greeting in (SETTINGS, ADDRESS):
        line = greeting.line()
        try:
            parse(type(greeting), line[:place] + noise + line[place + len(noise) :])
        except WireError:
            continue


def test_the_key_does_not_show() -> None:
    assert SETTINGS.key not in f"{SETTINGS} {SETTINGS!r}"
    assert len(auth.key_bytes(SETTINGS.key)) == 32
