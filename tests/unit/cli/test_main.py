# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of the command line: one sentence, one object, one exit code, whatever becomes of the process."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from footfall.addon.wire.errors import BadInput
from footfall.cli import __main__ as program
from footfall.cli import doctor

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def being(run: Callable[[argparse.Namespace], int]) -> Callable[[], dict[str, ModuleType]]:
    """The only command is ``do``, which does ``run``."""

    def add_parser(subparsers: argparse._SubParsersAction) -> None:
        subparsers.add_parser("do").add_argument("--json", action="store_true")

    command = ModuleType("do")
    command.run = run
    command.add_parser = add_parser
    return lambda: {"do": command}


@pytest.fixture
def does(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[argparse.Namespace], int]], None]:
    return lambda run: monkeypatch.setattr(program, "commands", being(run))


def said(out: str) -> dict[str, object]:
    assert out.count("\n") == 1
    report = json.loads(out)
    assert isinstance(report, dict)
    return report


def test_ctrl_c_while_the_commands_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> dict[str, ModuleType]:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "commands", interrupted)
    assert program.main(["generate", "--json"]) == 130
    out, err = capsys.readouterr()
    assert said(out)["code"] == "cancelled"
    assert err == "footfall: Cancelled.\n"


@pytest.mark.parametrize("error", [ValueError("numpy.dtype size changed"), OSError("libsndfile not found")])
def test_packages_that_do_not_load_leave_the_doctor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def broken() -> dict[str, ModuleType]:
        raise error

    monkeypatch.setattr(program, "commands", broken)
    monkeypatch.setattr(doctor, "run", lambda options: 42)
    assert program.main(["generate", "--json"]) == 5
    assert said(capsys.readouterr().out)["code"] == "worker_not_installed"
    assert program.main(["--verbose", "doctor"]) == 42


def test_the_doctor_looks_at_every_package_of_the_worker() -> None:
    project = tomllib.loads((Path(__file__).resolve().parents[3] / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    assert {package for package, _ in doctor.PACKAGES} == {re.split("[><=]", line)[0] for line in wanted}


@POSIX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_farm_that_cancels_is_ctrl_c(
    does: Callable[..., None], capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    def run(options: argparse.Namespace) -> int:
        signal.raise_signal(number)
        return 0

    does(run)
    before = signal.signal(number, signal.SIG_DFL)  # these tests may run under nohup themselves
    try:
        assert program.main(["do", "--json"]) == 130
        assert said(capsys.readouterr().out)["code"] == "cancelled"
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


@POSIX
def test_nohup_is_respected(does: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def run(options: argparse.Namespace) -> int:
        signal.raise_signal(signal.SIGHUP)
        return 0

    does(run)
    try:
        assert program.main(["do"]) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@POSIX
def test_a_reader_that_goes_away(does: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """As `| head` does; at its end Python would complain of what it could not write."""
    reading, writing = os.pipe()
    os.close(reading)
    does(lambda options: print("words") or 0)
    with open(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert program.main(["do"]) == 0
        monkeypatch.setattr(sys, "stderr", stream)
        assert program.main(["dance", "--json"]) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_output_that_is_full(
    does: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    does(lambda options: print("words") or 0)
    for words in (["do"], ["do", "--json"]):
        with open("/dev/full", "w") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            assert program.main(words) == BadInput.exit_code
        assert "No space left" in capsys.readouterr().err


def test_streams_that_were_closed(does: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """An error's sentence must not end up in the object on stdout."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    does(lambda options: 0)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", None)
    assert program.main(["dance", "--json"]) == 2
    sys.stderr.close()
    assert said(out.buffer.getvalue().decode())["code"] == "usage"


def test_names_that_the_output_cannot_say(does: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    does(lambda options: print("glöck\udcff.wav") or 0)
    monkeypatch.setattr(sys, "stdout", out)
    assert program.main(["do"]) == 0
    assert out.buffer.getvalue() == rb"gl\xf6ck\udcff.wav" + os.linesep.encode()
