# SPDX-License-Identifier: GPL-3.0-or-later
"""Where ``footfall generate`` may write: never over what the user did not name, and told before the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.cli import generate, picture
from footfall.cli.__main__ import main
from PIL import Image


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder with a picture; whoever gets as far as the worker is cancelled."""

    def cancelled(*_: Any) -> None:
        raise Cancelled

    monkeypatch.setattr(generate, "run_job", cancelled)
    monkeypatch.setattr(picture, "run_pictures", cancelled)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 48)).save("still.png")


def test_what_was_not_named_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    """A recording of the shot's own often lies beside it under the shot's name."""
    Path("still.wav").write_bytes(b"recorded on the day")
    assert main(["generate", "still.png", "--json"]) == 3
    assert "-o" in json.loads(capsys.readouterr().out)["error"]
    assert main(["generate", "still.png", "-o", "still.wav"]) == Cancelled.exit_code


def test_a_folder_s_own_name_is_that_of_its_sound(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / f"{tmp_path.name}.wav").touch()
    assert main(["generate", ".", "--json"]) == 3
    assert f"{tmp_path.name}.wav is there" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "still.png"], 2, "still.png"),
        (["-o", "sound.mp3"], 2, ".wav"),
        (["-o", "x" * 246 + ".wav", "--takes", "12"], 3, "-o"),
        (["--mux", "still.mp3"], 3, ".mp4"),
        (["--mux", "folder.mp4"], 3, "--mux"),
        (["--fps", "1/0"], 2, "--fps"),
        (["--fps", "1e9"], 2, "--fps"),
        (["--prompt", "\x07"], 2, "control characters"),
        (["--seed", "9" * 5000], 2, "--seed"),
    ],
    ids=lambda value: " ".join(value)[:20] if isinstance(value, list) else None,
)
def test_what_cannot_be_is_a_short_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    Path("folder.mp4").mkdir()
    assert main(["generate", "still.png", *words, "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert said in report["error"]
    assert len(report["error"]) < 400


def test_a_film_is_not_muxed_over_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "_shot", lambda *_: None)
    Path("film.mp4").touch()
    Path("link.mp4").symlink_to("film.mp4")
    assert main(["generate", "film.mp4", "--mux", "link.mp4", "--json"]) == 3
    assert "overwrite" in json.loads(capsys.readouterr().out)["error"]
