# SPDX-License-Identifier: GPL-3.0-or-later
"""What every figure is to be read against: true sounds, them in wrong shots, silence, shaped noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

REAL = "real sounds"
SHUFFLED = "real sounds of other shots"
SILENCE = "silence"
NOISE = "spectrum-shaped noise"
REFERENCES = (REAL, SHUFFLED, SILENCE, NOISE)


def silence(count: int, samples: int) -> list[np.ndarray]:
    return [np.zeros(samples, np.float32) for _ in range(count)]


def shaped_noise(sounds: Sequence[np.ndarray], count: int, seed: int = 0) -> list[np.ndarray]:
    """``count`` Gaussian noises with the mean power spectrum of all ``sounds`` (all of one length)."""
    samples = len(sounds[0])
    power = np.mean([np.square(np.abs(np.fft.rfft(sound.astype(np.float64)))) for sound in sounds], axis=0)
    found = []
    for number in range(count):
        white = np.random.default_rng((seed, number)).standard_normal(samples)
        shaped = np.fft.irfft(np.fft.rfft(white) * np.sqrt(power / samples), samples)
        found.append(shaped.astype(np.float32))
    return found


def wrong_partners(groups: Sequence[str], seed: int = 0) -> np.ndarray:
    """A partner (N,) for each of N shots, out of another family if there are two: each used once.

    Sorted by family and moved round by the size of the largest one, no shot meets its own family while none
    makes up more than half of all.
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    names = np.asarray(groups)[order]
    order = order[np.argsort(names, kind="stable")]
    largest = int(np.unique(names, return_counts=True)[1].max()) if len(groups) else 0
    partners = np.empty(len(groups), np.int64)
    partners[order] = np.roll(order, -min(largest, max(1, len(groups) - 1)))
    return partners
