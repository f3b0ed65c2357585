# SPDX-License-Identifier: GPL-3.0-or-later
"""The guards of conftest.py themselves: a guard that sees nothing would let every other test pass."""

from __future__ import annotations

import ast
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def guards(request: pytest.FixtureRequest) -> ModuleType:
    return sys.modules[type(request.getfixturevalue("clock")).__module__]


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.org", "0.0.0.0", "::"])
def test_no_test_leaves_this_computer(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        for reach in (line.connect, line.connect_ex, lambda address: line.sendto(b"", address)):
            with pytest.raises(AssertionError, match="loopback"):
                reach((host, 9))
    with pytest.raises(AssertionError, match="loopback"):
        socket.getaddrinfo(host, 80)


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address, timeout=5) as client:
            assert client.getpeername() == address
    assert socket.getaddrinfo("localhost", 80)


def test_a_forgotten_thread_is_seen(guards: Any) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    before = guards._threads()
    thread.start()
    assert guards._threads() - before == {thread}
    stop.set()
    thread.join()
    assert guards._threads() == before


@pytest.mark.skipif(sys.platform != "linux", reason="children are read from /proc")
def test_a_forgotten_process_is_seen(guards: Any) -> None:
    before = guards._children()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert set(guards._children()) - set(before) == {child.pid}
    assert child.pid not in guards._children()


def test_the_clock_stands_still_until_it_is_moved(clock: Any) -> None:
    assert clock() == clock()
    start = clock()
    assert clock.advance(2.5) == clock() == start + 2.5


def test_every_test_that_the_table_names_is_there() -> None:
    here = Path(__file__).parent
    named = re.findall(r"`([\w/]+\.py)::([\w:]+)`", (here / "README.md").read_text("utf-8"))
    assert len(named) > 50
    missing = []
    for file, name in named:
        body: list[ast.stmt] = ast.parse((here / file).read_text("utf-8")).body
        for part in name.split("::"):
            found = [n for n in body if isinstance(n, (ast.ClassDef, ast.FunctionDef)) and n.name == part]
            body = found[0].body if found else []
        if not body:
            missing.append(f"{file}::{name}")
    assert missing == []
