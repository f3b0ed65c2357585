# SPDX-License-Identifier: GPL-3.0-or-later
"""The configurations of the public priors and of the CLIPs that they belong to, as plain data.

Sources: the priors' own configurations on the hub (Karlo v1 alpha, Kandinsky 2.1 and 2.2), diffusers'
conversion of Karlo for the range of its predictions, and open_clip's ViT-L-14 (OpenAI's, with its quick
GELU) and ViT-bigG-14.
"""

from __future__ import annotations

from dataclasses import dataclass

from .layouts import CLIP_MEAN, CLIP_STD, Config


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """``within``: the largest number that the prior may predict."""

    clip: str
    within: float


_KINDS = {
    "karlo-v1-alpha-prior": _Kind(clip="L", within=5.0),
    "kandinsky-2-1-prior": _Kind(clip="L", within=10.0),
    "kandinsky-2-2-prior": _Kind(clip="bigG", within=10.0),
}
NAMES = tuple(_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorLayout:
    """``clip/open_clip_config.json`` and ``text_prior/config.json``, without the CLIP that it names."""

    clip: Config
    prior: Config


def prior_layout(name: str, *, tiny: bool = False) -> PriorLayout:
    """``tiny``: the same architecture with small numbers. Raises KeyError."""
    kind = _KINDS[name]
    if tiny:
        clip = _clip(32, vision=(32, 1, 16, 2.0), text=(2, 2), patch=16, quick=kind.clip == "L")
        return PriorLayout(clip=clip, prior=_prior(32, kind.within, heads=2, head_size=16, layers=2))
    if kind.clip == "L":
        clip = _clip(768, vision=(1024, 24, 64, 4.0), text=(12, 12), patch=14, quick=True)
    else:
        clip = _clip(1280, vision=(1664, 48, 104, 4.9231), text=(20, 32), patch=14, quick=False)
    size = clip["model_cfg"]["embed_dim"]
    return PriorLayout(clip=clip, prior=_prior(size, kind.within, heads=32, head_size=64, layers=20))


def _prior(size: int, within: float, *, heads: int, head_size: int, layers: int) -> Config:
    return {
        "_class_name": "PriorTransformer",
        "num_attention_heads": heads,
        "attention_head_dim": head_size,
        "num_layers": layers,
        "embedding_dim": size,
        "num_embeddings": 77,
        "additional_embeddings": 4,
        "clip_sample_range": within,
    }


def _clip(
    size: int, *, vision: tuple[int, int, int, float], text: tuple[int, int], patch: int, quick: bool
) -> Config:
    """``vision``: width, layers, width of a head, growth of the MLP; ``text``: heads, layers; it is ``size``
    wide.
    """
    model: Config = {
        "embed_dim": size,
        "vision_cfg": {
            "image_size": 224,
            "width": vision[0],
            "layers": vision[1],
            "head_width": vision[2],
            "mlp_ratio": vision[3],
            "patch_size": patch,
        },
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": size,
            "heads": text[0],
            "layers": text[1],
        },
    }
    return {
        "model_cfg": model | ({"quick_gelu": True} if quick else {}),
        "preprocess_cfg": {
            "mean": CLIP_MEAN,
            "std": CLIP_STD,
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
