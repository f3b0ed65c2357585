# SPDX-License-Identifier: GPL-3.0-or-later
"""On CUDA or Metal: near the CPU's sound, twice the same, no wait for the device inside the loop, memory
given back.

Run with ``pytest -m gpu`` on a machine that has one; elsewhere these are not selected, or skipped aloud.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.server.making.pipeline import FoleyPipeline
from footfall.server.models import device as devices

from .conftest import Recorder, settings_for, shot

KIND = next((kind for kind in devices.available() if kind != "cpu"), "")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not KIND, reason="NO GPU: neither CUDA nor Metal is here")]


def pipeline(folder: Path, kind: str) -> FoleyPipeline:
    return FoleyPipeline(replace(settings_for(folder), device=kind))


def sound(made: FoleyPipeline, **changes: object) -> np.ndarray:
    return made.run(shot(**changes), Recorder()).clips[0].waveform


def test_near_the_cpu_and_twice_the_same(models_folder: Path) -> None:
    there = pipeline(models_folder, KIND)
    first = sound(there)
    np.testing.assert_allclose(first, sound(pipeline(models_folder, KIND)), atol=1e-3)
    near = np.corrcoef(first[:, 0], sound(pipeline(models_folder, "cpu"))[:, 0])[0, 1]
    assert near > 0.95


@pytest.mark.skipif(KIND != "cuda", reason="only CUDA tells when the host waits for it")
def test_the_loop_never_waits_for_the_device(models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from footfall.server.sampling import solvers

    made = pipeline(models_folder, KIND)
    sound(made)  # everything is loaded
    sample = solvers.sample

    def watched(*arguments: object, **options: object) -> object:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return sample(*arguments, **options)  # type: ignore[arg-type]
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(solvers, "sample", watched)
    sound(made, seed=99)


def test_release_gives_the_memory_back(models_folder: Path) -> None:
    made = pipeline(models_folder, KIND)
    before = made.memory().device_bytes
    sound(made)
    made.release()
    assert made.memory().device_bytes <= before + 50_000_000
