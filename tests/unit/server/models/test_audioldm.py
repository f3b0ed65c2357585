# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's AudioLDM against diffusers' own: the same numbers, in chunks, with fewer multiplications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from footfall.addon.wire.errors import Cancelled
from footfall.server.bench_reference import reference_pipeline
from footfall.server.making.rendering import Batch, denoise
from footfall.server.models import mel_decoder
from footfall.server.models.layouts import layout
from footfall.server.models.mel_decoder import MelDecoder, Moments
from footfall.server.models.small_convs import SmallConv, replace_small_convs
from footfall.server.models.upsampling import PhaseUpsample, replace_upsamplers
from footfall.server.sampling import windows
from footfall.server.sampling.noise import noise
from footfall.server.sampling.quality import QUALITIES, Interval, Quality
from torch import nn

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models

LAYOUT = layout("audioldm-s-full-v2", tiny=True)


def relative(mine: torch.Tensor, other: torch.Tensor) -> float:
    return float((mine - other).abs().max() / other.abs().max())


def vae(seed: int = 0) -> AutoencoderKL:
    """A tiny VAE whose norms scale and shift, as trained ones do."""
    torch.manual_seed(seed)
    made = AutoencoderKL.from_config(LAYOUT.vae).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, 0.0, 0.3)
    return made


@pytest.mark.parametrize("seconds", [1.28, 0.9])
@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_parity_with_diffusers_pipeline(models: Models, seconds: float, guidance: float) -> None:
    theirs = reference_pipeline(models.bundle, models.device, models.dtype, 4, guidance)
    columns = theirs.columns(seconds)
    start = noise(1, ("test",), (1, models.audioldm.channels, columns, models.bins))
    vectors = torch.nn.functional.normalize(noise(2, ("test",), (2, 512)), dim=-1)
    mel, sound, _ = theirs.run(start, vectors, seconds)
    batch = Batch(
        names=(("test",),),
        seed=0,
        samples=sound.shape[1],
        windows=windows.Plan(columns, columns, (0,)),
        conditions=vectors[1].view(1, 1, -1),
        negative=vectors[0],
        quality=Quality(steps=4, solver="ddim", interval=Interval(), guidance=guidance),
    )
    with torch.inference_mode():
        latents = denoise(models, batch, start, lambda fraction: None)
        own_mel = models.audioldm.mel(latents)
        own_sound = models.vocoder(own_mel)[:, : sound.shape[1]]
    assert relative(own_mel, mel) < 1e-4
    assert relative(own_sound, sound) < 1e-3


@pytest.mark.parametrize("chunk_bytes", [1, 3_000, 20_000, 1 << 30])
@pytest.mark.parametrize("columns", [1, 5, 16])
def test_chunks_of_mel_are_the_whole(chunk_bytes: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    latents = torch.randn(2, 8, columns, 16)
    plain = vae()
    with torch.inference_mode():
        expected = plain.decode(latents / plain.config.scaling_factor).sample.squeeze(1)
    monkeypatch.setattr(mel_decoder, "CPU_CHUNK_BYTES", chunk_bytes)
    decoder = MelDecoder(vae())
    chunks: list[int] = []
    with torch.inference_mode():
        found = decoder(latents, lambda: chunks.append(1))
    assert relative(found, expected) < 1e-5
    if chunk_bytes == 1 and columns == 16:
        assert len(chunks) > 100


def test_a_loud_mean_does_not_drown_the_variance() -> None:
    """Group norms over numbers around 1,000 with a deviation of 1, gathered in chunks."""
    x = (1000.0 + torch.randn(1, 16, 64, 8)).contiguous(memory_format=torch.channels_last)
    moments = Moments()
    for start in range(0, 64, 10):
        moments.add(x[:, :, start : start + 10])
    mean, inverse = moments.grouped(4, 1e-6)
    expected = x.double().reshape(4, 4 * 64 * 8)
    torch.testing.assert_close(mean.view(4, 4)[:, 0], expected.mean(1), rtol=1e-7, atol=0)
    scale = (expected.var(1, unbiased=False) + 1e-6).rsqrt()
    torch.testing.assert_close(inverse.view(4, 4)[:, 0], scale, rtol=1e-4, atol=0)


def test_decoding_can_be_stopped_anywhere() -> None:
    decoder = MelDecoder(vae())
    checks: list[int] = []
    with torch.inference_mode():
        decoder(torch.randn(1, 8, 16, 16), lambda: checks.append(1))
        for stop_at in range(0, len(checks), 7):
            left = iter(range(stop_at))

            def stop(left: Any = left) -> None:
                if next(left, None) is None:
                    raise Cancelled

            with pytest.raises(Cancelled):
                decoder(torch.randn(1, 8, 16, 16), stop)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 2), (7, 7)])
def test_four_small_convolutions_are_the_large_one(size: tuple[int, int], channels_last: bool) -> None:
    conv = nn.Conv2d(6, 10, 3, padding=1).requires_grad_(False)
    x = torch.randn(2, 6, *size)
    if channels_last:
        conv, x = conv.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    expected = conv(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
    torch.testing.assert_close(PhaseUpsample(conv)(x), expected, rtol=1e-5, atol=1e-6)


def test_a_size_that_is_not_doubled_is_left_to_the_original() -> None:
    conv = nn.Conv2d(4, 4, 3, padding=1).requires_grad_(False)
    x = torch.randn(1, 4, 3, 2)
    expected = conv(nn.functional.interpolate(x, size=(5, 4), mode="nearest"))
    torch.testing.assert_close(PhaseUpsample(conv)(x, output_size=torch.Size((5, 4))), expected)


@pytest.mark.parametrize("size", [(1, 1), (8, 2), (64, 4)])
def test_a_convolution_of_few_pixels_is_a_matrix_product(size: tuple[int, int]) -> None:
    conv = nn.Conv2d(6, 10, 3, padding=1).requires_grad_(False)
    x = torch.randn(2, 6, *size)
    torch.testing.assert_close(SmallConv(conv)(x), conv(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("columns", [16, 17, 20])
def test_the_unet_is_the_same_with_them(columns: int) -> None:
    torch.manual_seed(0)
    unet = UNet2DConditionModel.from_config(LAYOUT.unet).eval().requires_grad_(False)
    arguments = {"encoder_hidden_states": None, "class_labels": torch.randn(1, 512), "return_dict": False}
    x, time = torch.randn(1, 8, columns, 16), torch.tensor(500)
    with torch.inference_mode():
        expected = unet(x, time, **arguments)[0]
        replace_upsamplers(unet.up_blocks)
        replace_small_convs(unet)
        for kind in (PhaseUpsample, SmallConv):
            assert any(isinstance(module, kind) for module in unet.modules())
        assert relative(unet(x, time, **arguments)[0], expected) < 1e-5


def test_a_processor_always_takes_the_same_batches(models: Models) -> None:
    assert models.audioldm.rows_at_once(256) == models.audioldm.rows_at_once(256, limit_mb=1) == 2
    assert models.audioldm.rows_at_once(100_000) == 1
    assert QUALITIES["good"].steps * models.audioldm.rows_at_once(64) > 0
