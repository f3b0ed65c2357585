# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that push the sound: a condition moves along the great circle towards the words' embedding.

AudioLDM has only seen unit vectors, so a nudge must stay on the unit sphere; a straight mix would leave it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

PARALLEL = 1e-5  # length of what is left of a unit vector without its share along another: below it, rounding


def move(condition: Tensor, toward: Tensor | None, strength: float) -> Tensor:
    """Spherical interpolation from each row towards one vector, by the share ``strength`` of their angle.

    condition: (W, D) unit rows; toward: (D,) unit or None; strength 0..1: 0 gives ``condition`` itself, bit
    by bit, 1 gives ``toward`` in every row. Returns (W, D) unit rows.
    """
    if toward is None or strength <= 0.0:
        return condition
    target = toward.to(condition).expand_as(condition)
    if strength >= 1.0:
        return target.clone()
    start, end = condition.float(), target.float()
    # From the two legs of the angle, not from its cosine alone, which is blind to small angles.
    along = _dot(start, end)
    across = end - along * start
    across = across - _dot(start, across) * start
    length = across.norm(dim=-1, keepdim=True)
    angle = strength * torch.atan2(length, along)
    sideways = torch.where(length > PARALLEL, across / length.clamp_min(PARALLEL), _any_right_angle(start))
    return normalize(torch.cos(angle) * start + torch.sin(angle) * sideways, dim=-1).to(condition)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(-1, keepdim=True)


def _any_right_angle(rows: Tensor) -> Tensor:
    """A unit vector at a right angle to each row: the way to the opposite, where all ways are as good."""
    axis = one_hot(rows.abs().argmin(-1), rows.shape[-1]).to(rows)
    return normalize(axis - _dot(rows, axis) * rows, dim=-1)
