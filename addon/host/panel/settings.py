# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a request put into the panel, and taken from it: for presets and for takes of any age."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import words_only
from ...presets import SETTINGS
from ...wire.limits import PROMPT
from ...wire.texts import scrub
from .. import orders

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
        elif name == "condition":
            _put_condition(chosen, value)
        elif name == "seed":
            chosen.seed, chosen.random_seed = min(value, 2**31 - 1), False
        elif hasattr(chosen, name):
            setattr(chosen, name, value)


def _put_condition(chosen: Any, condition: str) -> None:
    """Words alone take the place of a picture's source, and a picture theirs."""
    if condition != "picture":
        chosen.source, chosen.words_through = words_only.SOURCE, words_only.through(condition)
    elif chosen.source == words_only.SOURCE:
        chosen.source = "auto"


def taken(chosen: Any) -> dict[str, Any]:
    """What the panel says now, as far as a preset may hold it."""
    found: dict[str, Any] = {}
    for name in SETTINGS:
        if name == "layers":
            found[name] = chosen.layers()
        elif name == "condition":
            found[name] = orders.condition(chosen)
        elif hasattr(chosen, name):
            value = getattr(chosen, name)
            found[name] = scrub(value, PROMPT) if isinstance(value, str) else value
    return found
