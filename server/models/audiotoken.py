# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioToken (Yariv et al. 2023, arXiv:2305.13050): a sound becomes one word of a frozen painter.

``pictures/embedder`` of a bundle is what was learnt: Linear, GELU, Linear at each place of what the frozen
ear heard, then attention over the places (Schwartz et al. 2019, arXiv:1904.05880: what a place is by itself,
and how much it agrees with the others). Its ``config.json`` names ear and painter; with any other it would
give words of another language, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, normalize, relu

from ...addon.wire.errors import ModelRefused
from .audio_depths import ClapEar, Ear, listen
from .beats import load_beats
from .bundle import Bundle, SpaceId
from .clap import ClapEncoder
from .weights import load_weights

if TYPE_CHECKING:
    import numpy as np

    from .painter import Painter

PART = "pictures/embedder"
KIND = "audiotoken"
PROMPT = "a photo of a"  # before the token


class AttentivePool(nn.Module):
    """(B, P, W) rows of places to (B, W): their mean, weighted by two opinions on each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.local = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.one = nn.Linear(width, width)
        self.other = nn.Linear(width, width)
        self.mix = nn.Linear(2, 1, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        alone = self.score(relu(self.local(rows)))
        other = normalize(self.other(rows), dim=-1).mean(1, keepdim=True)
        agrees = (normalize(self.one(rows), dim=-1) * other).sum(-1, keepdim=True)
        weights: Tensor = self.mix(torch.cat([alone, agrees], dim=-1)).softmax(1)
        return (weights * rows).sum(1)


class Embedder(nn.Module):
    """(B, P, C) places to (B, W) tokens. ``hidden``: as wide as the places, if not said."""

    def __init__(self, width: int, token: int, hidden: int | None = None) -> None:
        super().__init__()
        self.sizes = {"width": width, "token": token, "hidden": hidden or width}
        self.rise = nn.Linear(width, hidden or width)
        self.fall = nn.Linear(hidden or width, token)
        self.pool = AttentivePool(token)

    def forward(self, places: Tensor) -> Tensor:
        rows: Tensor = self.pool(self.fall(gelu(self.rise(places))))
        return rows


class AudioToken:
    """Sounds to tokens that the painter takes beside its words."""

    def __init__(self, ear: Ear, embedder: Embedder) -> None:
        """Use ``load_audiotoken``."""
        self.ear, self.embedder = ear, embedder
        self.width = embedder.sizes["token"]

    def tokens(self, waves: np.ndarray | Tensor | Sequence[np.ndarray], rate_hz: int) -> Tensor:
        """(B, S) sounds at ``rate_hz``, or B sounds of any lengths, to (B, W) float32 on the device.

        Shorter sounds than the ear's window are repeated, longer ones heard in windows. Raises BadInput for
        what cannot be heard.
        """
        sounds = [row.cpu().numpy() if isinstance(row, Tensor) else row for row in waves]
        heard = listen(self.ear, sounds, rate_hz)
        with torch.inference_mode():
            rows = [self.embedder(places[None].to(self.embedder.rise.weight.dtype)) for places in heard]
        return torch.cat(rows).float() if rows else torch.zeros(0, self.width)


def load_audiotoken(bundle: Bundle, painter: Painter, clap: ClapEncoder | None) -> AudioToken:
    """The embedder of a bundle, between the ear and the painter that it was trained with.

    ``clap``: that of the bundle, or of another where it has none; None if there is none to be had. Raises
    ModelMissing; ModelRefused when the embedder belongs to another ear or painter, or is damaged.
    """
    config = bundle.config(PART)
    ear = _ear(bundle, config, clap, painter.device)
    _check_pair(bundle, config, ear.space, painter.backbone)
    sizes = _sizes(bundle, config.get("network"))
    if (sizes["width"], sizes["token"]) != (ear.width, painter.width):
        raise _damaged(bundle, f"{sizes}, but the ear has {ear.width} and the painter {painter.width}")
    device = next(ear.modules[0].parameters()).device
    return AudioToken(ear, load_weights(lambda: Embedder(**sizes), bundle.weights(PART), device=device))


def embedder_config(
    ear: Ear, paints: SpaceId, embedder: Embedder, trained: Mapping[str, Any]
) -> dict[str, Any]:
    """``config.json`` of an embedder. ``trained``: how, for the curious."""
    return {
        "kind": KIND,
        "hears": {"kind": ear.kind, "name": ear.space.name, "sha256": ear.space.sha256},
        "paints": {"name": paints.name, "sha256": paints.sha256},
        "network": dict(embedder.sizes),
        "trained": dict(trained),
    }


def _ear(bundle: Bundle, config: Mapping[str, Any], clap: ClapEncoder | None, device: torch.device) -> Ear:
    kind = _side(bundle, config, "hears").get("kind")
    if kind == "beats":
        return load_beats(bundle, device)
    if kind == "clap" and clap is not None:
        return ClapEar(clap)
    raise ModelRefused(
        f"The sounds' embedder of {bundle.title} listens through {str(kind)[:40]!r}, which is not there "
        "or not known to Footfall; pull the model again."
    )


def _check_pair(bundle: Bundle, config: Mapping[str, Any], hears: SpaceId, paints: SpaceId) -> None:
    for side, found, what in (("hears", hears, "CLAP"), ("paints", paints, "picture model")):
        wanted = _side(bundle, config, side)
        if wanted.get("sha256") != found.sha256 or not found.sha256:
            raise ModelRefused(
                f"The sounds' embedder of {bundle.title} was trained with another {what} "
                f"({str(wanted.get('name'))[:80]}); use the two that belong together, or train one with: "
                "footfall train audiotoken",
                f"{side}: {wanted.get('sha256')} is not {found.sha256} ({found.name})",
            )


def _side(bundle: Bundle, config: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    found = config.get(side)
    if config.get("kind") != KIND or not isinstance(found, dict):
        raise _damaged(bundle, f"{side} is {found!r}")
    return found


def _sizes(bundle: Bundle, network: Any) -> dict[str, int]:
    names = ("width", "token", "hidden")
    if not isinstance(network, dict) or set(network) != set(names):
        raise _damaged(bundle, repr(network))
    if any(type(network[name]) is not int or network[name] < 1 for name in names):
        raise _damaged(bundle, repr(network))
    return {name: network[name] for name in names}


def _damaged(bundle: Bundle, detail: str) -> ModelRefused:
    return ModelRefused(
        f"The sounds' embedder of {bundle.title} has a damaged configuration; pull the model again.",
        detail[:2000],
    )
