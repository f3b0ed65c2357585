# SPDX-License-Identifier: GPL-3.0-or-later
"""diffusers' AutoencoderKL in training, be it of log-mels or of pictures: what both trainings share.

A finished part is whitened: its latents have mean 0 and deviation 1 in every channel, folded into the two
convolutions of size one around the latents, so that nothing else changes.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from torch import Tensor, nn

from ..models.layouts import Config
from . import parts

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

ENCODING = ("encoder.", "quant_conv.")  # how the weights begin that decide what a latent is
Statistics = Callable[["AutoencoderKL"], tuple[Tensor, Tensor]]  # mean and deviation of each channel, (C,)


def build(layout: Config) -> AutoencoderKL:
    """A VAE with fresh weights."""
    plain = {key: tuple(v) if isinstance(v, list) else v for key, v in layout.items() if key[0] != "_"}
    from diffusers import AutoencoderKL

    return AutoencoderKL(**plain)


def there_and_back(vae: AutoencoderKL, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """What comes back of ``rows`` through latents drawn from their distribution, float32; and how far that is
    from the normal distribution: the mean KL divergence, ().
    """
    moments = vae.encode(rows).latent_dist
    mean, log_variance = moments.mean.float(), moments.logvar.float()
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    latents = mean + (0.5 * log_variance).exp() * noise
    found = vae.decode(latents.contiguous(memory_format=torch.channels_last)).sample.float()
    kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).mean()
    return found, kl


@torch.no_grad()
def whiten(vae: AutoencoderKL, mean: Tensor, deviation: Tensor) -> None:
    """Gives latent channels of this mean and deviation, both (C,), mean 0 and deviation 1, in place.

    What the decoder makes of them stays the same: the convolutions before and after undo each other.
    """
    before, after = vae.quant_conv, vae.post_quant_conv
    assert isinstance(before, nn.Conv2d)
    assert isinstance(after, nn.Conv2d)
    assert before.bias is not None
    assert after.bias is not None
    mean, deviation = mean.to(before.weight), deviation.to(before.weight)
    count = len(mean)
    before.weight[:count] /= deviation[:, None, None, None]
    before.bias[:count] = (before.bias[:count] - mean) / deviation
    before.bias[count:] -= 2.0 * deviation.log()
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= deviation[None, :, None, None]


def encoder_mark(weights: Path) -> str:
    """A hash of the encoder in a part's safetensors: equal ones give equal latents."""
    digest = hashlib.sha256()
    with safe_open(weights, "pt") as opened:
        for name in sorted(opened.keys()):
            if name.startswith(ENCODING):
                digest.update(name.encode() + opened.get_tensor(name).numpy().tobytes())
    return digest.hexdigest()


def write(vae: AutoencoderKL, layout: Config, statistics: Statistics, folder: Path) -> None:
    """The part as a bundle holds it: a whitened copy, its weights in float16."""
    finished = copy.deepcopy(vae).float().eval()
    whiten(finished, *statistics(finished))
    parts.write(folder, layout, finished.state_dict(), parts.DIFFUSERS_WEIGHTS)
