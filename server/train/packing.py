# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights rounded so that they pack well: a repository keeps every version of a part for ever."""

from __future__ import annotations

import torch
from torch import Tensor

BITS = 6  # of a mantissa's ten
_MANTISSA, _EXPONENT, _SIGN = 10, 0x7C00, 0x8000


def rounded(weights: Tensor, bits: int = BITS) -> Tensor:
    """float16 -> float16 whose mantissas end in zeros: a compressor takes a fifth off, and no number moves by
    more than a part in ``2 ** (bits + 1)``. What is not finite, and what would no longer be, stays.
    """
    plain = weights.half()
    whole = plain.view(torch.int16).to(torch.int32) & 0xFFFF
    unit = 1 << (_MANTISSA - bits)
    size = ((whole & ~_SIGN) + unit // 2) // unit * unit
    kept = torch.where(size < _EXPONENT, (whole & _SIGN) | size, whole)
    return torch.where(kept > 0x7FFF, kept - 0x10000, kept).to(torch.int16).view(torch.float16)
