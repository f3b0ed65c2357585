# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that push the sound: a condition moves along the great circle towards the words' embedding.

AudioLDM has only seen unit vectors, so a nudge must stay on the unit sphere; a straight mix would leave it.
"""

from __future__ import annotations

import torch
from torch import Tensor

PARALLEL = 1e-4  # radians; nearer than this, or nearer to opposite, the great circle is not defined well


def move(condition: Tensor, toward: Tensor | None, strength: float) -> Tensor:
    """Spherical interpolation (Shoemake 1985) from each row towards one vector.

    condition: (W, D) unit rows; toward: (D,) unit or None; strength 0..1: 0 gives ``condition`` itself, bit
    by bit, 1 gives ``toward`` in every row. Returns (W, D) unit rows.
    """
    if toward is None or strength <= 0.0:
        return condition
    target = toward.to(condition).expand_as(condition)
    if strength >= 1.0:
        return target.clone()
    cosine = (condition * target).sum(-1, keepdim=True).clamp(-1.0, 1.0)
    angle = torch.arccos(cosine)
    sine = torch.sin(angle)
    safe = torch.where(sine > PARALLEL, sine, torch.ones_like(sine))
    near = torch.sin((1.0 - strength) * angle) / safe
    far = torch.sin(strength * angle) / safe
    moved = torch.where(sine > PARALLEL, near * condition + far * target, _mixed(condition, target, strength))
    return torch.nn.functional.normalize(moved, dim=-1)


def _mixed(condition: Tensor, target: Tensor, strength: float) -> Tensor:
    """For vectors (nearly) parallel or opposite: a straight mix, pushed off the pole by one axis if it
    vanishes.
    """
    mixed = (1.0 - strength) * condition + strength * target
    vanishing = mixed.norm(dim=-1, keepdim=True) < PARALLEL
    aside = torch.zeros_like(mixed)
    aside[..., 0] = 1.0
    return torch.where(vanishing, aside, mixed)
