# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the numbers in a part's configuration may be: far above any model that exists, and no more.

Every configuration of a bundle is held to this when it is read, before anything is built from it. Most of a
network takes no memory while it is built (weights.py), but position tables, masks and indices do: they grow
with the square of a number that nobody has checked against the weights yet.
"""

from __future__ import annotations

from typing import Any

LARGEST = 4096  # of any number that is not named here
ITEMS = 64  # of any list
_LIMITS = {  # least and largest, by name
    "head_size": (1, 256),
    "heads": (1, 64),
    "hidden": (1, 65_536),
    "image_size": (1, 1024),
    "intermediate_size": (1, 32_768),
    "num_attention_heads": (1, 64),
    "patch_size": (4, 64),
    "sampling_rate": (1, 200_000),
    "vocab_size": (1, 500_000),
    "window_size": (1, 32),
} | {f"{token}_token_id": (-1, 500_000) for token in ("bos", "decoder_start", "eos", "pad")}
# How a part was trained, and what transformers writes for "no limit": nothing is built of it.
_UNREAD = frozenset({"trained", "model_max_length"})


def out_of_bounds(config: Any) -> str:
    """The first number, or list, that is too large (or too small), as ``NAME: VALUE``; empty if none is."""
    waiting = [("", config)]
    while waiting:
        name, found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend((key, value) for key, value in found.items() if key not in _UNREAD)
        elif isinstance(found, list):
            if len(found) > ITEMS:
                return f"{name[:60]}: {len(found)} items"
            waiting.extend((name, item) for item in found)
        elif isinstance(found, int | float) and not isinstance(found, bool):
            least, largest = _LIMITS.get(name, (-LARGEST, LARGEST))
            if not least <= found <= largest:  # as NaN never is
                return f"{name[:60]}: {found!r:.40}"
    return ""
