# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that push the sound: a condition moves along the great circle towards the words' embedding.

AudioLDM has only seen unit vectors, so a nudge must stay on the unit sphere; a straight mix would leave it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

ROUNDS = 32  # over all bans
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
    along, across = _legs(condition.float(), target.float())
    angle = strength * torch.atan2(across.norm(dim=-1, keepdim=True), along)
    return _turn(condition.float(), across, angle).to(condition)


def pulled(condition: Tensor, pulls: Sequence[tuple[Tensor, float]]) -> Tensor:
    """Each row towards some vectors and away from others: (toward (D,) unit, weight -1..1).

    A positive weight goes as ``move``. A negative one takes the row away from the vector by its share of
    what is missing to a right angle: at -1 nothing of it is left, and what points away from it already
    stays. Those at -1 win over all others. Without a weight the rows are ``condition`` itself, bit by bit.
    """
    for toward, weight in sorted(pulls, key=lambda pull: pull[1] < 0.0):
        if weight > 0.0:
            condition = move(condition, toward, weight)
        elif -1.0 < weight < 0.0:
            condition = _away(condition, toward, -weight)
    banned = [toward for toward, weight in pulls if weight <= -1.0]
    for _ in range(ROUNDS if len(banned) > 1 else len(banned)):  # a ban may bring back a bit of another
        for toward in banned:
            condition = _away(condition, toward, 1.0)
    return condition


def _away(condition: Tensor, source: Tensor, strength: float) -> Tensor:
    start = condition.float()
    along, across = _legs(start, source.to(condition).expand_as(condition).float())
    missing = math.pi / 2 - torch.atan2(across.norm(dim=-1, keepdim=True), along)
    turned = _turn(start, across, -strength * missing.clamp_min(0.0)).to(condition)
    return torch.where(missing > 0.0, turned, condition)


def _legs(start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """``end`` as its part along each row and the rest: the angle follows from both, not from its cosine
    alone, which is blind to small angles.
    """
    along = _dot(start, end)
    across = end - along * start
    return along, across - _dot(start, across) * start


def _turn(start: Tensor, across: Tensor, angle: Tensor) -> Tensor:
    """Each row turned by ``angle`` into the direction of ``across``, which is at a right angle to it."""
    length = across.norm(dim=-1, keepdim=True)
    sideways = torch.where(length > PARALLEL, across / length.clamp_min(PARALLEL), _any_right_angle(start))
    return normalize(torch.cos(angle) * start + torch.sin(angle) * sideways, dim=-1)


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(-1, keepdim=True)


def _any_right_angle(rows: Tensor) -> Tensor:
    """A unit vector at a right angle to each row: the way to the opposite, where all ways are as good."""
    axis = one_hot(rows.abs().argmin(-1), rows.shape[-1]).to(rows)
    return normalize(axis - _dot(rows, axis) * rows, dim=-1)
