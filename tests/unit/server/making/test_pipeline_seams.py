# SPDX-License-Identifier: GPL-3.0-or-later
"""A long bed has no seam: where windows meet, energy and spectrum change no more than elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from footfall.server.making.rendering import Batch, decode, sample
from footfall.server.sampling import windows
from footfall.server.sampling.quality import QUALITIES

from ..conftest import Recorder

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models

HOP = 640  # one latent column


def changes(sound: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Change of energy in dB, and spectral flux, between neighbouring columns."""
    columns = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    energy = 10 * np.log10(np.square(columns).mean(1) + 1e-12)
    spectrum = np.log(np.abs(np.fft.rfft(columns * np.hanning(HOP), axis=1)) + 1e-6)
    return np.abs(np.diff(energy)), np.abs(np.diff(spectrum, axis=0)).mean(1)


def test_a_minute_has_no_seam(models: Models) -> None:
    samples = 30 * 16_000
    columns = windows.columns_for(samples, models.column_samples)
    plan = windows.plan(columns, windows.LONGEST, windows.OVERLAP)
    assert len(plan) > 3
    # Two scenes under the same roof: every second window has another condition.
    vectors = torch.nn.functional.normalize(
        torch.randn(3, 512, generator=torch.Generator().manual_seed(2)), dim=-1
    )
    batch = Batch(
        names=(("seams",),),
        seed=1,
        samples=samples,
        windows=plan,
        conditions=torch.stack([vectors[index % 2] for index in range(len(plan))]).unsqueeze(0),
        negative=vectors[2],
        quality=QUALITIES["draft"],
    )
    with torch.inference_mode():
        latents = sample(models, batch, Recorder(), lambda fraction: None)
        sound = decode(models, latents, samples, Recorder(), lambda fraction: None)[0]
    assert len(sound) == samples
    pieces = windows.plan(columns, windows.LONGEST, windows.MEL_OVERLAP)
    edges = {edge for one in (plan, pieces) for start, stop in one for edge in (start, stop)}
    inner = [edge for edge in edges if 4 < edge < columns - 24]
    near = sorted({edge + aside for edge in inner for aside in (-2, -1, 0)})
    for found in changes(sound):
        elsewhere = np.delete(found, near)
        assert found[near].mean() < elsewhere.mean() * 1.25
        assert found[near].max() <= elsewhere.max() * 1.25
