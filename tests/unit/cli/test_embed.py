# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall embed``: its options, what it prints, and a whole run with a real, tiny bundle."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from footfall.addon.wire.errors import BadInput
from footfall.cli import embed
from footfall.cli.progress import ProgressLine
from footfall.tests.fakes.films import tone, write_film


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    embed.add_parser(parser.add_subparsers())
    return parser.parse_args(["embed", *words])


def test_a_run_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from footfall.server.models.random_bundle import write_random_bundle
    from footfall.server.train.pairs import read_pairs

    write_random_bundle("audioldm-s-full-v2", tmp_path / "models" / "tiny", tiny=True)
    videos = tmp_path / "videos"
    videos.mkdir()
    write_film(videos / "a.mkv", times_s=(0.0, 0.1), sound=tone(0.2, 44_100), rate_hz=44_100, layout="stereo")
    write_film(videos / "b.mkv")
    words = (
        str(videos),
        "--model",
        "tiny",
        "--models",
        str(tmp_path / "models"),
        "--out",
        str(tmp_path / "out"),
    )
    assert embed.run(parse(*words, "--frames", "2", "--device", "cpu", "--json")) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["files"], said["done"], said["pairs"]) == (True, 2, 1, 1)
    assert [(row["file"], row["reason"]) for row in said["skipped"]] == [("b.mkv", "no sound")]
    frames, heard = read_pairs(tmp_path / "out").take([0])
    assert frames.shape == (1, 2, 512)
    assert heard.shape == (1, 512)
    assert embed.run(parse(*words, "--frames", "2", "--device", "cpu")) == 0
    out = capsys.readouterr().out
    assert "1 pairs of 1 videos" in out
    assert "skipped b.mkv: no sound. b.mkv has no sound." in out


@pytest.mark.parametrize(
    "wrong", [("--frames", "0"), ("--seconds", "0.01"), ("--windows", "0"), ("--limit", "0")]
)
def test_impossible_numbers(tmp_path: Path, wrong: tuple[str, str]) -> None:
    with pytest.raises(BadInput):
        embed.run(parse(str(tmp_path), "--model", "x", "--out", str(tmp_path), *wrong))


def test_no_videos_are_told_before_any_model_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no videos"):
        embed.run(parse(str(tmp_path), "--model", "no such model", "--out", str(tmp_path / "out")))


@pytest.mark.parametrize(("folder", "said"), [("gone", "There is no folder"), (".", "holds no videos")])
def test_a_folder_without_videos_costs_no_library(tmp_path: Path, folder: str, said: str) -> None:
    code = f"""
import sys
from footfall.cli.__main__ import main
code = main(["embed", {str(tmp_path / folder)!r}, "--model", "starter", "--out", {str(tmp_path / "out")!r}])
print(code, sorted({{"torch", "transformers", "open_clip"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said in done.stderr
    assert done.stdout == "3 []\n"


def test_time_left_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLine() as line:
        teller = embed.Teller(line)
        for done in range(41, 101):
            teller(done, 100, "x.mp4")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(" 41% 41 of 100 videos, ")
    assert lines[-1] == "100% 100 of 100 videos, 0:00 left"
    assert len(lines) == 2


@pytest.mark.parametrize(("seconds", "said"), [(0, "0:00"), (59.6, "1:00"), (3700, "1:01:40")])
def test_clock(seconds: float, said: str) -> None:
    assert embed.clock(seconds) == said


def test_long_lists_of_skipped_files_are_cut(tmp_path: Path) -> None:
    row = {"file": "a.mp4", "reason": "damaged", "said": "It cannot be decoded."}
    report = {
        "pairs": 0,
        "done": 0,
        "files": 30,
        "resumed": 0,
        "seconds": 1.0,
        "bad_rows": 2,
        "skipped": [row] * 30,
    }
    lines = embed.table(report, tmp_path).splitlines()
    assert lines[1] == "  2 lines of the list say nothing"
    assert lines[-1].startswith("  and 10 more")
