# SPDX-License-Identifier: GPL-3.0-or-later
"""How sounds of any length, rate and level are heard, and what is refused with a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput
from footfall.server.models import audio_depths
from footfall.server.models.audio_depths import HEARS_HZ, WINDOW_S, WINDOWS, ClapEar, listen, windows_of
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models


@pytest.fixture(scope="module")
def ear(models: Models) -> ClapEar:
    return ClapEar(models.clap)


def tone(seconds: float, rate_hz: int = HEARS_HZ, hertz: float = 440.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(np.float32)


def test_three_depths_are_joined_at_every_place(ear: ClapEar, models: Models) -> None:
    tower = models.clap.audio_tower
    widths = [tower.num_features >> depth for depth in range(3)]
    places = ear.places(torch.from_numpy(np.stack([tone(2.56), tone(2.56, hertz=900.0)])))
    assert ear.width == sum(widths)
    assert places.shape == (2, places.shape[1], ear.width)
    assert places.requires_grad is False
    # Each depth comes at one scale, whatever its own is.
    for part in places.split(widths[::-1], dim=-1):
        torch.testing.assert_close(part.square().mean(-1), torch.ones(places.shape[:2]), atol=0.1, rtol=0)
    assert not torch.allclose(places[0], places[1], atol=1e-3)


def test_the_ear_hears_what_the_tower_says(ear: ClapEar, models: Models) -> None:
    wave = torch.from_numpy(tone(10.0))[None]
    tower = models.clap.audio_tower
    with torch.inference_mode():
        said = tower(
            models.clap.features(wave, HEARS_HZ),
            output_hidden_states=True,
            output_hidden_states_before_downsampling=True,
        ).hidden_states[-1]
    last = torch.nn.functional.layer_norm(said.flatten(2).mT, (said.shape[1],))
    torch.testing.assert_close(ear.places(wave)[..., -said.shape[1] :], last)


@settings(max_examples=15, deadline=None)
@given(
    seconds=st.floats(0.001, 40.0),
    rate_hz=st.sampled_from((8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 12_345)),
)
def test_windows_cover_any_length(seconds: float, rate_hz: int) -> None:
    samples = max(1, int(seconds * rate_hz))
    windows = windows_of(np.full(samples, 0.3, np.float32), rate_hz)
    assert 1 <= len(windows) <= WINDOWS
    assert len({len(window) for window in windows}) == 1
    longest = WINDOW_S * HEARS_HZ
    assert len(windows[0]) <= longest + 1
    assert abs(len(windows[0]) - min(samples * HEARS_HZ / rate_hz, longest)) <= 2
    assert (len(windows) == 1) == (samples <= WINDOW_S * rate_hz)


def test_windows_lie_from_the_beginning_to_the_end() -> None:
    seconds = 25
    sound = np.repeat(np.arange(1, seconds + 1, dtype=np.float32) / 100, HEARS_HZ)
    windows = windows_of(sound, HEARS_HZ)
    ratio = windows[0][100] / sound[100]
    assert [round(float(window[100] / ratio) * 100) for window in windows] == [1, 8, 16]
    assert round(float(windows[-1][-100] / ratio) * 100) == seconds


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 47_999, 96_000, 192_000])
def test_the_rate_makes_no_difference_to_what_is_there_at_all_rates(rate_hz: int) -> None:
    plain, other = (windows_of(tone(1.0, rate), rate)[0] for rate in (HEARS_HZ, rate_hz))
    middle = slice(2_000, 12_000)
    assert np.abs(plain[middle] - other[: len(plain)][middle]).max() < 0.02


def test_level_and_clipping_make_little_difference(ear: ClapEar) -> None:
    sound = tone(2.0) * np.linspace(1.0, 0.2, 2 * HEARS_HZ, dtype=np.float32)
    loud, faint, clipped = listen(ear, [sound, 0.003 * sound, (3 * sound).clip(-1, 1)], HEARS_HZ)
    torch.testing.assert_close(loud, faint, atol=2e-2, rtol=1e-2)
    assert clipped.isfinite().all()


def test_sounds_of_different_lengths_keep_their_order(ear: ClapEar) -> None:
    sounds = [tone(0.1), tone(12.0), tone(0.1, hertz=2_000.0), tone(3.0)]
    together = listen(ear, sounds, HEARS_HZ)
    for found, sound in zip(together, sounds, strict=True):
        torch.testing.assert_close(found, listen(ear, [sound], HEARS_HZ)[0], atol=1e-4, rtol=1e-4)
    assert together[1].shape[0] == 2 * together[0].shape[0]


def test_two_hours_are_heard_in_as_many_windows_as_two_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_depths, "WINDOW_S", 1)
    hours = np.broadcast_to(np.float32(0.1), 2 * 3600 * 8_000)  # takes no memory
    assert len(windows_of(hours, 8_000)) == WINDOWS


def test_one_sound_in_a_long_silence_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_depths, "WINDOW_S", 1)
    sound = np.zeros(100 * 8_000, np.float32)
    sound[-3_000:-2_900] = 0.4  # in the last window
    assert len(windows_of(sound, 8_000)) == WINDOWS
    sound = np.roll(sound, -20_000)  # between two
    (found,) = windows_of(sound, 8_000)
    assert len(found) == HEARS_HZ
    assert np.abs(found).max() > 0.1


@pytest.mark.parametrize(
    ("sound", "rate_hz", "words"),
    [
        (np.zeros(16_000, np.float32), 16_000, "silent"),
        (np.full(16_000, 5e-5, np.float32), 16_000, "silent"),
        (np.zeros(0, np.float32), 16_000, "empty"),
        (np.array([0.1, np.nan], np.float32), 16_000, "no sound"),
        (np.array([0.1, np.inf], np.float32), 16_000, "no sound"),
        (np.array([0.1, 1e30], np.float32), 16_000, "no sound"),
        (np.zeros((2, 8_000), np.float32), 16_000, "one channel"),
        (np.ones(8_000, np.int16), 16_000, "one channel"),
        (np.ones(8_000, np.float32), 7_999, "samples a second"),
        (np.ones(8_000, np.float32), 192_001, "samples a second"),
    ],
)
def test_what_cannot_be_heard_is_refused(sound: np.ndarray, rate_hz: int, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        windows_of(sound, rate_hz)
