# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits and knocks for the tests of the spots layer."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from footfall.addon.wire.messages import Event
from footfall.server.sound.clusters import Cluster

RATE = 48_000


def knock(attack_s: float = 0.3, rate_hz: int = 16_000, noise: float = 0.002, seed: int = 1) -> np.ndarray:
    """2.56 s of quiet noise with a decaying burst at ``attack_s``."""
    random = np.random.default_rng(seed)
    time = np.arange(round(2.56 * rate_hz)) / rate_hz - attack_s
    burst = np.where(time >= 0, np.exp(-np.maximum(time, 0) / 0.05), 0.0)
    return (burst * random.normal(0, 0.3, len(time)) + random.normal(0, noise, len(time))).astype(np.float32)


def bell(seconds: float = 2.0, pitch_hz: float = 900.0, rings_s: float = 0.6) -> np.ndarray:
    """(M,) a strike that rings on for long, at RATE."""
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.exp(-time / rings_s) * np.cos(2 * np.pi * pitch_hz * time)).astype(np.float32)


def hit(time_s: Fraction | float, words: str = "wood", **more: Any) -> Event:
    return Event(time_s=Fraction(time_s), words=words, **more)


def cluster(*events: Event) -> Cluster:
    return Cluster(words=events[0].words, events=events, numbers=tuple(range(len(events))))
