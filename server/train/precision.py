# SPDX-License-Identifier: GPL-3.0-or-later
"""In which precision a device trains: fast where its arithmetic allows, float32 otherwise."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ...addon.wire.errors import BadInput

PRECISIONS = ("auto", "float32", "bf16", "fp16")


def pick_precision(device: torch.device, wanted: str = "auto") -> torch.dtype:
    """The type that autocast computes in. Raises BadInput for an unknown name.

    ``auto``: bfloat16 on a processor that multiplies it in hardware (AMX or AVX-512 BF16) and on CUDA cards
    that do, float16 with loss scaling on other CUDA cards, float32 everywhere else, Apple's Metal included.
    """
    known = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if wanted in known:
        return known[wanted]
    if wanted != "auto":
        raise BadInput(f"There is no precision named {wanted[:40]!r}; choose one of {', '.join(PRECISIONS)}.")
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return torch.bfloat16 if able.get("amx_bf16") or able.get("avx512_bf16") else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Around every loss; nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)
