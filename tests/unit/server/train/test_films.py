# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows out of films of every kind: any layout, any rate, any length, turned, gappy, and damaged."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from footfall.server.train.films import RATE_HZ, Unusable, Wanted, read_windows, spans
from footfall.tests.fakes.films import tone, turn, write_film
from hypothesis import given
from hypothesis import strategies as st

SMALL = Wanted(seconds=1.0, windows=3, frames=4, side=16)


def pitch(sound: np.ndarray) -> float:
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * RATE_HZ / len(sound))


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "quad", "5.1", "7.1"])
def test_any_number_of_speakers(tmp_path: Path, layout: str) -> None:
    film = write_film(tmp_path / "film.mkv", sound=tone(2.0, 48_000), rate_hz=48_000, layout=layout)
    windows = read_windows(film, SMALL)
    assert [window.start_s for window in windows] == pytest.approx([0.0, 1.0], abs=0.01)
    for window in windows:
        assert len(window.sound) == RATE_HZ
        assert pitch(window.sound) == pytest.approx(440.0, abs=2.0)
        assert window.frames.shape == (4, 16, 16, 3)
        assert window.frames.dtype == np.uint8


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 22_050, 44_100, 96_000])
def test_any_rate(tmp_path: Path, rate_hz: int) -> None:
    film = write_film(tmp_path / "film.mkv", sound=tone(2.0, rate_hz), rate_hz=rate_hz)
    for window in read_windows(film, SMALL):
        assert len(window.sound) == pytest.approx(RATE_HZ, abs=2)
        assert pitch(window.sound) == pytest.approx(440.0, abs=2.0)
        # The tone goes on without a click where Matroska rounds its time stamps to milliseconds.
        assert float(np.abs(np.diff(window.sound[200:-200])).max()) < 0.05


@pytest.mark.parametrize("codecs", [("mpeg4", "aac"), ("libx264", "aac"), ("mpeg4", "mp3")])
def test_compressed(tmp_path: Path, codecs: tuple[str, str]) -> None:
    film = write_film(
        tmp_path / "film.mp4",
        times_s=[index / 10 for index in range(25)],
        sound=tone(2.4, 44_100),
        rate_hz=44_100,
        layout="stereo",
        codecs=codecs,
    )
    windows = read_windows(film, SMALL)
    assert len(windows) == 2
    assert pitch(windows[1].sound) == pytest.approx(440.0, abs=2.0)


def test_a_fifth_of_a_second(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", times_s=(0.0, 0.1), sound=tone(0.2, 16_000))
    (window,) = read_windows(film, SMALL)
    assert window.length_s == pytest.approx(0.2, abs=0.01)
    assert len(window.frames) == 4


def test_three_hours_cost_what_is_looked_at(tmp_path: Path) -> None:
    """Pictures and sound here and there in three hours; each window has what is there at its time."""
    wanted = Wanted(seconds=10.0, windows=4, frames=2, side=16)
    starts = [start for start, _ in spans(10_800.0, wanted)]
    times = sorted({*(start + 2.5 * index for start in starts for index in range(4)), 10_799.9})
    levels = [40 + 50 * sum(time >= start for start in starts[1:]) for time in times]
    film = write_film(
        tmp_path / "film.mkv",
        times_s=times,
        levels=levels,
        sound=tone(9.9, 8000),
        rate_hz=8000,
        sound_at_s=starts,
    )
    read: list[float] = []

    def clock() -> float:
        read.append(0.0)
        return 0.0

    windows = read_windows(film, wanted, clock=clock)
    assert [window.start_s for window in windows] == pytest.approx(starts, abs=0.2)
    shades = [float(window.frames.mean()) for window in windows]
    assert shades == pytest.approx([40, 90, 140, 190], abs=8)
    assert len(read) < 2000  # packets and windows, not all of the file for each


def test_a_varying_rate(tmp_path: Path) -> None:
    """Each moment gets the frame on screen, however long frames last."""
    film = write_film(
        tmp_path / "film.mkv",
        times_s=(0.0, 0.05, 0.1, 0.7, 0.72),
        levels=(20, 60, 100, 150, 220),
        sound=tone(1.0, 16_000),
    )
    (window,) = read_windows(film, Wanted(seconds=1.0, windows=3, frames=8, side=16))
    moments = [(index + 0.5) / 8 for index in range(8)]
    shades = [
        20 if t < 0.05 else 60 if t < 0.1 else 100 if t < 0.7 else 150 if t < 0.72 else 220 for t in moments
    ]
    assert window.frames.mean((1, 2, 3)).tolist() == pytest.approx(shades, abs=6)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_films_stand_upright(tmp_path: Path, turns: int) -> None:
    film = tmp_path / "film.mp4"
    with av.open(str(film), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        picture = np.zeros((64, 64, 3), np.uint8)
        picture[:20] = 255  # bright on top
        for _ in range(10):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        samples = tone(1.0, 16_000).astype(np.float32)[None]
        sound = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
        sound.sample_rate = 16_000
        container.mux(audio.encode(sound))
        container.mux(audio.encode(None))
    turn(film, turns)
    (window,) = read_windows(film, Wanted(seconds=1.0, windows=1, frames=1, side=32))
    edges = {
        "top": window.frames[0, :4],
        "right": window.frames[0, :, -4:],
        "bottom": window.frames[0, -4:],
        "left": window.frames[0, :, :4],
    }
    brightest = max(edges, key=lambda name: float(edges[name].mean()))
    assert brightest == ("right", "bottom", "left")[turns - 1]


@pytest.mark.parametrize("size", [(256, 16), (16, 256), (1024, 16)])
def test_narrow_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    film = write_film(tmp_path / "film.mkv", size=size, sound=tone(1.0, 16_000), times_s=(0.0, 0.5))
    assert read_windows(film, SMALL)[0].frames.shape == (4, 16, 16, 3)


def test_no_sound(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="has no sound") as caught:
        read_windows(write_film(tmp_path / "film.mkv"), SMALL)
    assert caught.value.reason == "no sound"


def test_no_picture(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", times_s=(), sound=tone(1.0, 16_000))
    with pytest.raises(Unusable, match="no moving picture"):
        read_windows(film, SMALL)


def test_silence(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", sound=np.zeros(32_000))
    with pytest.raises(Unusable, match="nothing is heard"):
        read_windows(film, SMALL)


def test_silent_windows_are_left_out(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", sound=np.concatenate((np.zeros(16_000), tone(1.0, 16_000))))
    assert [window.start_s for window in read_windows(film, SMALL)] == pytest.approx([1.0], abs=0.01)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no film at all" * 100, bytes(range(256)) * 40])
def test_no_films(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(Unusable) as caught:
        read_windows(path, SMALL)
    assert caught.value.reason == "damaged"


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="cannot be decoded"):
        read_windows(tmp_path / "gone.mp4", SMALL)


def test_cut_short_and_damaged_films(tmp_path: Path) -> None:
    """Whatever bytes are missing or changed: windows or a sentence, and never another error."""
    whole = write_film(tmp_path / "whole.mkv", sound=tone(2.0, 16_000)).read_bytes()
    draw = np.random.default_rng(1)
    usable = 0
    for number in range(12):
        raw = bytearray(whole[: int(len(whole) * draw.uniform(0.2, 1.0))] if number % 2 else whole)
        for place in draw.integers(0, len(raw), 0 if number % 2 else 60):
            raw[place] = int(draw.integers(256))
        path = tmp_path / f"{number}.mkv"
        path.write_bytes(raw)
        try:
            windows = read_windows(path, SMALL)
        except Unusable:
            continue
        usable += 1
        for window in windows:
            assert window.frames.shape == (4, 16, 16, 3)
            assert np.isfinite(window.sound).all()
    assert usable > 2


def test_time_runs_out(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", sound=tone(2.0, 16_000))
    ticks = iter(range(10**6))
    with pytest.raises(Unusable) as caught:
        read_windows(film, SMALL, clock=lambda: float(next(ticks)) * 100.0)
    assert caught.value.reason == "slow"


@given(
    length=st.floats(0.04, 100_000.0),
    seconds=st.floats(0.1, 60.0),
    windows=st.integers(1, 20),
)
def test_windows_lie_inside(length: float, seconds: float, windows: int) -> None:
    found = spans(length, Wanted(seconds=seconds, windows=windows))
    assert 1 <= len(found) <= windows
    ends = [0.0]
    for start, lasts in found:
        assert start >= ends[-1] - 1e-6 * length
        assert 0 < lasts <= seconds
        ends.append(start + lasts)
    assert ends[-1] <= length * (1 + 1e-9)


def test_unknown_length() -> None:
    assert spans(None, SMALL) == [(0.0, 1.0)]
