# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioLDM (Liu et al., ICML 2023): its UNet and its VAE, from diffusers' classes and a bundle's weights.

The UNet takes one CLAP vector of length 1 per sound as its class label (or CLIP's, as the bundle says), and
predicts noise (or velocity, as its schedule says). The VAE's decoder turns latents into log-mel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...addon.wire.errors import ModelRefused
from . import mel
from .device import free_bytes
from .mel_decoder import Check, MelDecoder, nothing, streams
from .small_convs import replace_small_convs
from .upsampling import replace_upsamplers
from .weights import load_weights, modern_attention

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from .bundle import Bundle

CONDITION_SIZE = 512
CPU_COLUMNS = 512  # rows times columns in one pass: more is not faster there, and cancels later
SILENT_FRAMES = 256  # mel frames of silence to look at: more than a column sees
COLUMN_BYTES = 1024 * 1024  # of the UNet's working memory for one column in float32, with room to spare


class AudioLDM:
    """UNet and VAE of one bundle, which are changed: their convolutions, and the VAE's memory layout.

    ``channels``: of a latent; ``factor``: mel frames per latent column, and mel bands per latent bin.
    """

    def __init__(
        self, unet: UNet2DConditionModel, vae: AutoencoderKL, scheduler_config: Mapping[str, Any]
    ) -> None:
        if unet.device.type == "cpu":
            replace_upsamplers(unet.up_blocks)
            for blocks in (unet.down_blocks, unet.mid_block, unet.up_blocks):
                replace_small_convs(blocks)
        self.unet = unet
        self.scheduler_config = dict(scheduler_config)
        self.channels = int(unet.config.in_channels)
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)
        self.device = unet.device
        self.dtype = unet.dtype
        self._decoder = MelDecoder(vae)

    def predict(self, rows: Tensor, timestep: Tensor, conditions: Tensor) -> Tensor:
        """rows (R, C, L, F) float32, conditions (R, D) unit -> predictions (R, C, L, F) float32."""
        found = self.unet(
            rows.to(self.dtype),
            timestep,
            encoder_hidden_states=None,
            class_labels=conditions.to(self.dtype),
            return_dict=False,
        )[0]
        return found.float()

    def mel(self, latents: Tensor, check: Check = nothing) -> Tensor:
        """latents (B, C, L, F) -> log-mel (B, L * factor, F * factor) float32."""
        return self._decoder(latents.to(self.dtype), check).float()

    def rows_at_once(self, columns: int, limit_mb: int = 0) -> int:
        """How many rows of ``columns`` to put through the UNet in one pass.

        Fixed on the CPU, so that the same request always gives the same bits; by free memory elsewhere.
        """
        budget = CPU_COLUMNS
        if self.device.type != "cpu":
            item = COLUMN_BYTES * self.dtype.itemsize // 4
            budget = int(0.8 * free_bytes(self.device, limit_mb) / item)
        return max(1, budget // columns)


def silent_latent(bundle: Bundle, device: torch.device, dtype: torch.dtype, mels: int) -> Tensor:
    """(C, 1, F) float32 on the device: any column of what the VAE makes of silence. Its encoder is loaded for
    this alone. Raises ModelMissing, ModelRefused.
    """
    from diffusers import AutoencoderKL

    vae = load_weights(
        _builder(AutoencoderKL, bundle, "vae"),
        bundle.weights("vae"),
        device=device,
        dtype=dtype,
        rename=modern_attention,
    )
    silence = torch.full((1, 1, SILENT_FRAMES, mels), mel.SILENCE, device=device, dtype=dtype)
    latent = vae.encode(silence).latent_dist.mode()[0].float() * float(vae.config.scaling_factor)
    middle = latent.shape[1] // 2
    return latent[:, middle : middle + 1].clone()


def load_audioldm(
    bundle: Bundle, device: torch.device, dtype: torch.dtype, check: Check = nothing
) -> AudioLDM:
    """The UNet and the VAE of a bundle. Raises ModelMissing, ModelRefused."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    scheduler_config = bundle.config("scheduler")
    vae = load_weights(
        _builder(AutoencoderKL, bundle, "vae"),
        bundle.weights("vae"),
        device=device,
        dtype=dtype,
        rename=modern_attention,
    )
    if not streams(vae):
        raise ModelRefused(f"The VAE of {bundle.title} is of a kind that Footfall does not know.")
    check()
    unet = load_weights(
        _builder(UNet2DConditionModel, bundle, "unet"), bundle.weights("unet"), device=device, dtype=dtype
    )
    config = unet.config
    if config.class_embed_type != "simple_projection" or (
        config.projection_class_embeddings_input_dim != _condition_size(bundle)
    ):
        raise ModelRefused(f"The UNet of {bundle.title} is not AudioLDM's; choose another model.")
    if not config.in_channels == config.out_channels == vae.config.latent_channels:
        raise ModelRefused(f"The UNet and the VAE of {bundle.title} do not belong together; pull it again.")
    return AudioLDM(unet, vae, scheduler_config)


def _condition_size(bundle: Bundle) -> object:
    """Of the rows that the UNet is to expect."""
    if bundle.condition == "clap":
        return CONDITION_SIZE
    said = bundle.config("clip").get("model_cfg")
    return said.get("embed_dim") if isinstance(said, dict) else None


def _builder(kind: Any, bundle: Bundle, part: str) -> Callable[[], Any]:
    config = {key: value for key, value in bundle.config(part).items() if not key.startswith("_")}

    def build() -> Any:
        try:
            return kind.from_config(config)
        except (TypeError, ValueError, KeyError, IndexError, RuntimeError, ZeroDivisionError) as error:
            raise ModelRefused(
                f"The {part} of {bundle.title} has a damaged configuration; pull the model again.",
                repr(error),
            ) from error

    return build
