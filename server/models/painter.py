# SPDX-License-Identifier: GPL-3.0-or-later
"""The painter: a text-to-image latent diffusion model in the layout of diffusers' StableDiffusionPipeline.

It reads prompts (picture_words.py), paints under what it read, and tells how badly a picture fits it, which
is what AudioToken's embedder learns from. Its own weights never change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...addon.wire.errors import BadInput, ModelRefused
from ..control import JobControl
from ..sampling.denoiser import RowLimit
from ..sampling.guidance import Guidance
from ..sampling.noise import noise
from ..sampling.schedules import make_scheduler
from ..sampling.solvers import sample
from .bundle import Bundle
from .device import is_out_of_memory, memory_guard
from .mel_decoder import Check, nothing
from .picture_words import Reader
from .weights import load_weights, modern_attention

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel

UNET, VAE, SCHEDULER = "pictures/unet", "pictures/vae", "pictures/scheduler"
STEPS = 20
GUIDANCE = (7.5, 0.0)  # scale and rescale: Stable Diffusion's own
# Where the schedule ends in pure noise, guided pictures come out too bright or too dark unless rescaled
# (Lin et al. 2023, arXiv:2305.08891, section 3.4). Of our own painter's, fewer are recognised with a scale
# below 4 and hardly more with 6.
GUIDANCE_FROM_NOISE = (5.0, 0.7)
ROWS_AT_ONCE = 32
CPU_PLACES = 8192  # rows times places of a latent in one pass: more is not faster there, and cancels later
GAMMA = 5.0  # of min-SNR (Hang et al. 2023, arXiv:2303.09556), where velocity is predicted


class Painter:
    """UNet, VAE and reader of one bundle, none of which learns.

    ``size``: pixels of a picture, each way; ``width``: of a token; ``backbone``: whose words it understands;
    ``guidance``: the scale that it does best with; ``rescale``: of guided predictions (sampling/guidance.py).
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        vae: AutoencoderKL,
        reader: Reader,
        scheduler_config: Mapping[str, Any],
    ) -> None:
        self._unet, self._vae, self._reader = unet, vae, reader
        self.scheduler_config = dict(scheduler_config)
        from_noise = bool(self.scheduler_config.get("rescale_betas_zero_snr"))
        self.guidance, self.rescale = GUIDANCE_FROM_NOISE if from_noise else GUIDANCE
        self._factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self._side = int(unet.config.sample_size)
        self.size = self._side * self._factor
        self.width, self.backbone = reader.width, reader.space
        self.device, self.dtype = unet.device, unet.dtype
        self.modules: dict[str, nn.Module] = {"unet": unet, "vae": vae, "text_encoder": reader.model}
        schedule = make_scheduler(self.scheduler_config, "ddim")
        self._alphas = schedule.alphas_cumprod.float()
        self._predicts = str(schedule.config.prediction_type)

    def read(self, prompts: Sequence[str], tokens: Tensor | None = None) -> Tensor:
        """(B, L, W) what to paint for these words. ``tokens`` (B, W): the word behind each prompt's last."""
        return self._reader.read(prompts, tokens)

    def word(self, text: str) -> Tensor:
        """(W,) the mean of a text's words. Raises BadInput if it has none."""
        return self._reader.word(text)

    def paint(
        self,
        conditions: Tensor,
        *,
        seed: int,
        takes: int = 1,
        steps: int = STEPS,
        guidance: float | None = None,
        control: JobControl | None = None,
        solver: str = "dpm++",
    ) -> np.ndarray:
        """(B, L, W) to (B, takes, H, W, 3) uint8 sRGB. All of a take begin with the same noise, so that only
        the conditions make them differ; a take's noise depends on its number and the seed alone.

        Raises Cancelled, OutOfMemory; BadInput where the model fails and gives no numbers.
        """
        count, shape = len(conditions), (int(self._unet.config.in_channels), self._side, self._side)
        if not count or takes < 1:
            return np.zeros((count, max(0, takes), self.size, self.size, 3), np.uint8)
        start = torch.stack([noise(seed, ("picture", take), shape) for take in range(takes)])
        rows = start.repeat(count, 1, 1, 1).to(self.device)
        given = conditions.to(self.device, self.dtype).repeat_interleave(takes, dim=0)
        with torch.inference_mode(), memory_guard(self.device, "painting"):
            latents = self._denoise(rows, given, steps, self.guidance if guidance is None else guidance,
                                    control, solver)  # fmt: skip
            if not bool(torch.isfinite(latents).all()):
                raise BadInput("The painter made no picture of this; choose less guidance or another seed.")
            pixels = self._decode(latents, control)
        return pixels.unflatten(0, (count, takes)).numpy()

    def _denoise(
        self,
        rows: Tensor,
        given: Tensor,
        steps: int,
        guidance: float,
        control: JobControl | None,
        solver: str,
    ) -> Tensor:
        scale = Guidance(scale=guidance, rescale=self.rescale)
        limit, done = self._limit(), 0

        def tick(share: float) -> None:
            if control is not None:
                control.check()
                control.progress("sampling", min(1.0, (done + share) / steps))

        def predict(latents: Tensor, time: Tensor, sigma: float) -> Tensor:
            if not scale.acts(sigma):
                return self._batched(latents, time, given, limit, tick)
            nothing_said = self._empty().expand_as(given)
            # Each row next to its unguided twin, so that a batch that is halved still holds pairs.
            sides = torch.stack((nothing_said, given), dim=1).flatten(0, 1)
            both = self._batched(latents.repeat_interleave(2, dim=0), time, sides, limit, tick)
            return scale.combine(both[0::2], both[1::2])

        def on_step(number: int, of: int) -> None:
            nonlocal done
            done = number
            tick(0.0)

        scheduler = make_scheduler(self.scheduler_config, solver)
        return sample(predict, scheduler, rows, steps, on_step)

    def _limit(self) -> RowLimit:
        rows = ROWS_AT_ONCE
        if self.device.type == "cpu":
            rows = min(rows, max(1, CPU_PLACES // self._side**2))
        return RowLimit(rows, is_out_of_memory)

    def _batched(
        self, rows: Tensor, time: Tensor, given: Tensor, limit: RowLimit, tick: Callable[[float], None]
    ) -> Tensor:
        """The UNet over all rows, as many at once as the limit allows."""
        done: list[Tensor] = []
        start = 0
        while start < len(rows):
            tick(start / len(rows))
            batch = slice(start, start + limit.rows)
            try:
                done.append(self._predict(rows[batch], time, given[batch]))
            except (RuntimeError, MemoryError) as error:
                limit.rows = min(limit.rows, len(rows))
                if not is_out_of_memory(error) or not limit.halve():
                    raise
                continue
            start += len(done[-1])
        return torch.cat(done)

    def _predict(self, rows: Tensor, time: Tensor, given: Tensor) -> Tensor:
        found = self._unet(rows.to(self.dtype), time, given.to(self.dtype), return_dict=False)[0]
        return found.float()

    def _empty(self) -> Tensor:
        return self.read([""]).to(self.device, self.dtype)

    def _decode(self, latents: Tensor, control: JobControl | None) -> Tensor:
        """(N, C, h, w) to (N, H, W, 3) uint8 on the CPU; one by one, for a decoder takes the most memory."""
        scaled = latents / float(self._vae.config.scaling_factor)
        pictures = []
        for row in scaled.to(self.dtype).split(1):
            if control is not None:
                control.check()
            found = self._vae.decode(row, return_dict=False)[0].float()
            shown = (found / 2 + 0.5).clamp(0, 1).mul(255).round()
            pictures.append(shown.permute(0, 2, 3, 1).to("cpu", torch.uint8))
        return torch.cat(pictures)

    def latents(self, pixels: np.ndarray) -> Tensor:
        """(B, H, W, 3) uint8 of any size, the middle of each at the painter's size, to what the VAE makes of
        them, scaled as the UNet knows it: (B, C, h, w) float32 on the CPU.
        """
        shown = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        height, width = shown.shape[-2:]
        short = min(height, width)
        top, left = (height - short) // 2, (width - short) // 2
        shown = shown[..., top : top + short, left : left + short]
        if short != self.size:
            target = (self.size, self.size)
            shown = nn.functional.interpolate(shown, target, mode="bicubic", antialias=True)
        shown = shown.round().clamp(0, 255).div(127.5).sub(1.0)
        with torch.inference_mode():
            found = [
                self._vae.encode(row.to(self.device, self.dtype)).latent_dist.mean.float().cpu()
                for row in shown.split(ROWS_AT_ONCE)
            ]
        return torch.cat(found).clone() * float(self._vae.config.scaling_factor)

    def loss(self, latents: Tensor, conditions: Tensor, generator: torch.Generator) -> Tensor:
        """(B,) how badly noisy ``latents`` (B, C, h, w) are found back under ``conditions`` (B, L, W), at a
        timestep each, spread evenly; with gradients to the conditions. As this kind of UNet learnt.
        """
        device, steps = latents.device, len(self._alphas)
        start = torch.rand(1, generator=generator, device=device)
        places = (start + torch.arange(len(latents), device=device) / len(latents)) % 1.0
        times = (places * steps).long().clamp(max=steps - 1)
        alphas = self._alphas.to(device)[times].view(-1, 1, 1, 1)
        signal, spread = alphas.sqrt(), (1.0 - alphas).sqrt()
        grain = torch.randn(latents.shape, generator=generator, device=device)
        wanted = {
            "epsilon": grain,
            "v_prediction": signal * grain - spread * latents,
            "sample": latents,
        }[self._predicts]
        found = self._predict(signal * latents + spread * grain, times, conditions)
        errors = (found - wanted).square().mean((1, 2, 3))
        if self._predicts != "v_prediction":
            return errors
        snr = (signal / spread).square().flatten() + 1.0
        return errors * snr.clamp(max=GAMMA) / snr


def load_painter(bundle: Bundle, device: torch.device, dtype: torch.dtype, check: Check = nothing) -> Painter:
    """Raises ModelMissing, ModelRefused, OutOfMemory; whatever ``check`` raises between the parts."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    with memory_guard(device, "the painter"):
        reader = Reader.load(bundle, device, dtype)
        check()
        vae = _load(AutoencoderKL, bundle, VAE, device, dtype)
        check()
        unet = _load(UNet2DConditionModel, bundle, UNET, device, dtype)
    _check_pair(bundle, unet.config, vae.config, reader)
    return Painter(unet, vae, reader, bundle.config(SCHEDULER))


def _load(kind: Any, bundle: Bundle, part: str, device: torch.device, dtype: torch.dtype) -> Any:
    config = {key: value for key, value in bundle.config(part).items() if not key.startswith("_")}

    def build() -> Any:
        try:
            return kind.from_config(config)
        except (TypeError, ValueError, KeyError, IndexError, RuntimeError, ZeroDivisionError) as error:
            raise ModelRefused(
                f"The part {part} of {bundle.title} has a damaged configuration; pull the model again.",
                repr(error)[:4000],
            ) from error

    rename = modern_attention if part == VAE else None
    return load_weights(build, bundle.weights(part), device=device, dtype=dtype, rename=rename)


def _check_pair(bundle: Bundle, unet: Any, vae: Any, reader: Reader) -> None:
    """Raises ModelRefused unless the UNet paints whole pictures in this VAE's latents under these words."""
    words = unet.cross_attention_dim
    widths = {words} if isinstance(words, int) else set(words)
    side = unet.sample_size
    plain = unet.class_embed_type is None and unet.addition_embed_type is None
    if not plain or unet.encoder_hid_dim_type is not None or not isinstance(side, int):
        raise ModelRefused(f"The painter of {bundle.title} is of a kind that Footfall does not know.")
    if not unet.in_channels == unet.out_channels == vae.latent_channels:
        raise ModelRefused(
            f"The painter of {bundle.title} wants more than words, as for inpainting; choose another."
        )
    if widths != {reader.width}:
        raise ModelRefused(
            f"The painter of {bundle.title} was made for the words of another text encoder; pull it again."
        )
