# SPDX-License-Identifier: GPL-3.0-or-later
"""Films and pictures by time: each frame read is the one on screen at its moment, whatever the rate."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from footfall.addon.options import Parser
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.cli import generate
from footfall.cli.media import Span, read_shot
from footfall.cli.mux import mux_film, mux_pictures
from footfall.cli.sound_files import read_sound

SIZE = 64


def grey(level: int) -> np.ndarray:
    return np.full((SIZE, SIZE, 3), level, np.uint8)


def write_film(
    path: Path,
    times: list[Fraction],
    levels: list[int],
    base: Fraction = Fraction(1, 90_000),
    rate: Fraction = Fraction(25),
) -> None:
    """A film whose frames begin at ``times``, each of one grey level; variable rates are just odd times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "bgr0"
        stream.codec_context.time_base = base
        for time, level in zip(times, levels, strict=True):
            frame = av.VideoFrame.from_ndarray(grey(level), format="rgb24").reformat(format="bgr0")
            frame.pts, frame.time_base = int(time / base), base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_picture(path: Path, level: int) -> None:
    with av.open(str(path), "w", format="image2") as container:
        stream = container.add_stream("png", rate=1)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(level), format="rgb24")))
        container.mux(stream.encode(None))


def shown_at(times: list[Fraction], levels: list[int], moment: float) -> int:
    return [level for time, level in zip(times, levels, strict=True) if time <= moment + 1e-9][-1]


@pytest.mark.parametrize(
    "fps", [Fraction(24000, 1001), 24, 25, Fraction(30000, 1001), 30, 48, Fraction(60000, 1001)]
)
def test_each_frame_is_the_one_on_screen(tmp_path: Path, fps: Fraction) -> None:
    levels = [(7 * index) % 250 for index in range(60)]
    times = [Fraction(round(1000 * index / fps), 1000) for index in range(60)]  # Matroska keeps milliseconds
    write_film(tmp_path / "film.mkv", times, levels)
    shot = read_shot(tmp_path / "film.mkv", Span(per_second=7.0))
    assert len(shot.frames) == len(shot.times_s) > 5
    for frame, moment in zip(shot.frames, shot.times_s, strict=True):
        assert abs(int(frame.mean()) - shown_at(times, levels, moment)) <= 1


def test_variable_rate_and_part_of_a_film(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 40, 500, 520, 1400, 1900, 2000, 2960)]
    levels = [10, 40, 70, 100, 130, 160, 190, 220]
    write_film(tmp_path / "film.mkv", times, levels, Fraction(1, 1000))
    shot = read_shot(tmp_path / "film.mkv", Span(start_s=Fraction(1, 2), end_s=Fraction(2), per_second=4.0))
    assert shot.duration_s == Fraction(3, 2)
    for frame, moment in zip(shot.frames, shot.times_s, strict=True):
        assert abs(int(frame.mean()) - shown_at(times, levels, moment + 0.5)) <= 1


def test_folder_of_pictures_and_a_still(tmp_path: Path) -> None:
    for index in range(12):
        write_picture(tmp_path / f"{index:04}.png", 20 * index)
    shot = read_shot(tmp_path, Span(per_second=4.0, folder_fps=Fraction(12)))
    assert shot.duration_s == 1
    assert [round(float(f.mean()) / 20) for f in shot.frames] == [int(t * 12) for t in shot.times_s]
    still = read_shot(tmp_path / "0003.png", Span())
    assert len(still.frames) == 1
    assert still.duration_s == 5
    assert abs(float(still.frames.mean()) - 60) <= 1


def test_a_broken_picture_among_many_is_named_and_hidden_ones_are_not_looked_at(tmp_path: Path) -> None:
    for index in range(4):
        write_picture(tmp_path / f"{index:04}.png", 20 * index)
    (tmp_path / "._0000.png").write_bytes(b"what macOS puts beside a file")
    assert read_shot(tmp_path, Span(folder_fps=Fraction(4))).duration_s == 1
    (tmp_path / "0002.png").write_bytes(b"")
    with pytest.raises(BadInput, match=r"0002\.png"):
        read_shot(tmp_path, Span(folder_fps=Fraction(4)))


@pytest.mark.skipif(os.name != "posix", reason="a name that Windows does not have")
def test_names_with_a_colon_are_no_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_film(tmp_path / "12:30.mkv", [Fraction(0), Fraction(1, 2)], [10, 20])
    write_picture(tmp_path / "file:1.png", 60)
    soundfile.write("12:30.wav", np.zeros(4800), 48_000)
    assert len(read_shot(Path("12:30.mkv"), Span()).frames)
    assert len(read_shot(Path("file:1.png"), Span()).frames)
    assert read_sound(Path("12:30.wav")).duration_s == Fraction(1, 10)
    mux_film(Path("12:30.mkv"), Path("12:30.wav"), Path("http:new.mkv"))
    mux_pictures([Path("file:1.png")], Fraction(1), Path("12:30.wav"), Path("http:new.mp4"))
    assert {path.name for path in tmp_path.glob("*new*")} == {"http:new.mkv", "http:new.mp4"}


def test_a_part_that_is_too_short_is_told_in_seconds(tmp_path: Path) -> None:
    write_picture(tmp_path / "0.png", 20)
    with pytest.raises(BadInput, match="too short"):
        read_shot(tmp_path, Span(folder_fps=Fraction(500)))


def test_a_film_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    write_film(tmp_path / "film.mkv", [Fraction(0), Fraction(1, 2)], [10, 20])
    (tmp_path / "out.mkv").write_bytes(b"an older one")
    (tmp_path / "sound.wav").write_bytes(b"no sound")
    with pytest.raises((SaveError, soundfile.LibsndfileError)):
        mux_film(tmp_path / "film.mkv", tmp_path / "sound.wav", tmp_path / "out.mkv")
    assert (tmp_path / "out.mkv").read_bytes() == b"an older one"
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("content", [b"", b"not a film at all", b"\x00" * 5000])
@pytest.mark.parametrize("name", ["film.mp4", "picture.png", "film.txt"])
def test_rubbish_is_refused_in_a_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInput, match=name):
        read_shot(tmp_path / name, Span())


def test_missing_empty_and_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file"):
        read_shot(tmp_path / "nothing.mp4", Span())
    with pytest.raises(BadInput, match="no pictures"):
        read_shot(tmp_path, Span())
    write_film(tmp_path / "film.mkv", [Fraction(0), Fraction(1, 2)], [10, 20])
    with pytest.raises(BadInput, match="between --start and --end"):
        read_shot(tmp_path / "film.mkv", Span(start_s=Fraction(7)))


def test_sound_only_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "sound.wav", np.zeros(4800), 48_000)
    with pytest.raises(BadInput, match="no picture"):
        read_shot(tmp_path / "sound.wav", Span())


def test_mux_keeps_the_picture_and_adds_the_sound(tmp_path: Path) -> None:
    times = [Fraction(index, 25) for index in range(25)]
    write_film(tmp_path / "film.mkv", times, [10 * index for index in range(25)])
    soundfile.write(tmp_path / "sound.wav", 0.1 * np.ones((48_000, 2)), 48_000)
    mux_film(tmp_path / "film.mkv", tmp_path / "sound.wav", tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.audio[0].channels == 2
        frames = list(container.decode(video=0))
    assert [int(f.to_ndarray(format="rgb24").mean()) for f in frames] == [10 * index for index in range(25)]
    assert not list(tmp_path.glob(".*part*"))


def test_what_is_heard_of_a_film_does_not_clip(tmp_path: Path) -> None:
    """AAC may come out a decibel higher than what went in, so there must be more than that above it."""
    at = np.arange(4_800)[:, None] / 48_000
    strike = np.exp(-60.0 * at) * np.cos(2 * np.pi * at * np.linspace(150.0, 4_000.0, 12)).sum(
        1, keepdims=True
    )
    sound = np.tile(np.concatenate((np.zeros((1_200, 1)), strike / np.abs(strike).max())), (16, 2))
    soundfile.write(tmp_path / "sound.wav", sound, 48_000, "PCM_24")
    write_film(tmp_path / "film.mkv", [Fraction(index, 25) for index in range(50)], [9] * 50)
    mux_film(tmp_path / "film.mkv", tmp_path / "sound.wav", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        heard = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert 0.6 < np.abs(heard).max() < 0.89


def test_pictures_become_a_film(tmp_path: Path) -> None:
    levels_in = [40 * (index % 6) for index in range(40)]
    paths = [tmp_path / f"{index:02}.png" for index in range(40)]
    for path, level in zip(paths, levels_in, strict=True):
        write_picture(path, level)
    soundfile.write(tmp_path / "sound.wav", np.zeros(12_000), 48_000)
    mux_pictures(paths, Fraction(24), tmp_path / "sound.wav", tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        levels = [float(f.to_ndarray(format="rgb24").mean()) for f in container.decode(video=0)]
    assert levels == pytest.approx(levels_in, abs=3)


def test_small_grey_pictures_of_every_frame(tmp_path: Path) -> None:
    levels = [(7 * index) % 250 for index in range(60)]
    fps = Fraction(30000, 1001)
    times = [Fraction(round(1000 * index / fps), 1000) for index in range(60)]
    write_film(tmp_path / "film.mkv", times, levels, rate=fps)
    shot = read_shot(tmp_path / "film.mkv", Span(per_second=2.0, motion=True))
    assert shot.motion is not None
    assert shot.motion_rate == pytest.approx(fps, abs=0.01)
    assert len(shot.frames) < len(shot.motion)
    assert [int(level) for level in shot.motion[:58, 20, 20]] == pytest.approx(levels[:58], abs=2)
    assert read_shot(tmp_path / "film.mkv", Span()).motion is None


def test_a_rate_that_varies_is_made_even(tmp_path: Path) -> None:
    times = [Fraction(n, 20) for n in range(20)] + [1 + Fraction(n, 40) for n in range(40)]
    levels = [4 * n for n in range(60)]
    write_film(tmp_path / "film.mkv", times, levels)
    shot = read_shot(tmp_path / "film.mkv", Span(motion=True))
    assert shot.motion is not None
    for number, picture in enumerate(shot.motion):
        middle = float((number + Fraction(1, 2)) / shot.motion_rate)
        assert int(picture[0, 0]) == pytest.approx(shown_at(times, levels, middle), abs=2)


def test_a_part_and_a_folder_have_their_grey_pictures(tmp_path: Path) -> None:
    for number in range(24):
        write_picture(tmp_path / f"frame_{number:03}.png", 10 * number)
    told: list[float] = []
    span = Span(
        start_s=Fraction(1, 2), end_s=Fraction(3, 2), folder_fps=Fraction(12), motion=True, tell=told.append
    )
    shot = read_shot(tmp_path, span)
    assert shot.motion is not None
    assert shot.motion_rate == 12
    assert [int(level) for level in shot.motion[:, 5, 5]] == pytest.approx(
        [10 * n for n in range(6, 18)], abs=3
    )
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("words", "looks"),
    [
        ("", False),
        ("--layers bed,spots", True),
        ("--events pixels", True),
        ("--in-sync", True),
        ("--layers spots --events hits.json", False),
    ],
)
def test_hits_are_looked_for_where_they_are_wanted(tmp_path: Path, words: str, looks: bool) -> None:
    parser = Parser()
    generate.add_parser(parser.add_subparsers())
    film = tmp_path / "film.mkv"
    options = parser.parse_args(["generate", str(film), *words.split()])
    assert generate._looks_for_hits(options) is looks
    options = parser.parse_args(["generate", str(film), "--events", "markers"])
    with pytest.raises(BadInput, match=r"--events markers needs a \.blend"):
        generate._looks_for_hits(options)
