# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a request put into the panel, and taken from it: for presets and for takes of any age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..presets import SETTINGS
from ..wire.limits import PROMPT
from ..wire.texts import scrub

# What a take was made with beside what a preset may hold.
MADE_WITH = (*SETTINGS, "seed", "bundle")


def put(chosen: Any, settings: Mapping[str, Any]) -> None:
    """Set those of ``settings`` that the panel has. A seed is kept from then on, not drawn anew."""
    for name in MADE_WITH:
        if name not in settings:
            continue
        value = settings[name]
        if name == "layers":
            chosen.bed, chosen.spots = "bed" in value, "spots" in value
        elif name == "bundle":
            chosen.bundle_name = value
        elif name == "seed":
            chosen.seed, chosen.random_seed = min(value, 2**31 - 1), False
        elif hasattr(chosen, name):
            setattr(chosen, name, value)


def taken(chosen: Any) -> dict[str, Any]:
    """What the panel says now, as far as a preset may hold it."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        if name == "layers":
            found[name] = chosen.layers()
        elif hasattr(chosen, name):
            value = getattr(chosen, name)
            found[name] = scrub(value, PROMPT) if isinstance(value, str) else value
    return found
