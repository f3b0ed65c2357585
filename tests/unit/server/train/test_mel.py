# SPDX-License-Identifier: GPL-3.0-or-later
"""The analysis that every training shares: scale, timing, level."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from footfall.server.models.mel import SILENCE, mel_bands
from footfall.server.train import mel


def tone(hz: float, seconds: float = 1.0, rate: int = 16_000, amplitude: float = 0.5) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def test_a_shot_has_256_frames_of_64_bands() -> None:
    assert mel.log_mel(torch.zeros(2, 40_960)).shape == (2, 256, 64)
    assert torch.allclose(mel.log_mel(torch.zeros(1, 4096)), torch.tensor(SILENCE))


def test_a_tone_has_the_magnitude_that_slaney_bands_give_it() -> None:
    """A sine of amplitude a has magnitude a / 2 times the window's sum in its own bin."""
    bin_hz = 16_000 / 1024
    row = mel.log_mel_of(tone(64 * bin_hz))[50]
    around = np.array([0.5, 1.0, 0.5])  # a Hann window's three bins
    expected = (0.25 * 512 * around) @ mel_bands().numpy()[63:66]
    assert row.argmax() == expected.argmax()
    assert row.max() == pytest.approx(math.log(expected.max()), abs=1e-3)


def test_a_frame_is_centred_on_its_sample() -> None:
    click = np.zeros(16_000, np.float32)
    click[40 * 160] = 1.0
    energy = np.exp(mel.log_mel_of(click)).sum(1)
    assert energy.argmax() == 40
    assert energy[39] == pytest.approx(energy[41], rel=1e-4)


def test_silence_has_a_gradient() -> None:
    """Also where the analysis was first used without gradients, and its tables were kept."""
    with torch.inference_mode():
        mel.log_mel(torch.zeros(1, 4096))
    waves = torch.zeros(1, 4096, requires_grad=True)
    mel.log_mel(waves).sum().backward()
    assert waves.grad is not None
    assert bool(waves.grad.isfinite().all())


def test_mel_keeps_float32_under_autocast() -> None:
    waves = torch.from_numpy(tone(440.0))[None]
    with torch.autocast("cpu", torch.bfloat16):
        found = mel.log_mel(waves)
    assert found.dtype == torch.float32
    assert torch.equal(found, mel.log_mel(waves))


def test_to_16k_moves_nothing() -> None:
    click = np.zeros(122_880, np.float32)
    click[60_000] = 1.0
    found = mel.to_16k(click)
    assert found.shape == (40_960,)
    assert np.abs(found).argmax() == 20_000
    assert mel.to_16k(np.zeros(0, np.float32)).shape == (0,)


@pytest.mark.parametrize("gain", [0.01, 0.1, 1.0])
def test_level_takes_the_level_out(gain: float) -> None:
    sound = tone(440.0)
    assert np.allclose(mel.level(sound * np.float32(gain)), mel.level(sound), atol=1e-5)
    assert 20 * math.log10(mel.active_rms(mel.level(sound), 16_000)) == pytest.approx(-23.0, abs=0.01)


def test_pauses_do_not_make_a_sound_louder() -> None:
    sound = tone(440.0, 0.5)
    paused = np.concatenate((sound, np.zeros(32_000, np.float32)))
    assert np.abs(mel.level(paused)).max() == pytest.approx(np.abs(mel.level(sound)).max(), rel=0.05)


def test_the_peak_has_a_ceiling_and_the_gain_a_limit() -> None:
    click = np.full(16_000, 1e-4, np.float32)
    click[8000] = 1.0
    assert np.abs(mel.level(click)).max() <= mel.PEAK + 1e-6
    faint = np.full(16_000, 1e-6, np.float32)
    assert np.abs(mel.level(faint)).max() == pytest.approx(1e-4, rel=1e-3)
    for nothing in (np.zeros(16_000, np.float32), np.zeros(0, np.float32)):
        assert np.array_equal(mel.level(nothing), nothing)


def test_prepare_is_what_a_shot_becomes() -> None:
    found = mel.prepare(tone(1000.0, 2.56, 48_000))
    assert (found.shape, found.dtype) == ((40_960,), np.float32)
