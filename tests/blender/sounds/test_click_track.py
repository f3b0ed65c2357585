# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a sound heard where it belongs? Measured in what Blender itself mixes, at every frame rate."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import mixdown, placing
from footfall.addon.timeline import Rate

RATE_HZ = 48_000
RATES = {
    "23.976": (24, 1.001),
    "24": (24, 1.0),
    "25": (25, 1.0),
    "29.97": (30, 1.001),
    "30": (30, 1.0),
    "48": (48, 1.0),
    "59.94": (60, 1.001),
    "60": (60, 1.0),
    "24 as 12 over a half": (12, 0.5),
    "23 over 0.959": (23, 0.959),
}
CLICK = 480  # samples; long enough to be found, and wide apart from the next one

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path) -> Iterator[None]:
    """Ten minutes of sound are 200 MB with their mix; they are not kept."""
    yield
    shutil.rmtree(tmp_path)


def scene_at(fps: int, base: float, start: int, frames: int) -> tuple[Any, Rate]:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, base
    scene.frame_start, scene.frame_end = start, start + frames - 1
    return scene, sequencer.scene_rate(scene)


def clicks(length: int, at: list[int]) -> np.ndarray:
    """(length, 1) float32 silence with a click at each sample of ``at``."""
    track = np.zeros((length, 1), np.float32)
    for place in at:
        track[place : place + CLICK] = 0.9
    return track


def read_float_wav(path: Path) -> np.ndarray:
    """(n,) float32 of a mono float WAV."""
    data = path.read_bytes()
    place = 12
    while data[place : place + 4] != b"data":
        place += 8 + struct.unpack("<L", data[place + 4 : place + 8])[0]
    size = struct.unpack("<L", data[place + 4 : place + 8])[0]
    return np.frombuffer(data[place + 8 : place + 8 + size], "<f4")


def onsets_s(track: np.ndarray) -> np.ndarray:
    """Seconds at which a click begins."""
    loud = np.abs(track) > 0.3
    begins = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    return begins / RATE_HZ


def mixed(scene: Any, folder: Path) -> np.ndarray:
    path = mixdown.mixdown(scene, folder / "mix.wav", rate_hz=RATE_HZ, channels="MONO")
    return read_float_wav(path)


def compare(found: np.ndarray, expected_s: list[Fraction], rate: Rate, note: Callable[..., None]) -> None:
    """Every click once, each at most half a frame off."""
    assert len(found) == len(expected_s)
    errors_ms = (found - np.array([float(s) for s in expected_s])) * 1000
    half_frame_ms = float(rate.seconds(1)) * 500
    worst, drift = float(np.abs(errors_ms).max()), float(errors_ms[-1] - errors_ms[0])
    note(f"onset error {worst:.3f} ms of {half_frame_ms:.2f} allowed, first to last {drift:+.3f} ms")
    assert np.abs(errors_ms).max() <= half_frame_ms


@pytest.mark.parametrize(("fps", "base"), RATES.values(), ids=RATES)
@pytest.mark.parametrize("start", [1, 101])
def test_hits_on_frames(
    fps: int, base: float, start: int, tmp_path: Path, sound: Any, store: Any, measured: Any
) -> None:
    """One spot per hit, each on a whole frame of a shot that starts at ``start``."""
    scene, rate = scene_at(fps, base, start, frames=fps * 6)
    frames = [1 + 7 * n for n in range(fps * 5 // 7)]
    spots = [
        sound(rate.seconds(f), layer="spots", waveform=clicks(4_000, [0])) for f in frames if f < fps * 5
    ]
    placing.place(store(spots, rate, start), placing.home(scene))
    expected = [rate.seconds(f) for f in frames if f < fps * 5]
    compare(onsets_s(mixed(scene, tmp_path)), expected, rate, measured)


@pytest.mark.parametrize(("fps", "base"), RATES.values(), ids=RATES)
def test_hits_between_frames(
    fps: int, base: float, tmp_path: Path, sound: Any, store: Any, measured: Any
) -> None:
    """The rest of a frame is silence in the file, so the error stays far below half a frame."""
    scene, rate = scene_at(fps, base, 33, frames=int(rate_frames(fps, base, 6)))
    times = [Fraction(n * 2003, 8_000) + Fraction(1, 97) for n in range(20)]
    spots = [sound(t, layer="spots", waveform=clicks(4_000, [0])) for t in times]
    placing.place(store(spots, rate, 33), placing.home(scene))
    found = onsets_s(mixed(scene, tmp_path))
    compare(found, times, rate, measured)
    early = found - np.array([float(t) for t in times])
    # Blender's mixer may swallow the first 2 or 3 ms of a strip; it never plays one early.
    assert early.min() > -2 / RATE_HZ
    assert early.max() < 0.003


@pytest.mark.parametrize(("fps", "base"), RATES.values(), ids=RATES)
def test_ten_minutes_without_drift(
    fps: int, base: float, tmp_path: Path, sound: Any, store: Any, measured: Any
) -> None:
    """One bed of ten minutes with a click every 20 seconds, in a scene that starts at 101."""
    scene, rate = scene_at(fps, base, 101, frames=int(rate_frames(fps, base, 600)))
    at = [RATE_HZ * 20 * n + 1_000 for n in range(30)]
    bed = sound(0, waveform=clicks(rate.samples(scene.frame_end - 100, RATE_HZ), at))
    placing.place(store([bed], rate, 101), placing.home(scene))
    found = onsets_s(mixed(scene, tmp_path))
    compare(found, [Fraction(place, RATE_HZ) for place in at], rate, measured)
    assert abs((found[-1] - found[0]) - (at[-1] - at[0]) / RATE_HZ) < 0.0005


@pytest.mark.parametrize(("fps", "base"), RATES.values(), ids=RATES)
def test_spots_over_ten_minutes(
    fps: int, base: float, tmp_path: Path, sound: Any, store: Any, measured: Any
) -> None:
    """The last of many strips is as exact as the first."""
    scene, rate = scene_at(fps, base, 101, frames=int(rate_frames(fps, base, 600)))
    times = [Fraction(1, 3) + n * Fraction(599, 20) for n in range(21)]
    spots = [sound(t, layer="spots", waveform=clicks(4_000, [0])) for t in times]
    placing.place(store(spots, rate, 101), placing.home(scene))
    found = onsets_s(mixed(scene, tmp_path))
    compare(found, times, rate, measured)
    assert abs((found[-1] - found[0]) - float(times[-1] - times[0])) < 0.003


def rate_frames(fps: int, base: float, seconds: int) -> Fraction:
    return Rate(fps, base).frames(seconds)


def test_shot_between_two_frames(tmp_path: Path, sound: Any, store: Any, measured: Any) -> None:
    scene, rate = scene_at(25, 1.0, 10, frames=100)
    placing.place(store([sound(0, waveform=clicks(9_600, [0]))], rate, Fraction(61, 2)), placing.home(scene))
    compare(onsets_s(mixed(scene, tmp_path)), [rate.seconds(Fraction(41, 2))], rate, measured)


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 96_000])
def test_other_sample_rates(rate_hz: int, tmp_path: Path, sound: Any, store: Any, measured: Any) -> None:
    scene, rate = scene_at(30, 1.001, 7, frames=200)
    times = [Fraction(n, 3) + Fraction(1, 50) for n in range(15)]
    spots = [
        sound(t, layer="spots", rate_hz=rate_hz, waveform=np.full((rate_hz // 50, 1), 0.9, np.float32))
        for t in times
    ]
    placing.place(store(spots, rate, 7), placing.home(scene))
    compare(onsets_s(mixed(scene, tmp_path)), times, rate, measured)


def test_time_remapping_moves_no_sound(tmp_path: Path, sound: Any, store: Any, measured: Any) -> None:
    scene, rate = scene_at(24, 1.0, 1, frames=100)
    scene.render.frame_map_old, scene.render.frame_map_new = 100, 200
    placing.place(store([sound(2, waveform=clicks(9_600, [0]))], rate, 1), placing.home(scene))
    compare(onsets_s(mixed(scene, tmp_path)), [Fraction(2)], rate, measured)


def test_muted_takes_are_not_heard(tmp_path: Path, sound: Any, store: Any, measured: Any) -> None:
    scene, rate = scene_at(24, 1.0, 1, frames=100)
    takes = [sound(t, take=t, waveform=clicks(9_600, [0])) for t in range(3)]
    placing.place(store(takes, rate, 13), placing.home(scene))
    compare(onsets_s(mixed(scene, tmp_path)), [Fraction(1, 2)], rate, measured)
