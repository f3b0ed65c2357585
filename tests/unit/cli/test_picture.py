# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall picture``: sounds from files, their parts, the names of pictures. The worker is not started."""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from footfall.addon.options import Parser
from footfall.addon.sounds import wav
from footfall.addon.wire.errors import BadInput, WrongUsage
from footfall.addon.wire.messages import PictureRequest, PictureResult
from footfall.cli import picture, sound_files
from footfall.tests.fakes.fake_pipeline import paint
from footfall.tests.fakes.peer import new_job


def write(path: Path, seconds: float = 3.0, rate_hz: int = 8_000, channels: int = 2) -> Path:
    """A ramp from silence to full scale."""
    ramp = np.linspace(0, 1, round(seconds * rate_hz), dtype=np.float32)[:, None].repeat(channels, axis=1)
    with path.open("wb") as file:
        wav.write(file, ramp, rate_hz)
    return path


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 192_000])
def test_any_rate(tmp_path: Path, rate_hz: int) -> None:
    path = write(tmp_path / "a.wav", rate_hz=rate_hz)
    sound = sound_files.read_sound(path, Fraction(1), Fraction(5, 2))
    assert sound.rate_hz == min(rate_hz, 48_000)
    assert sound.duration_s == Fraction(3, 2)
    assert sound.waveform[0] == pytest.approx(1 / 3, abs=1e-3)
    assert sound.waveform[-1] == pytest.approx(2.5 / 3, abs=1e-3)


def test_a_part_of_a_long_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav", 200.0, channels=1)
    sound = sound_files.read_sound(path, Fraction(150), Fraction(151))
    assert sound.waveform[0] == pytest.approx(0.75, abs=1e-4)
    assert len(sound.waveform) == 8_000


def test_two_hours_are_too_long_but_a_part_of_them_is_not(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        wav.write(file, np.zeros((1, 1), np.float32), 8_000, samples=8_000 * 7_200)
    with pytest.raises(BadInput, match="20 minutes"):
        sound_files.read_sound(path)
    assert sound_files.read_sound(path, Fraction(7_000), Fraction(7_002)).duration_s == 2


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("gone.wav", None, "no file"),
        ("text.wav", b"no sound" * 99, "cannot be read"),
        ("empty.wav", b"", "read"),
    ],
)
def test_what_is_no_sound_is_told(tmp_path: Path, name: str, data: bytes | None, says: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=says):
        sound_files.read_sound(tmp_path / name)


def test_a_film_without_sound_is_told(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=24)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(BadInput, match="has no sound"):
        sound_files.read_sound(path)


def test_nothing_between_start_and_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    with pytest.raises(BadInput, match="nothing of it"):
        sound_files.read_sound(path, Fraction(5))


def words(*given: str) -> argparse.Namespace:
    parser = Parser()
    picture.add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(["picture", *given])


@pytest.mark.parametrize(
    "given",
    [
        ("a.wav", "--per-window", "0"),
        ("a.wav", "--per-window", "x"),
        ("a.wav", "--per-window", "2", "--cuts"),
        ("a.wav", "--takes", "17"),
        ("a.wav", "--start", "-1"),
        ("a.wav", "--guidance", "99"),
        ("a.wav", "--words", "x" * 10_001),
        (),
    ],
)
def test_wrong_usage(given: tuple[str, ...]) -> None:
    with pytest.raises(WrongUsage):
        words(*given)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[PictureRequest]:
    """Runs pass their requests to the fake pipeline here, and note them."""
    asked: list[PictureRequest] = []

    def run(request: PictureRequest, launch: Any, line: Any) -> PictureResult:
        asked.append(request)
        painting = paint(request)
        return PictureResult(
            job_id=new_job(), pictures=painting.pictures, provenance=painting.provenance, warnings=("Flat.",)
        )

    monkeypatch.setattr(picture, "run_pictures", run)
    monkeypatch.setattr(picture, "find_bundle", lambda *_: None)
    return asked


def test_one_picture(tmp_path: Path, painted: list[PictureRequest], capsys: Any) -> None:
    sound, out = write(tmp_path / "door.wav"), tmp_path / "deep" / "door.png"
    assert picture.run(words(str(sound), "-o", str(out), "--seed", "7")) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert "seed 7" in said.err
    assert "Note: Flat." in said.err
    assert painted[0].words == picture.WORDS


def test_a_storyboard(tmp_path: Path, painted: list[PictureRequest], capsys: Any) -> None:
    sound, out = write(tmp_path / "door.wav"), tmp_path / "door.png"
    options = words(
        str(sound), "-o", str(out), "--per-window", "1", "--takes", "2", "--start", "0.5", "--json"
    )
    assert picture.run(options) == 0
    said = json.loads(capsys.readouterr().out)
    names = [Path(one["file"]).name for one in said["pictures"]]
    assert names == [f"door-{number:03}{take}.png" for number in (1, 2, 3) for take in ("", ".take2")]
    assert all((tmp_path / name).is_file() for name in names)
    assert [one["end_s"] for one in said["pictures"][::2]] == [1.0, 2.0, 2.5]


def test_cuts_at_given_seconds_count_from_the_sound_s_start(
    tmp_path: Path, painted: list[PictureRequest]
) -> None:
    sound = write(tmp_path / "door.wav")
    picture.run(
        words(str(sound), "-o", str(tmp_path / "x.png"), "--cuts", "2, 1,9", "--start", "0.5", "--json")
    )
    assert painted[0].starts_s == (0, Fraction(1, 2), Fraction(3, 2))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--cuts",), "no picture to see cuts in"),
        (("--cuts", "a,b"), "--cuts"),
        (("-o", "x.jpg"), "no PNG"),
    ],
)
def test_bad_input(tmp_path: Path, painted: list[PictureRequest], more: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        picture.run(words(str(write(tmp_path / "door.wav")), "--json", *more))
    assert not painted
