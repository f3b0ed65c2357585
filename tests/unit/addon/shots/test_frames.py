# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels at the models' size: the right way up, the right colours, and only one copy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from footfall.addon.shots import frames
from footfall.addon.shots.frames import ShotFrames, model_size, to_model
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1080, 1920, (224, 398)),
        (1920, 1080, (398, 224)),
        (224, 224, (224, 224)),
        (858, 2048, (224, 535)),
        (500, 2500, (112, 560)),
        (100, 50, (100, 50)),
        (4, 4, (8, 8)),
        (1, 30_000, (8, 560)),
    ],
)
def test_model_size(height: int, width: int, expected: tuple[int, int]) -> None:
    assert model_size(height, width) == expected


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_model_size_fits_a_message(height: int, width: int) -> None:
    low, high = limits.FRAME_SIDE
    size = model_size(height, width)
    assert all(low <= side <= high for side in size)
    count = frames.most_frames(*size)
    assert 1 <= count <= limits.FRAMES
    assert count * size[0] * size[1] * 3 <= limits.FRAME_BYTES


def test_no_size_is_refused() -> None:
    with pytest.raises(BadInput):
        model_size(0, 100)


def small(pixels: np.ndarray, height: int, width: int, **options: object) -> np.ndarray:
    out = np.full((height, width, 3), 99, np.uint8)
    to_model(pixels, out, **options)
    return out


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_one_colour_stays_that_colour(h: int, w: int, height: int, width: int, value: int) -> None:
    pixels = np.full((h, w, 3), value, np.uint8)
    assert (small(pixels, height, width) == value).all()
    assert (small((pixels / np.float32(255)).astype(np.float32), height, width) == value).all()


def test_the_mean_is_kept_at_odd_ratios() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (101, 173, 4), np.uint8)
    out = small(pixels, 13, 29)
    assert out.reshape(-1, 3).mean(0) == pytest.approx(pixels[:, :, :3].reshape(-1, 3).mean(0), abs=0.5)


def test_area_average_matches_a_plain_loop() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (6, 8, 3), np.uint8)
    expected = pixels.reshape(3, 2, 4, 2, 3).mean((1, 3))
    assert np.abs(small(pixels, 3, 4) - expected).max() <= 0.5


def test_partly_covered_pixels_count_partly() -> None:
    pixels = np.array([[[0] * 3, [90] * 3, [240] * 3]], np.uint8)  # three pixels into two
    out = small(pixels, 1, 2)
    assert out[0, 0, 0] == pytest.approx((0 * 2 + 90) / 3, abs=0.51)
    assert out[0, 1, 0] == pytest.approx((90 + 240 * 2) / 3, abs=0.51)


def test_bottom_up_is_turned_over() -> None:
    pixels = np.zeros((4, 2, 4), np.uint8)
    pixels[0] = (255, 0, 0, 255)  # the lowest row is red
    for size in ((4, 2), (2, 2)):
        out = small(pixels, *size, bottom_up=True)
        assert out[-1, 0, 0] > 100
        assert out[0, 0, 0] == 0


def test_reversed_channels_are_read_as_given() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[..., 0] = 200
    assert small(pixels[:, :, ::-1], 2, 2)[0, 0].tolist() == [0, 0, 200]


def test_linear_light_is_encoded() -> None:
    pixels = np.full((2, 2, 3), 0.2158605, np.float32)
    assert small(pixels, 1, 1, linear=True)[0, 0, 0] == 128
    assert small(pixels, 1, 1)[0, 0, 0] == 55


def test_straight_alpha_lies_over_black() -> None:
    pixels = np.full((2, 2, 4), 200, np.uint8)
    pixels[..., 3] = 51
    assert small(pixels, 2, 2, alpha="straight")[0, 0, 0] == 40
    assert small(pixels, 2, 2)[0, 0, 0] == 200
    assert small(pixels / np.float32(255), 2, 2, alpha="straight")[0, 0, 0] == 40


def test_wild_floats_are_tamed() -> None:
    pixels = np.zeros((1, 4, 3), np.float32)
    pixels[0, :, 0] = [np.nan, np.inf, -np.inf, 7.0]
    assert small(pixels, 1, 4)[0, :, 0].tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2), np.uint8),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
        np.zeros((2, 2, 3), np.int32),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(BadInput):
        small(pixels, 2, 2)


def test_a_shot_is_written_in_place() -> None:
    shot = ShotFrames(3, 8, 10)
    before = shot.frames.ctypes.data
    for index in range(3):
        shot.put(index, np.full((16, 20, 4), index * 10, np.uint8), bottom_up=True)
    assert shot.frames.ctypes.data == before
    assert shot.frames.flags.c_contiguous
    assert shot.frames.dtype == np.uint8
    assert shot.frames[:, 0, 0, 0].tolist() == [0, 10, 20]


def test_filling_a_shot_takes_no_second_copy_of_it() -> None:
    picture = np.zeros((226, 402, 3), np.uint8)
    shot = ShotFrames(200, 224, 398)
    shot.put(0, picture)
    tracemalloc.start()
    for index in range(4):
        shot.put(index, picture, bottom_up=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < shot.frames.nbytes / 10


def test_too_many_frames_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(BadInput, match="too many"):
        ShotFrames(limits.FRAMES + 1, 8, 8)
    with pytest.raises(BadInput, match="too many"):
        ShotFrames(limits.FRAMES, 560, 560)
