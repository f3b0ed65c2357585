# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall generate --text``: what is asked of the worker, and what is refused before it is started."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.messages import Clip, FoleyRequest, Provenance, Result
from footfall.cli import generate
from footfall.cli.__main__ import main
from PIL import Image


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[FoleyRequest]:
    """Every request that would have gone to a worker; each is answered with a short click."""
    found: list[FoleyRequest] = []

    def answer(request: FoleyRequest, *_: Any) -> Result:
        found.append(request)
        samples = round(request.duration_s * request.rate_hz)
        clip = Clip(
            take=0,
            layer="bed",
            start_s=Fraction(0),
            rate_hz=request.rate_hz,
            waveform=np.full((samples, 1), 0.25, np.float32),
        )
        story = Provenance(
            bundle=request.bundle,
            bundle_sha256="0" * 64,
            licence="CC0-1.0",
            commercial=True,
            mapper="none",
            version="1",
            device="CPU",
            dtype="float32",
            steps=1,
            guidance=1.0,
        )
        return Result(job_id="0" * 32, clips=(clip,), provenance=story)

    monkeypatch.setattr(generate, "run_job", answer)
    monkeypatch.chdir(tmp_path)
    return found


def test_words_need_no_input(asked: list[FoleyRequest], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--text", "thunder far away", "--json"]) == 0
    (request,) = asked
    assert (request.prompt, request.condition, request.bundle) == ("thunder far away", "clap_text", "starter")
    assert request.duration_s == 5
    assert len(request.frames) == len(request.times_s) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == ["sound.wav"]
    assert Path("sound.wav").is_file()


def test_they_take_a_length_layers_and_nudges(asked: list[FoleyRequest]) -> None:
    words = ["--text", "雷", "--seconds", "1.5", "-o", "x.wav", "--pull", "rain=-1", "--negative", "wind"]
    assert main(["generate", *words]) == 0
    assert asked[0].duration_s == Fraction(3, 2)
    assert (asked[0].prompt, asked[0].negative_prompt, asked[0].pulls[0].words) == ("雷", "wind", "rain")


def test_with_input_the_picture_gives_its_length_alone(asked: list[FoleyRequest]) -> None:
    Image.new("RGB", (64, 48)).save("still.png")
    assert main(["generate", "still.png", "--text", "rain", "-o", "x.wav"]) == 0
    assert main(["generate", "still.png", "--prompt", "rain", "-o", "x.wav"]) == 0
    unseen, seen = asked
    assert (len(unseen.frames), len(seen.frames)) == (0, 1)
    assert unseen.duration_s == seen.duration_s
    assert (unseen.condition, seen.condition) == ("clap_text", "picture")


def test_the_way_can_be_chosen(asked: list[FoleyRequest]) -> None:
    for way, condition in (("clap", "clap_text"), ("clip", "clip_text"), ("prior", "clip_text_prior")):
        assert main(["generate", "--text", "rain", "--words-through", way, "-o", "x.wav"]) == 0
        assert asked[-1].condition == condition


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "--text"),
        (["--text", ""], 3, "write what is to be heard"),
        (["--text", "word " * 5000], 3, "too long"),
        (["--text", "a \x1b[31mred bell"], 3, "control characters"),
        (["--text", "rain", "--prompt", "wind"], 2, "--prompt"),
        (["--text", "rain", "--start", "1"], 2, "--seconds"),
        (["--text", "rain", "--mux", "x.mp4"], 2, "--mux"),
        (["--text", "rain", "--seconds", "0"], 3, "more than 0"),
        (["--text", "rain", "--seconds", "99999"], 2, "--seconds"),
        (["--text", "rain", "--events", "pixels"], 2, "--events"),
        (["still.png", "--text", "rain", "--seconds", "2"], 2, "--start"),
        (["--text", "rain", "--model", "nowhere"], 4, "nowhere"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_what_cannot_be_is_a_sentence(
    asked: list[FoleyRequest], capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    Image.new("RGB", (64, 48)).save("still.png")
    assert main(["generate", *words, "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert said in report["error"]
    assert not asked
