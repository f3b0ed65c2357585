# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectral vocoder: true magnitudes become the sound again, rows do not know of each other, rubbish is
refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import Cancelled, ModelRefused
from footfall.server.models import mel, phases
from footfall.server.models.offset import measure_offset
from footfall.server.models.spectral_vocoder import (
    BINS,
    KIND,
    SpectralVocoder,
    SpectrumNetwork,
    agreed,
    corrected,
    spread,
)
from footfall.server.models.vocoder import vocoder_of
from safetensors.torch import save_file

SIZES = {"channels": 8, "blocks": 1, "kernel": 3}
CONFIG = {"model_type": KIND, "sampling_rate": 16_000, "network": SIZES, "rounds": 3}


def tone(hz: float, samples: int = 16_000) -> torch.Tensor:
    return 0.3 * torch.sin(2 * math.pi * hz * torch.arange(samples) / mel.RATE_HZ)[None]


@pytest.fixture
def vocoder() -> SpectralVocoder:
    torch.manual_seed(0)
    return SpectralVocoder(SpectrumNetwork(**SIZES), rounds=3)


def test_a_sound_comes_back_from_its_true_magnitudes() -> None:
    sound = tone(440.0) + tone(2_531.0)
    wanted = mel.magnitude(sound, mel.N_FFT, mel.HOP)[:, : sound.shape[1] // mel.HOP]
    made = phases.sound_of(wanted, rounds=60)
    assert made.shape == sound.shape
    found = mel.magnitude(made, mel.N_FFT, mel.HOP)[:, : wanted.shape[1]]
    assert torch.linalg.norm(found - wanted) < 0.15 * torch.linalg.norm(wanted)


def test_it_begins_at_the_mel_itself() -> None:
    noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    logs = spread(mel.log_mel(noise))
    truth = mel.magnitude(noise, mel.N_FFT, mel.HOP).log()
    assert logs.shape[-1] == BINS
    assert abs(float((logs - truth).mean())) < 0.5  # a log of a mean is above the mean of logs
    assert bool(torch.isfinite(spread(torch.full((1, 3, 64), mel.SILENCE))).all())


@pytest.mark.parametrize("hz", [440.0, 1_003.0, 3_001.0])
def test_a_tone_that_begins_steady_does_not_waver(hz: float) -> None:
    wanted = mel.magnitude(tone(hz), mel.N_FFT, mel.HOP)[:, :100]
    ripple = {}
    for steady in (False, True):
        made = phases.sound_of(wanted, rounds=8, steady=steady)
        level = mel.magnitude(made, mel.N_FFT, mel.HOP)[0, 10:-10].amax(1)
        ripple[steady] = float(level.std() / level.mean())
    assert ripple[True] < 0.02
    assert ripple[True] < ripple[False]


def test_noise_that_begins_steady_stays_noise() -> None:
    """Even from a spectrum without any peak: pulses or a hum would be the easy way to make it."""
    made = phases.sound_of(torch.ones(1, 200, BINS), rounds=16, steady=True)[0, 2_000:-2_000]
    power = torch.fft.rfft(made).abs().square()[100:-100]
    assert float(power.log().mean().exp() / power.mean()) > 0.45  # 0.56 for noise
    assert float(made.abs().max() / made.std()) < 6.0


def test_a_spectrum_agrees_with_its_mel() -> None:
    noise = torch.randn(2, 8_000, generator=torch.Generator().manual_seed(0)) * 0.1
    mels = mel.log_mel(noise)
    wrong = spread(mels) + 0.7 * torch.randn(BINS, generator=torch.Generator().manual_seed(1))
    found = agreed(wrong, mels).exp() @ mel.mel_bands()
    assert float((found.log() - mels).abs().mean()) < 0.03
    assert float(((wrong.exp() @ mel.mel_bands()).log() - mels).abs().mean()) > 0.1
    assert bool(torch.isfinite(agreed(wrong + 200.0, mels)).all())


def test_a_sound_is_brought_to_its_mel() -> None:
    """Loud where the mel is loud, and silence is not made louder."""
    noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    noise[:, :8_000] = 0.0
    mels = mel.log_mel(noise)[:, :100]
    tilted = noise * torch.linspace(0.5, 1.0, 16_000)
    before, after = (
        float((mel.log_mel(sound)[:, :100] - mels)[:, 60:90].abs().mean())
        for sound in (tilted, corrected(tilted, mels))
    )
    assert after < 0.5 * before
    assert corrected(tilted, mels).shape == noise.shape
    assert float(corrected(tilted, mels)[:, :6_000].abs().max()) < 1e-5


def test_a_row_is_the_same_alone(vocoder: SpectralVocoder) -> None:
    mels = torch.randn(3, 20, 64, generator=torch.Generator().manual_seed(1)) - 4.0
    together = vocoder(mels)
    assert together.shape == (3, 3_200)
    assert torch.equal(together[1], vocoder(mels[1:2])[0])
    assert torch.equal(together, vocoder(mels))
    assert vocoder(mels[:0]).shape == (0, 3_200)


def test_wild_mels_make_finite_sound(vocoder: SpectralVocoder) -> None:
    assert bool(torch.isfinite(vocoder(torch.full((1, 8, 64), 80.0))).all())
    assert bool(torch.isfinite(vocoder(torch.full((1, 1, 64), -80.0))).all())


def test_it_stops_between_rounds(vocoder: SpectralVocoder) -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        vocoder(torch.zeros(1, 20, 64), check)
    assert asked == 3


def test_progress_never_runs_backwards(vocoder: SpectralVocoder) -> None:
    said: list[float] = []
    vocoder(torch.zeros(2, 20, 64), done=said.append)
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_a_click_is_on_time(vocoder: SpectralVocoder) -> None:
    assert abs(measure_offset(vocoder)) <= mel.HOP


def write(folder: Path, config: Any) -> Path:
    save_file(SpectrumNetwork(**SIZES).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "model.safetensors"


def test_a_part_loads(tmp_path: Path) -> None:
    loaded = vocoder_of(CONFIG, write(tmp_path, CONFIG), "cpu", torch.float32)
    assert isinstance(loaded, SpectralVocoder)
    assert (loaded.rate_hz, loaded.mels, loaded.hop) == (16_000, 64, 160)


@pytest.mark.parametrize(
    "change",
    [
        {"rounds": 0},
        {"rounds": 10**9},
        {"rounds": "32"},
        {"rounds": True},
        {"network": None},
        {"network": {**SIZES, "channels": 10**9}},
        {"network": {**SIZES, "kernel": 3.0}},
        {"network": {**SIZES, "more": 1}},
        {"network": {**SIZES, "kernel": 4}},
    ],
)
def test_nonsense_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    config = {**CONFIG, **change}
    with pytest.raises(ModelRefused):
        vocoder_of(config, write(tmp_path, config), "cpu", torch.float32)
