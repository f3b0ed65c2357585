# SPDX-License-Identifier: GPL-3.0-or-later
"""Stems and broadcast waves: read back, sample for sample, by other people's readers too."""

from __future__ import annotations

import io
import os
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from footfall.addon.sounds import otio_text, stems, wav
from footfall.addon.sounds.stems import Part, Plan
from footfall.addon.timeline import Rate
from footfall.addon.wire.errors import BadInput, SaveError
from hypothesis import given
from hypothesis import strategies as st

RATE = 48_000
STEP = 2.0**-23


def chunks(data: bytes) -> dict[bytes, bytes]:
    """A RIFF file taken apart by its own sizes."""
    assert data[:4] == b"RIFF"
    assert struct.unpack("<L", data[4:8])[0] == len(data) - 8
    found, at = {}, 12
    while at < len(data):
        name, size = data[at : at + 4], struct.unpack("<L", data[at + 4 : at + 8])[0]
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    assert at == len(data)
    return found


def sound(seconds: float, seed: int = 0, channels: int = 1, peak: float = 0.5) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(-peak, peak, (round(seconds * RATE), channels))
    return noise.astype(np.float32)


def saved(path: Path, waveform: np.ndarray) -> Path:
    with path.open("wb") as file:
        wav.write(file, waveform, RATE)
    return path


@given(st.integers(1, 200), st.integers(1, 2), st.integers(0, 2**40))
def test_a_broadcast_wave_reads_back(samples: int, channels: int, start: int) -> None:
    waveform = sound(samples / RATE, channels=channels, peak=1.0)
    file = io.BytesIO()
    stamp = wav.Stamp(description="Łódź shot", reference="r", date="2026-11-22", time="07:15:00", start=start)
    writer = wav.BroadcastWave(file, samples=samples, channels=channels, rate_hz=RATE, stamp=stamp)
    writer.write(waveform[: samples // 2])
    writer.write(waveform[samples // 2 :])
    found = chunks(file.getvalue())
    bext = found[b"bext"]
    assert len(bext) == 602
    assert bext[:9] == b"??d? shot"
    assert bext[256:264] == b"Footfall"
    assert bext[320:338] == b"2026-11-2207:15:00"
    assert struct.unpack("<Q", bext[338:346])[0] == start
    assert struct.unpack("<H", bext[346:348])[0] == 1
    with wave.open(io.BytesIO(file.getvalue())) as reader:
        assert (reader.getnframes(), reader.getnchannels(), reader.getsampwidth()) == (samples, channels, 3)


def test_other_readers_agree(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    waveform = sound(0.5, channels=2)
    with (tmp_path / "a.wav").open("wb") as file:
        writer = wav.BroadcastWave(
            file, samples=len(waveform), channels=2, rate_hz=RATE, stamp=wav.Stamp(start=RATE)
        )
        writer.write(waveform)
    read, rate = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert rate == RATE
    assert np.abs(read - waveform).max() <= STEP


@pytest.mark.parametrize("width", [2, 3, 4])
def test_reading_pcm(tmp_path: Path, width: int) -> None:
    steps = np.array([0, 1, -1, 2 ** (8 * width - 1) - 1, -(2 ** (8 * width - 1))], "<i8")
    octets = steps.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    with wave.open(str(tmp_path / "a.wav"), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(width)
        writer.setframerate(RATE)
        writer.writeframes(octets)
    read, _ = wav.read(tmp_path / "a.wav", 0, 99)
    assert np.allclose(read[:, 0], steps / 2.0 ** (8 * width - 1), atol=1e-7)
    assert len(wav.read(tmp_path / "a.wav", 3, 99)[0]) == 2
    assert len(wav.read(tmp_path / "a.wav", 99, 99)[0]) == 0


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFFnonsense")
    with pytest.raises(SaveError, match="generate it again"):
        wav.read(tmp_path / "a.wav", 0, 1)


def plan(folder: Path, groups: dict[str, list[Part]], seconds: float = 5.0) -> Plan:
    return Plan(
        stems=groups, samples=round(seconds * RATE), rate_hz=RATE, target=folder / "A.wav", stamp=wav.Stamp()
    )


def test_parts_lie_where_they_belong_and_stems_add_up(tmp_path: Path) -> None:
    bed, spot = sound(4.0), sound(1.0, seed=1, channels=2, peak=0.3)
    bed_path, spot_path = saved(tmp_path / "bed.wav", bed), saved(tmp_path / "spot.wav", spot)
    groups = {
        "bed": [Part(path=bed_path, start=RATE, count=3 * RATE, skip=RATE // 2, gain=0.5)],
        "spots-glass": [
            Part(path=spot_path, start=100, count=len(spot)),
            Part(path=spot_path, start=2 * RATE - 7, count=len(spot), gain=0.25),  # across two pieces
        ],
        "nothing": [],
    }
    files = stems.export(plan(tmp_path, groups))
    assert [path.name for path in files.values()] == ["A.bed.wav", "A.spots-glass.wav", "A.mix.wav"]
    read = {name: wav.read(path, 0, 10 * RATE)[0] for name, path in files.items()}
    assert all(stem.shape == (5 * RATE, 2) for stem in read.values())
    expected = np.zeros((5 * RATE, 2), np.float32)
    expected[RATE : 4 * RATE] = 0.5 * bed[RATE // 2 : RATE // 2 + 3 * RATE]
    assert np.abs(read["bed"] - expected).max() < 3 * STEP
    spots = np.zeros_like(expected)
    spots[100 : 100 + RATE] += spot
    spots[2 * RATE - 7 : 3 * RATE - 7] += 0.25 * spot
    assert np.abs(read["spots-glass"] - spots).max() < 3 * STEP
    assert np.abs(read["mix"] - expected - spots).max() < 4 * STEP
    assert not list(tmp_path.glob(".*"))


def test_too_loud_a_mix_turns_every_stem_down_alike(tmp_path: Path) -> None:
    loud = saved(tmp_path / "loud.wav", np.full((RATE, 1), 0.9, np.float32))
    groups = {name: [Part(path=loud, start=0, count=RATE)] for name in ("bed", "spots")}
    files = stems.export(plan(tmp_path, groups, 1.0))
    read = {name: wav.read(path, 0, RATE)[0] for name, path in files.items()}
    assert float(read["mix"].max()) == pytest.approx(stems.CEILING, abs=1e-4)
    assert np.abs(read["bed"] + read["spots"] - read["mix"]).max() < 4 * STEP


def test_a_sound_that_is_gone_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = saved(tmp_path / "bed.wav", sound(4.0))
    work = stems.Export(plan(tmp_path, {"bed": [Part(path=path, start=0, count=4 * RATE)]}, 4.0))
    for _ in range(3):  # two pieces looked at, one written
        assert work.step()
    path.unlink()
    with pytest.raises(SaveError, match="generate it again"):
        work.step()
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_export_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no sound"):
        stems.export(plan(tmp_path, {"bed": []}))


class TestTimelineFile:
    def test_its_own_package_reads_it(self, tmp_path: Path) -> None:
        otio = pytest.importorskip("opentimelineio")
        rate = Rate(24, 1.001)
        bed = tmp_path / "footfall" / "a b.wav"
        clips = [
            otio_text.TrackClip(name="one", path=bed, start=101, frames=24, length=30),
            otio_text.TrackClip(name="two", path=bed, start=135, frames=10, skip=5, length=30, heard=False),
        ]
        film = otio_text.TrackClip(name="film", path=Path("/elsewhere/film.mp4"), start=101, frames=48)
        tracks = [
            otio_text.Track(name="Picture", clips=[film], kind="Video"),
            otio_text.Track(name="Footfall bed", clips=clips),
        ]
        path = tmp_path / "a.otio"
        path.write_text(otio_text.text("Shot", rate, 101, tracks, tmp_path), "utf-8")
        timeline = otio.adapters.read_from_file(str(path))
        assert timeline.global_start_time == otio.opentime.RationalTime(101, 24 / 1.001)
        (picture,), (sounds,) = timeline.video_tracks(), timeline.audio_tracks()
        assert picture[0].media_reference.target_url == "file:///elsewhere/film.mp4"
        one, gap, two = sounds
        assert one.media_reference.target_url == "footfall/a%20b.wav"
        assert gap.duration().value == 10
        assert two.range_in_parent().start_time.value == 34
        assert two.source_range.start_time.value == 5
        assert not two.enabled
        assert timeline.duration().value == 48

    def test_what_overlaps_is_cut_and_nothing_is_moved(self, tmp_path: Path) -> None:
        otio = pytest.importorskip("opentimelineio")
        clips = [
            otio_text.TrackClip(name="b", path=tmp_path / "b.wav", start=10, frames=10),
            otio_text.TrackClip(name="a", path=tmp_path / "a.wav", start=-5, frames=20),
        ]
        track = otio_text.Track(name="x", clips=clips)
        text = otio_text.text("t", Rate(25), 1, [track], tmp_path)
        a, b = otio.adapters.read_from_string(text, "otio_json").tracks[0]
        assert (a.source_range.start_time.value, a.duration().value) == (6, 14)
        assert (b.source_range.start_time.value, b.duration().value) == (5, 5)


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_no_stem(tmp_path: Path) -> None:
    """What waits in the files' buffers cannot be written either when they are closed."""
    from footfall.tests.fakes.small_disk import small_disk

    source = saved(tmp_path / "source.wav", sound(1.0))
    folder = tmp_path / "out"
    parts = [Part(path=source, start=0, count=RATE)]
    stamp = wav.Stamp()
    plan = Plan(
        stems={"bed": parts, "spots": parts}, samples=RATE, rate_hz=RATE, target=folder / "a.wav", stamp=stamp
    )
    for most_bytes in (0, 1000, 100_000):
        with small_disk(most_bytes), pytest.raises(SaveError, match="make room there"):
            stems.export(plan)
        assert list(folder.iterdir()) == []
    assert len(stems.export(plan)) == 3
