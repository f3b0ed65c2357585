# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder's training: it learns, keeps time, meets its critics, and the worker can use the part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from footfall.addon.wire.errors import BadInput, ModelRefused
from footfall.server.evaluation import vocoding
from footfall.server.models.mel import SILENCE, mel_bands
from footfall.server.models.offset import measure_offset
from footfall.server.models.vocoder import Vocoder
from footfall.server.train import general, loop, mel, vocoder
from footfall.server.train.critic import Critic, critic_loss, fooled
from footfall.server.train.griffin_lim import griffin_lim, spread
from footfall.server.train.sounds import SAMPLES, Sounds
from footfall.server.train.starter_layout import starter_layout

LAYOUT = starter_layout(tiny=True).vocoder


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    draw = np.random.default_rng(0)
    rows = [mel.level(general.general(draw, SAMPLES)) for _ in range(6)]
    return Sounds([torch.from_numpy((np.stack(rows) * 32_767).astype(np.int16))])


def make(sounds: Sounds, critic_from: int = 100) -> vocoder.VocoderTask:
    return vocoder.VocoderTask(
        sounds,
        sounds,
        LAYOUT,
        batch=2,
        frames=16,
        critic_from=critic_from,
        critic_channels=4,
        seed=0,
        warmup=2,
    )


@pytest.fixture(scope="module")
def trained(sounds: Sounds, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vocoder")
    loop.train(make(sounds, critic_from=10), folder, steps=20, device="cpu", precision="float32")
    return folder


def test_it_learns_and_then_meets_its_critics(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["vocoder/spectra"] < 0.8 * rows[0]["vocoder/spectra"]
    assert "vocoder/features" in rows[-1]
    assert "vocoder/features" not in rows[0]


def test_the_critics_are_asked_from_their_step_on(sounds: Sounds) -> None:
    task = make(sounds, critic_from=5)
    player, critic = task.players
    for step, asked in ((4, False), (5, True)):
        batch = task.batch(step)
        _, parts = player.loss(batch, torch.Generator())
        loss, _ = critic.loss(batch, torch.Generator())
        assert ("adversarial" in parts) is asked
        assert loss.requires_grad is asked


def test_critics_learn_to_tell() -> None:
    torch.manual_seed(0)
    critic = Critic(4)
    recorded, made = 0.1 * torch.randn(4, 4096), 0.1 * torch.sin(torch.arange(4096) / 3.0).repeat(4, 1)
    optimiser = torch.optim.Adam(critic.parameters(), 5e-3)
    first = critic_loss(critic, recorded, made).detach()
    for _ in range(40):
        optimiser.zero_grad()
        critic_loss(critic, recorded, made).backward()
        optimiser.step()
    assert critic_loss(critic, recorded, made).detach() < 0.5 * first
    with torch.no_grad():
        found_out, features = fooled(critic, recorded, made)
        unseen, none = fooled(critic, recorded, recorded)
    assert found_out > unseen
    assert features > none == 0.0


def test_a_batch_is_a_mel_and_the_sound_under_it(sounds: Sounds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocoder, "BLURRED", 0.0)
    task = make(sounds)
    batch = task.batch(3)
    assert batch["mels"].shape == (2, 16, 64)
    assert batch["waves"].shape == (2, 16 * 160)
    inner = mel.log_mel(batch["waves"])[:, 4:-4]  # where the analysis sees nothing of the ends
    assert torch.allclose(batch["mels"][:, 4:-4], inner, atol=1e-4)
    again = make(sounds).batch(3)
    assert all(torch.equal(batch[key], again[key]) for key in batch)


def test_play_is_the_modules_own_sum() -> None:
    torch.manual_seed(0)
    module = vocoder.build(LAYOUT)
    mels = torch.randn(2, 24, 64)
    with torch.no_grad():
        assert torch.allclose(vocoder.play(module, mels), module(mels), atol=1e-5)
        assert vocoder.play(module, mels).shape == (2, 24 * 160)


def test_a_fresh_vocoder_is_neither_silent_nor_loud() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        sound = vocoder.play(vocoder.build(starter_layout().vocoder), torch.randn(1, 64, 64))
    assert 0.003 < sound.std() < 0.9


def test_the_worker_plays_the_part(trained: Path) -> None:
    play = vocoding.load(trained / "part")
    assert isinstance(play, Vocoder)
    assert (play.rate_hz, play.hop, play.mels) == (16_000, 160, 64)
    assert play(torch.full((1, 30, 64), SILENCE)).shape == (1, 4800)
    assert abs(measure_offset(play)) <= 80


def test_a_blur_keeps_what_is_even() -> None:
    even = torch.full((1, 8, 64), -3.0)
    assert torch.allclose(vocoder.blur(even), even)
    grain = torch.randn(1, 32, 64)
    assert vocoder.blur(grain).std() < 0.5 * grain.std()


@pytest.mark.parametrize("maker", [*general.MAKERS, general.general])
def test_general_sounds_are_sounds(maker: general.Maker) -> None:
    for seed in range(12):
        sound = maker(np.random.default_rng(seed), 4000)
        assert sound.shape == (4000,)
        assert np.isfinite(sound).all()
        assert np.array_equal(sound, maker(np.random.default_rng(seed), 4000))
    changed = general.as_recorded(np.random.default_rng(0), sound)
    assert changed.shape == (4000,)
    assert np.abs(changed).max() <= 1.0001


def test_griffin_lim_finds_the_sound_of_a_mel() -> None:
    time = torch.arange(16_000) / 16_000
    sound = 0.3 * torch.sin(2 * torch.pi * 440.0 * time)
    mels = mel.log_mel(sound[None])[0]
    made = griffin_lim(mels)
    assert made.shape == sound.shape
    assert float((mel.log_mel(made[None])[0][5:-5, 8:10] - mels[5:-5, 8:10]).abs().mean()) < 0.2
    assert vocoding.distance(made, sound) < vocoding.distance(griffin_lim(mels, iterations=2), sound)


def test_spread_spectra_have_the_bands_they_came_from() -> None:
    draw = torch.Generator().manual_seed(0)
    energies = torch.rand(3, 513, generator=draw, dtype=torch.float64) @ mel_bands().double()
    found = spread(energies)
    assert float(found.min()) >= 0.0
    assert torch.allclose(found @ mel_bands().double(), energies, rtol=0.02)


def test_recordings_are_compared(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = np.random.default_rng(3)
    (tmp_path / "game").mkdir()
    for number, rate in enumerate((44_100, 16_000)):
        soundfile.write(tmp_path / "game" / f"{number}.wav", general.general(draw, rate // 2), rate)
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), 16_000)
    (tmp_path / "broken.ogg").write_bytes(b"OggS and nothing more")
    found = vocoding.compare(tmp_path, trained / "part")
    assert [row.name for row in found.rows] == ["game/0.wav", "game/1.wav"]
    assert found.better == pytest.approx(1 - found.vocoder / found.griffin_lim)
    assert found.low <= found.better <= found.high
    assert all(row.phases_alone < row.griffin_lim for row in found.rows)
    assert vocoding.main([str(tmp_path), "--vocoder", str(trained / "part")]) == 0
    assert "| game | 2 |" in capsys.readouterr().out


def test_what_cannot_be_compared_is_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        vocoding.compare(tmp_path, trained / "part")
    with pytest.raises(ModelRefused):
        vocoding.compare(tmp_path, tmp_path)


def test_a_sound_is_no_distance_from_itself() -> None:
    sound = torch.from_numpy(general.general(np.random.default_rng(0), 16_000))
    assert vocoding.distance(sound, sound) == 0.0
    assert vocoder.spectral_distance(sound[None], sound[None]) == 0.0
    assert vocoding.distance(0.5 * sound, sound) > 0.3


def test_noise_is_as_far_from_noise_as_was_worked_out() -> None:
    again, flat = vocoding.noise_apart()
    one, other = 0.1 * torch.randn(2, 32_000, generator=torch.Generator().manual_seed(0))
    assert vocoding.distance(one, other) == pytest.approx(again, rel=0.01)
    magnitudes = np.sqrt(np.random.default_rng(0).exponential(size=200_000))
    logs = np.abs(np.log(magnitudes / np.median(magnitudes))).mean()
    assert flat == pytest.approx(logs + magnitudes.std() / np.sqrt(np.square(magnitudes).mean()), rel=0.01)
