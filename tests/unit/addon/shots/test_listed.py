# SPDX-License-Identifier: GPL-3.0-or-later
"""Shots: found from markers, strips and scenes; told apart; compared by their looks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footfall.addon.batch import stored_text
from footfall.addon.shots import listed as shot_list
from footfall.addon.shots.listed import Shot, differ, look
from footfall.addon.sounds.delivery import Stored, deliver
from footfall.addon.sounds.placement import Shot as PlacedShot
from footfall.addon.sounds.save import choose_folder
from footfall.addon.takes.provenance import Asked
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.messages import Clip, Event, Result
from footfall.tests.fakes.stories import MODEL
from hypothesis import given
from hypothesis import strategies as st

WHOLE = FrameRange(1, 100)


def spans(shots: list[Shot]) -> list[tuple[str, int, int]]:
    return [(shot.name, shot.span.start, shot.span.end) for shot in shots]


def test_from_camera_markers() -> None:
    shots = shot_list.from_markers("S", [(50, "b"), (1, "a"), (120, "behind")], WHOLE)
    assert spans(shots) == [("a", 1, 49), ("b", 50, 100)]
    assert shots[0].key == "markers/S/a"


def test_the_camera_that_is_on_before_the_start() -> None:
    shots = shot_list.from_markers("S", [(-20, "old"), (-10, "on"), (30, "next")], WHOLE)
    assert spans(shots) == [("on", 1, 29), ("next", 30, 100)]
    assert shot_list.from_markers("S", [], WHOLE) == []


@given(st.lists(st.tuples(st.integers(-50, 150), st.text(max_size=3)), max_size=20))
def test_markers_cover_each_frame_once(cameras: list[tuple[int, str]]) -> None:
    shots = shot_list.from_markers("S", cameras, WHOLE)
    frames = [frame for shot in shots for frame in range(shot.span.start, shot.span.end + 1)]
    assert frames == list(range(frames[0], 101)) if frames else not [f for f, _ in cameras if f <= 100]
    assert len({shot.key for shot in shots}) == len(shots)


def test_from_strips() -> None:
    strips = [("upper", 10, 20), ("lower", 10, 20), ("empty", 5, 5), ("x", 40, 50), ("x", 30, 40)]
    shots = shot_list.from_strips("movie_strips", "S", strips)
    assert spans(shots) == [("upper", 10, 19), ("x", 30, 39), ("x (2)", 40, 49)]
    assert all(shot.sequencer for shot in shots)


def test_words_and_seeds() -> None:
    assert shot_list.own_words("rain", " wet gravel ") == "rain, wet gravel"
    assert shot_list.own_words("", "gravel") == "gravel"
    seeds = {shot_list.own_seed("a.blend", f"markers/S/{number}") for number in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert shot_list.own_seed("a", "b") == shot_list.own_seed("a", "b")


def pictures(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (5, 36, 64, 3), np.uint8)


class TestLook:
    def test_a_renders_noise_is_no_change(self) -> None:
        frames = pictures()
        noise = np.random.default_rng(9).integers(-3, 4, frames.shape)
        noisy = np.clip(frames.astype(int) + noise, 0, 255).astype(np.uint8)
        assert not differ(look(frames), look(noisy))

    def test_a_thing_that_moves_in_one_picture_is_a_change(self) -> None:
        frames = np.zeros((5, 36, 64, 3), np.uint8)
        before = look(frames)
        frames[3, 10:20, 20:40] = 255
        assert differ(before, look(frames))

    def test_a_hit_that_moves_is_a_change(self) -> None:
        frames = pictures()
        hit = Event(time_s=Fraction(1), kind="impact", words="glass")
        later = Event(time_s=Fraction(3, 2), kind="impact", words="glass")
        assert differ(look(frames, [hit]), look(frames, [later]))
        assert not differ(look(frames, [hit]), look(frames, [hit]))

    def test_shots_that_nobody_looks_at_differ_by_their_hits(self) -> None:
        hit = Event(time_s=Fraction(1, 2), words="wood")
        nothing = np.zeros((0, 8, 8, 3), np.uint8)
        assert not differ(look(nothing), look(nothing))
        assert differ(look(nothing), look(nothing, [hit]))
        assert differ(look(nothing), look(pictures()))
        assert differ(look(pictures()), look(nothing))

    @given(st.text(max_size=60))
    def test_what_cannot_be_read_differs(self, text: str) -> None:
        assert differ(text, look(pictures()))


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    clips = tuple(
        Clip(
            take=take,
            layer=layer,
            start_s=Fraction(1, 3),
            rate_hz=48_000,
            waveform=np.full((4_800, 1), 0.25, np.float32),
            label="glass",
        )
        for take in range(2)
        for layer in ("bed", "spots")
    )
    result = Result(job_id="0123456789abcdef" * 2, clips=clips, provenance=MODEL)
    shot = PlacedShot(start_frame=Fraction(7), rate=Rate(24, 1.001))
    return deliver(result, shot, Asked(settings={"seed": 7}), choose_folder("", str(tmp_path), tmp_path))


class TestStoredText:
    def test_it_comes_back_as_it_was(self, stored: Stored, tmp_path: Path) -> None:
        text = stored_text.write(stored, tmp_path)
        assert str(tmp_path) not in text.replace(stored.sentence, "")
        assert stored_text.read(text, tmp_path) == stored

    def test_the_folder_may_move(self, stored: Stored, tmp_path: Path) -> None:
        text = stored_text.write(stored, tmp_path)
        other = tmp_path.with_name("moved")
        tmp_path.rename(other)
        try:
            found = stored_text.read(text, other)
            assert found is not None
            assert all(item.path.parent == other for item in found.strips)
        finally:
            other.rename(tmp_path)

    def test_a_file_that_is_gone(self, stored: Stored, tmp_path: Path) -> None:
        text = stored_text.write(stored, tmp_path)
        stored.strips[0].path.unlink()
        assert stored_text.read(text, tmp_path) is None
        assert stored_text.read(text, tmp_path, files_needed=False) == stored

    def test_damage_is_no_sound(self, stored: Stored, tmp_path: Path) -> None:
        text = stored_text.write(stored, tmp_path)
        for at in range(0, len(text), 7):
            for broken in (text[:at], text[:at] + text[at + 3 :], text[:at] + "0" + text[at:]):
                found = stored_text.read(broken, tmp_path, files_needed=False)
                assert found is None or isinstance(found, Stored)
