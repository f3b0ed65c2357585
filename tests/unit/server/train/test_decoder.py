# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder's training: nothing else learns, its latents were sampled, and it fits one VAE only."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import ModelRefused
from footfall.server.train import autoencoder, decoder, loop, mel, vae
from footfall.server.train.general import general
from footfall.server.train.packing import rounded
from footfall.server.train.sounds import SAMPLES, Sounds
from footfall.server.train.starter_layout import starter_layout
from safetensors.torch import load_file

LAYOUT = starter_layout(tiny=True).vae
SHOTS = 6


@pytest.fixture(scope="module")
def sounds() -> Sounds:
    draw = np.random.default_rng(0)
    rows = [mel.level(general(draw, SAMPLES)) for _ in range(SHOTS)]
    return Sounds([torch.from_numpy((np.stack(rows) * 32_767).astype(np.int16))])


def make(sounds: Sounds, seed: int = 0, vae_mark: str = "abc") -> decoder.DecoderTask:
    """A fresh VAE whose latents of these sounds were moved a little, as sampling does."""
    torch.manual_seed(1)
    network = autoencoder.build(LAYOUT)
    mels = torch.from_numpy(np.stack([mel.log_mel_of(sounds.wave(n)) for n in range(SHOTS)])).unsqueeze(1)
    vae._scale_to(network, mels)
    with torch.no_grad():
        true = network.encode(mels).latent_dist.mean
    latents = torch.stack([0.8 * true + 0.1, true], 1).half().numpy()
    return decoder.DecoderTask(
        network, LAYOUT, latents, sounds, list(range(SHOTS)), vae_mark=vae_mark, batch=2, seed=seed, warmup=2
    )


def test_only_the_decoder_learns(sounds: Sounds, tmp_path: Path) -> None:
    task = make(sounds)
    before = {name: value.clone() for name, value in task.vae.state_dict().items()}
    loop.train(task, tmp_path, steps=30, device="cpu", precision="float32")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["decoder/distance"] < 0.9 * rows[0]["decoder/distance"]
    assert rows[-1]["decoder/profile"] < rows[0]["decoder/profile"]
    written = load_file(tmp_path / "part" / "diffusion_pytorch_model.safetensors")
    assert set(written) == set(before)
    for name, value in written.items():
        kept = name.startswith(autoencoder.ENCODING)
        assert torch.equal(value, before[name].half() if kept else rounded(value)), name
    for name in ("decoder.conv_in.weight", "decoder.conv_out.bias", "post_quant_conv.weight"):
        assert not torch.equal(written[name], before[name].half()), name


def test_a_batch_depends_on_seed_and_step_alone(sounds: Sounds) -> None:
    one, two, other = make(sounds), make(sounds), make(sounds, seed=1)
    one.batch(3)
    for name, shape in (("latents", (2, 8, 64, 16)), ("mels", (2, 1, 256, 64))):
        assert one.batch(7)[name].shape == shape
        assert torch.equal(one.batch(7)[name], two.batch(7)[name])
        assert not torch.equal(one.batch(7)[name], other.batch(7)[name])


def test_one_of_another_vae_is_not_gone_on_with(sounds: Sounds, tmp_path: Path) -> None:
    loop.train(make(sounds), tmp_path, steps=1, device="cpu", precision="float32")
    with pytest.raises(ModelRefused, match='vae: "abc" before, "def" now'):
        loop.train(make(sounds, vae_mark="def"), tmp_path, steps=2, device="cpu", precision="float32")


def test_the_profile_knows_no_time_but_every_level() -> None:
    mels = torch.randn(2, 1, 32, 16, generator=torch.Generator().manual_seed(0))
    assert decoder.profile(mels, mels).item() == 0.0
    assert decoder.profile(mels.roll(5, 2), mels).item() == pytest.approx(0.0, abs=1e-5)
    assert decoder.profile(mels + 0.1, mels).item() == pytest.approx(0.2, abs=1e-4)  # amplitude to power
    assert torch.isfinite(decoder.profile(mels - 1000.0, mels + 1000.0))


def test_there_is_none_for_another_vae(tmp_path: Path) -> None:
    assert not decoder.fits(tmp_path)
    for name, config in (("decoder", {decoder.MADE_FOR: "another"}), ("vae", {})):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "config.json").write_text(json.dumps(config))
    assert not decoder.fits(tmp_path)


def test_sampling_tells_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The world goes on behind the last shot that is sampled; what is told does not."""

    def keep(*_: object, tick: Callable[[int], None]) -> None:
        for done in (1, 2, 3, 9):
            tick(done)

    monkeypatch.setattr(decoder, "keep", keep)
    monkeypatch.setattr(decoder.parts, "fingerprint", lambda work, part: part)
    told: list[tuple[int, int]] = []
    data = SimpleNamespace(keys=[f"train-{number:06d}" for number in range(5)])
    decoder.resampled(tmp_path, None, data, 3, lambda done, of: told.append((done, of)))  # type: ignore[arg-type]
    assert told == [(1, 3), (2, 3), (3, 3), (3, 3)]
