# SPDX-License-Identifier: GPL-3.0-or-later
"""BEATs (Chen et al. 2022, arXiv:2212.09058): the audio network that AudioToken's published embedder needs.

A transformer over patches of a Kaldi filter bank, with gated relative positions (Chi et al. 2022) and
DeepNorm (Wang et al. 2022). Weights keep the names of the public checkpoints, whose classifier is left out; a
bundle has them in ``pictures/beats``. The network is frozen: dropout and training are not here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from ...addon.wire.errors import ModelRefused
from .audio_depths import DEPTHS, HEARS_HZ, WINDOW_S
from .bundle import Bundle, SpaceId
from .device import memory_guard
from .weights import load_weights

EAR = "pictures/beats"
BANDS, FFT, FRAME, HOP = 128, 512, 400, 160  # of the filter bank: 25 ms every 10 ms
MEAN, DEVIATION = 15.41663, 2 * 6.55582  # of its numbers, as published
PREEMPHASIS = 0.97
_LARGEST = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatsConfig:
    """Sizes, by the names of the public checkpoints' ``cfg``; the defaults are those of BEATs iter3+."""

    input_patch_size: int = 16
    embed_dim: int = 512
    encoder_layers: int = 12
    encoder_embed_dim: int = 768
    encoder_ffn_embed_dim: int = 3072
    encoder_attention_heads: int = 12
    conv_pos: int = 128
    conv_pos_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800

    @property
    def places_width(self) -> int:
        """Numbers at each place: three depths."""
        return DEPTHS * self.encoder_embed_dim

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers that are listened to, from 0: a third, two thirds and all of the way."""
        return tuple(self.encoder_layers * (depth + 1) // DEPTHS - 1 for depth in range(DEPTHS))

    @classmethod
    def parse(cls, plain: Any) -> BeatsConfig:
        """From a ``cfg`` or a ``config.json``. Raises ModelRefused for a BEATs of another kind."""
        if not isinstance(plain, Mapping):
            raise ModelRefused("This BEATs has no configuration; take another file.")
        for name, wanted in _FIXED.items():
            if plain.get(name, wanted) != wanted:
                raise ModelRefused(
                    f"This BEATs is of a kind that Footfall does not know ({name} is {plain[name]!r:.40})."
                )
        sizes: dict[str, Any] = {field.name: plain.get(field.name) for field in fields(cls)}
        if any(type(size) is not int or not 1 <= size <= _LARGEST for size in sizes.values()):
            raise ModelRefused("This BEATs has sizes that are missing or wrong.", repr(sizes))
        found = cls(**sizes)
        if (
            found.encoder_embed_dim % found.encoder_attention_heads
            or found.encoder_embed_dim % found.conv_pos_groups
            or found.encoder_layers < DEPTHS
            or BANDS % found.input_patch_size
        ):
            raise ModelRefused("This BEATs has sizes that do not go together.", repr(sizes))
        return found

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {"model_type": "beats", **asdict(self), **_FIXED}


_FIXED = {
    "activation_fn": "gelu",
    "layer_norm_first": False,
    "deep_norm": True,
    "relative_position_embedding": True,
    "gru_rel_pos": True,
    "conv_bias": False,
}


def filter_bank(waves: Tensor) -> Tensor:
    """(N, S) at 16 kHz, full scale 1, to (N, T, 128): Kaldi's log-mel, Povey's window, normalised."""
    frames = (waves.float() * 2**15).unfold(-1, FRAME, HOP)
    frames = frames - frames.mean(-1, keepdim=True)
    frames = frames - PREEMPHASIS * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    window = torch.hann_window(FRAME, periodic=False, device=waves.device) ** 0.85
    power = torch.fft.rfft(frames * window, FFT).abs().square()
    bands = torch.from_numpy(_bands()).to(power)
    logs: Tensor = (power @ bands).clamp_min(torch.finfo(torch.float32).eps).log()
    return (logs - MEAN) / DEVIATION


@functools.cache
def _bands() -> np.ndarray:
    """(257, 128): triangles between even steps of Kaldi's mel scale, 20 Hz to 8 kHz. Some of the lowest are
    narrower than what the spectrum can tell, and empty, as in the network's own training.
    """
    mels = 1127.0 * np.log1p(np.arange(FFT // 2 + 1) * (HEARS_HZ / FFT) / 700.0)[:, None]
    lowest, highest = (1127.0 * np.log1p(hertz / 700.0) for hertz in (20.0, HEARS_HZ / 2))
    edges = np.linspace(lowest, highest, BANDS + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    bands: np.ndarray = np.minimum((mels - low) / (middle - low), (high - mels) / (high - middle))
    return bands.clip(0.0)


class _PositionConv(nn.Module):
    """A wide convolution in groups, whose weights have one length for each tap."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, self.groups = config.encoder_embed_dim, config.conv_pos_groups
        self.weight_g = nn.Parameter(torch.ones(1, 1, config.conv_pos))
        self.weight_v = nn.Parameter(torch.randn(width, width // self.groups, config.conv_pos) * 0.02)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, rows: Tensor) -> Tensor:
        taps = self.weight_v.shape[-1]
        weight = self.weight_g * self.weight_v / self.weight_v.norm(dim=(0, 1), keepdim=True)
        found = nn.functional.conv1d(rows.mT, weight, self.bias, padding=taps // 2, groups=self.groups)
        return gelu(found[..., : rows.shape[1]]).mT


class _Attention(nn.Module):
    """(B, L, D); positions are added to the scores through a gate that the query opens."""

    grep_linear: nn.Linear
    grep_a: Tensor
    relative_attention_bias: nn.Embedding  # of the first layer alone

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width, self.heads = config.encoder_embed_dim, config.encoder_attention_heads
        self.k_proj, self.v_proj, self.q_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.grep_linear = nn.Linear(width // self.heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, self.heads, 1, 1))

    def forward(self, rows: Tensor, positions: Tensor) -> Tensor:
        query, key, value = (
            layer(rows).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        opened, scaled = self.grep_linear(query).unflatten(-1, (2, 4)).sum(-1).sigmoid().chunk(2, dim=-1)
        gate = opened * (scaled * self.grep_a - 1.0) + 2.0
        found = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=gate * positions)
        joined: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return joined


class _Layer(nn.Module):
    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        width = config.encoder_embed_dim
        self.self_attn = _Attention(config)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, config.encoder_ffn_embed_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_embed_dim, width)
        self.final_layer_norm = nn.LayerNorm(width)
        self.alpha = (2 * config.encoder_layers) ** 0.25  # DeepNorm's

    def forward(self, rows: Tensor, positions: Tensor) -> Tensor:
        rows = self.self_attn_layer_norm(rows * self.alpha + self.self_attn(rows, positions))
        rows = self.final_layer_norm(rows * self.alpha + self.fc2(gelu(self.fc1(rows))))
        return rows


class _Encoder(nn.Module):
    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.pos_conv = nn.ModuleList([_PositionConv(config)])
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.encoder_layers))
        # All layers share these; the public files have them once for each.
        first: Any = self.layers[0]
        table = nn.Embedding(config.num_buckets, config.encoder_attention_heads)
        first.self_attn.relative_attention_bias = table
        self.layer_norm = nn.LayerNorm(config.encoder_embed_dim)


class Beats(nn.Module):
    """Sounds to what three layers make of every patch."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        side, width = config.input_patch_size, config.encoder_embed_dim
        self.patch_embedding = nn.Conv2d(1, config.embed_dim, side, side, bias=False)
        self.layer_norm = nn.LayerNorm(config.embed_dim)
        if config.embed_dim != width:
            self.post_extract_proj = nn.Linear(config.embed_dim, width)
        self.encoder = _Encoder(config)

    def forward(self, waves: Tensor) -> Tensor:
        """(N, S) at 16 kHz to (N, P, 3 D); P patches, those of one time together."""
        image = filter_bank(waves)[:, None].to(self.patch_embedding.weight.dtype)
        rows = self.layer_norm(self.patch_embedding(image).flatten(2).mT)
        if self.config.embed_dim != self.config.encoder_embed_dim:
            rows = self.post_extract_proj(rows)
        rows = self.encoder.layer_norm(rows + self.encoder.pos_conv[0](rows))
        positions = self._positions(rows.shape[1])
        depths = []
        for number, layer in enumerate(self.encoder.layers):
            rows = layer(rows, positions)
            if number in self.config.depths:
                depths.append(rows)
        return torch.cat(depths, dim=-1)

    def _positions(self, length: int) -> Tensor:
        """(H, L, L) what the distance of two places adds to their score."""
        first: Any = self.encoder.layers[0]
        table = first.self_attn.relative_attention_bias
        place = torch.arange(length, device=table.weight.device)
        numbers = buckets(place[None] - place[:, None], self.config.num_buckets, self.config.max_distance)
        found: Tensor = table(numbers).permute(2, 0, 1)
        return found

    @staticmethod
    def wants(name: str) -> bool:
        """Whether a tensor of a public checkpoint is one of these, and not a copy or the classifier's."""
        copied = name.endswith("relative_attention_bias.weight") and ".layers.0." not in name
        return not copied and not name.startswith("predictor")


def buckets(distance: Tensor, count: int, farthest: int) -> Tensor:
    """Whole numbers of any sign to 0..count-1: half of them for each direction, near ones one by one, far
    ones ever wider (Raffel et al. 2020).
    """
    half = count // 2
    exact = half // 2
    size = distance.abs()
    wide = exact + (
        torch.log(size.clamp_min(1).float() / exact) / math.log(farthest / exact) * (half - exact)
    ).to(torch.int64)
    number = torch.where(size < exact, size, wide.clamp_max(half - 1))
    return number + (distance > 0).to(torch.int64) * half


class BeatsEar:
    """An ear that listens through BEATs: ten seconds, shorter sounds repeated until they are full."""

    kind = "beats"

    def __init__(self, network: Beats, space: SpaceId) -> None:
        self._network = network
        self.space = space
        self.width = network.config.places_width

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        return (self._network,)

    def places(self, waves: Tensor) -> Tensor:
        weight = self._network.patch_embedding.weight
        full = WINDOW_S * HEARS_HZ
        repeated = waves.repeat(1, -(-full // max(1, waves.shape[-1])))[:, :full]
        with torch.inference_mode(), memory_guard(weight.device, "listening to the sound"):
            found: Tensor = self._network(repeated.to(weight.device)).float()
        return found.clone()


def load_beats(bundle: Bundle, device: torch.device) -> BeatsEar:
    """The BEATs of a bundle that paints. Raises ModelMissing, ModelRefused."""
    config = BeatsConfig.parse(bundle.config(EAR))
    path = bundle.weights(EAR)
    network = load_weights(lambda: Beats(config), path, device=device)
    entry = bundle.files[path.relative_to(bundle.root).as_posix()]
    return BeatsEar(network, SpaceId(name="BEATs", sha256=entry.sha256))
