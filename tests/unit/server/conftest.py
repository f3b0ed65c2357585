# SPDX-License-Identifier: GPL-3.0-or-later
"""One tiny bundle with its models, loaded once, for the tests of the pipeline and what it is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.addon.wire.handshake import WorkerSettings
from footfall.addon.wire.messages import FoleyRequest

if TYPE_CHECKING:
    from footfall.server.making.pipeline import FoleyPipeline
    from footfall.server.models.loaded import Models

CAPTIONS = ("rain on a roof", "a knock on wood", "glass breaking", "wind in trees")


@dataclass
class Recorder:
    """A JobControl that counts questions, remembers progress, and stops at the question ``stop_at``."""

    stop_at: int = -1
    checks: int = 0
    told: list[tuple[str, float]] = field(default_factory=list)

    def check(self) -> None:
        self.checks += 1
        if self.checks == self.stop_at:
            raise Cancelled

    def progress(self, phase: str, fraction: float) -> None:
        self.told.append((phase, fraction))


@pytest.fixture(scope="session")
def models_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one bundle, ``tiny``."""
    from footfall.server.models.random_bundle import write_random_bundle

    folder = tmp_path_factory.mktemp("models")
    write_random_bundle("audioldm-s-full-v2", folder / "tiny", tiny=True)
    return folder


@pytest.fixture(scope="session")
def models(models_folder: Path) -> Models:
    """The tiny bundle's models. They hold no state that a job may change."""
    import torch
    from footfall.server.models.bundle import open_bundle
    from footfall.server.models.loaded import load_models

    bundle = open_bundle(models_folder / "tiny")
    cache = models_folder / ".cache"
    return load_models(bundle, torch.device("cpu"), torch.float32, Recorder(), cache, CAPTIONS)


@pytest.fixture(scope="session")
def make_pipeline(models_folder: Path, models: Models) -> Callable[[], FoleyPipeline]:
    """A pipeline that remembers nothing yet, with models that are there already."""
    from footfall.server.making.pipeline import FoleyPipeline

    return lambda: FoleyPipeline(settings_for(models_folder), load=lambda *_: models)


def settings_for(folder: Path) -> WorkerSettings:
    return WorkerSettings(
        key="0" * 64, parent_pid=0, models_dir=str(folder), log_dir=str(folder), device="cpu"
    )


def shot(**changes: Any) -> FoleyRequest:
    """A request for half a second with two frames, three steps; anything may be changed."""
    frames = np.random.default_rng(3).integers(0, 256, (2, 48, 64, 3), np.uint8)
    plain: dict[str, Any] = {
        "frames": frames,
        "times_s": np.array([0.0, 0.25]),
        "duration_s": Fraction(1, 2),
        "bundle": "tiny",
        "steps": 3,
        "seed": 11,
    }
    return FoleyRequest(**(plain | changes))
