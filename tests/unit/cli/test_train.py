# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall train``: its words, what it says while it works, and how it ends."""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from footfall.addon.options import Parser
from footfall.addon.wire.errors import BadInput, Cancelled, ModelMissing, SaveError, WrongUsage
from footfall.cli import train
from footfall.cli.train_bundles import CHAIN
from footfall.cli.train_line import LINE_EVERY_S, TrainLine, duration, loss_words
from footfall.cli.train_parts import PARTS, TINY_STEPS
from footfall.cli.train_words import HELP
from footfall.tests.fakes.toy_training import Toy
from hypothesis import given
from hypothesis import strategies as st


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser(prog="footfall")
    train.add_parser(parser.add_subparsers(dest="command", required=True))
    return parser.parse_args(["train", *words])


class ToyPart(ModuleType):
    """A part's module, as the command finds it."""

    DEFAULT_STEPS = 30
    NEEDS: tuple[str, ...] = ("world", "clip")

    def __init__(self) -> None:
        super().__init__("toy")
        self.settings: Any = None
        self.interrupt_at = -1

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--data", type=Path)

    def task(self, work: Path, settings: Any) -> Toy:
        self.settings = settings

        def hook(step: int) -> None:
            if step == self.interrupt_at:
                signal.raise_signal(signal.SIGINT)

        return Toy(seed=settings.seed, hook=hook)


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> ToyPart:
    module = ToyPart()
    monkeypatch.setitem(PARTS, "mapper", lambda: module)
    return module


def go(*words: str) -> int:
    return train.run(parsed(*words))


WORDS = ("--device", "cpu", "--precision", "float32", "--data", "somewhere")


def test_a_part_is_trained_and_goes_on(
    part: ToyPart, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert go("mapper", "--work", str(tmp_path), "--steps", "4", *WORDS) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "toy 1/4" in told.err
    assert "toy: 4 steps, critic/loss " in told.err
    assert go("mapper", "--work", str(tmp_path), "--tiny", "--seed", "0", "--json", *WORDS) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert told.err == ""
    assert (report["ok"], report["step"], report["done"]) == (True, TINY_STEPS, True)
    assert report["losses"].keys() >= {"generator/loss", "critic/loss"}
    assert (tmp_path / "toy" / "part" / "model.safetensors").is_file()
    assert (part.settings.tiny, part.settings.data) == (True, Path("somewhere"))


def test_ctrl_c_saves_and_is_a_cancel(part: ToyPart, tmp_path: Path) -> None:
    part.interrupt_at = 2
    with pytest.raises(Cancelled, match="after step 3 of 30") as caught:
        go("mapper", "--work", str(tmp_path), *WORDS)
    assert caught.value.exit_code == 130
    assert (tmp_path / "toy" / "state" / "state.safetensors").is_file()


def test_what_lacks_is_named_with_its_command(part: ToyPart, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="run footfall train world first"):
        go("mapper", "--work", str(tmp_path))
    (tmp_path / "world").mkdir()
    (tmp_path / "world" / "train-0000.tar").touch()
    with pytest.raises(ModelMissing, match="run footfall train clip first") as caught:
        go("mapper", "--work", str(tmp_path))
    assert caught.value.exit_code == 4


def test_the_worlds_sounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--work", str(tmp_path), "--only", "sounds", "--workers", "1", "--shots", "train=2")
    assert go("world", *words) == 0
    assert "world, sounds 1/2" in capsys.readouterr().err
    assert go("world", *words, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["world"]["made"] == {"sounds": 0, "pictures": 0}
    assert report["world"]["done"] is True
    assert [path.name for path in (tmp_path / "world").iterdir()] == ["train-0000.tar"]


def test_ctrl_c_ends_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presses = iter([signal.SIGINT])  # one: a second would mean at once, and more shots may be told meanwhile

    def show(*_: Any) -> None:
        for number in presses:
            signal.raise_signal(number)

    monkeypatch.setattr(TrainLine, "show", show)
    with pytest.raises(Cancelled, match="run it again to go on"):
        go("world", "--work", str(tmp_path), "--only", "sounds", "--workers", "1", "--shots", "train=300")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("bassoon",),
        ("vae", "--step", "3"),
        ("vae", "--steps", "0"),
        ("vae", "--steps", "many"),
        ("vae", "--device", "abacus"),
        ("vae", "--kind", "regression"),
        ("world", "--shots", "train"),
        ("world", "--shots", "train=-1"),
        ("world", "--steps", "3"),
    ],
)
def test_words_it_does_not_know(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "vae", lambda: SimpleNamespace())
    with pytest.raises(WrongUsage):
        parsed(*words)


def test_an_unknown_split_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="known splits"):
        go("world", "--work", str(tmp_path), "--shots", "nowhere=3")


def test_many_processes_build_no_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadInput, match="runs in one process"):
        go("world", "--work", str(tmp_path))


def test_every_part_has_a_module_and_its_help_and_the_chain_knows_them() -> None:
    assert HELP.keys() == {"world", "starter", "clipsonic", "card", *PARTS}
    assert {name for name, _ in CHAIN} == PARTS.keys()


def test_the_starter_trains_every_part_in_turn(
    part: ToyPart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With parts that make nothing of a bundle, sealing one is what fails, and says what lacks."""
    kinds = []
    part.NEEDS = ("world",)
    task = part.task
    part.task = lambda work, settings: (kinds.append(getattr(settings, "kind", "")), task(work, settings))[1]
    for name in PARTS:
        monkeypatch.setitem(PARTS, name, lambda: part)
    words = ("--steps", "2", "--device", "cpu", "--only", "sounds", "--shots", "train=1", "--workers", "1")
    with pytest.raises(ModelMissing):
        go("starter", "--work", str(tmp_path), *words)
    assert kinds == [chosen.get("kind", "") for _, chosen in CHAIN]
    assert capsys.readouterr().err.count("toy: 2 steps") == len(CHAIN)


def test_looking_for_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from footfall.addon.options import Parser; from footfall.cli import train\n"
        "parser = Parser(); train.add_parser(parser.add_subparsers())\n"
        "parser.parse_args(['train', 'world', '--tiny'])\n"
        "print(*{'torch', 'diffusers', 'bpy', 'safetensors'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


# The line -----------------------------------------------------------------------------------------------


def test_a_plain_line_now_and_then(capsys: pytest.CaptureFixture[str], clock: Any) -> None:
    with TrainLine(clock=clock) as line:
        for step in range(1, 31):
            line.show("vae", step, 30, 30.0 - step, "vae/loss 0.5")
            clock.advance(LINE_EVERY_S / 10)
        logging.getLogger("footfall.server.train.shards").warning("train-0000.tar is cut short")
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "vae 1/30, 29 s left, vae/loss 0.5"
    assert told[-2:] == ["vae 30/30, 0 s left, vae/loss 0.5", "train-0000.tar is cut short"]
    assert 5 <= len(told) <= 6


def test_quiet_tells_only_of_damage(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainLine(quiet=True) as line:
        line.show("vae", 1, 2, None)
        line.say("done")
        logging.getLogger("footfall.server.train.shards").warning("train-0000.tar is cut short")
    assert capsys.readouterr().err == "train-0000.tar is cut short\n"


def test_losses_as_words() -> None:
    losses = {"g/gradient": 3.0, "g/loss": 0.123456, "g/bad": None}
    assert loss_words(losses) == "g/loss 0.1235, g/bad ?"


@given(st.floats(0, 1e7))
def test_durations_are_close(seconds: float) -> None:
    words = duration(seconds).split()
    units = {"h": 3600, "min": 60, "s": 1}
    told = sum(int(n) * units[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(told - seconds) <= (60 if "h" in words else 0.5)


def test_a_duration_that_nobody_knows() -> None:
    assert (duration(None), duration(7200), duration(60)) == ("?", "2 h 00 min", "1 min 00 s")


def test_a_disk_that_is_full_before_the_first_step(
    part: ToyPart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data that a training keeps is written before it, and a full disk names no file of its own."""

    def full(work: Path, settings: Any) -> Toy:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(part, "task", full)
    with pytest.raises(SaveError, match=re.escape(f"{tmp_path} could not be written: the disk is full")):
        go("mapper", "--work", str(tmp_path), *WORDS)
