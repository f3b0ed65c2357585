# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pipeline makes of odd requests, of bundles that do not fit, and of machines too small."""

from __future__ import annotations

import functools
import json
import shutil
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import Cancelled, ModelError, ModelMissing, OutOfMemory
from footfall.server.making.pipeline import FoleyPipeline

from ..conftest import CAPTIONS, Recorder, settings_for, shot

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models

from .runs import Make, run, same


@pytest.mark.parametrize(
    "changes",
    [
        {"frames": np.zeros((2, 48, 64, 3), np.uint8)},
        {"frames": np.zeros((1, 8, 8, 3), np.uint8), "times_s": np.array([3.0])},
        {"frames": np.full((2, 1024, 9, 3), 255, np.uint8)},
        {"frames": np.zeros((2, 33, 517, 3), np.uint8)},
        {"prompt": "x" * 10_000},
        {"prompt": "🔨💥🌧️ дождь 雨 مطر", "negative_prompt": "🎵"},
        {"seed": 2**63 - 1},
        {"duration_s": Fraction(1, 100)},
        {"duration_s": Fraction(5, 100)},
        {"guidance": 30.0},
        {"guidance": 0.5},
        {"mapper": "bridge"},
        {"condition": "clip_text", "prompt": "rain"},
        {
            "frames": np.zeros((0, 8, 8, 3), np.uint8),
            "times_s": np.zeros(0),
            "condition": "clap_text",
            "prompt": "rain",
        },
    ],
    ids=lambda changes: " ".join(changes),
)
def test_odd_requests_are_served(make_pipeline: Make, changes: dict[str, Any]) -> None:
    done = run(make_pipeline(), shot(**changes))
    assert np.isfinite(done.clips[0].waveform).all()


@pytest.mark.slow
def test_twenty_minutes_are_possible(make_pipeline: Make) -> None:
    """Stopped at its second step: the plan, the noise and the batches of a very long sound."""
    control = Recorder(stop_at=25)
    with pytest.raises(Cancelled):
        make_pipeline().run(shot(duration_s=Fraction(1200)), control)
    assert 0 < max(fraction for phase, fraction in control.told if phase == "sampling") < 1


def test_an_unknown_bundle_is_a_sentence(models_folder: Path) -> None:
    pipeline = FoleyPipeline(settings_for(models_folder))
    with pytest.raises(ModelMissing, match="footfall models"):
        pipeline.run(shot(bundle="nowhere"), Recorder())


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("unet", {"class_embed_type": None, "class_embeddings_concat": False}),
        ("unet", {"in_channels": 4, "out_channels": 4}),
        ("unet", {"block_out_channels": [8]}),
        ("vae", {"act_fn": "magic"}),
        ("vae", {"up_block_types": ["UpDecoderBlock2D"]}),
        ("vocoder", {"sampling_rate": 22_050}),
        ("vocoder", {"upsample_rates": [5, 4]}),
        ("vocoder", {"resblock_kernel_sizes": "three"}),
        ("scheduler", {"beta_schedule": "magic"}),
    ],
    ids=str,
)
def test_parts_that_do_not_belong_together_are_refused(
    models_folder: Path, tmp_path: Path, part: str, change: dict[str, Any]
) -> None:
    from footfall.server.models import manifest
    from footfall.server.models.loaded import load_models

    root = tmp_path / "tiny"
    shutil.copytree(models_folder / "tiny", root)
    path = root / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    manifest.seal(root, manifest.read(root)[0])
    load = functools.partial(load_models, texts=CAPTIONS)
    with pytest.raises(ModelError):
        FoleyPipeline(settings_for(tmp_path), load=load).run(shot(), Recorder())


@pytest.mark.parametrize("place", ["network", "mel", "vocoder"])
def test_out_of_memory_is_told_and_the_next_job_succeeds(
    make_pipeline: Make, models: Models, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    expected = run(make_pipeline(), shot())
    pipeline = make_pipeline()

    def full(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    with monkeypatch.context() as broken:
        if place == "vocoder":
            broken.setattr(models, "vocoder", full)
            broken.setattr(full, "hop", 160, raising=False)
            broken.setattr(full, "rate_hz", 16_000, raising=False)
            broken.setattr(full, "mels", 64, raising=False)
        else:
            broken.setattr(models.audioldm, {"network": "predict", "mel": "mel"}[place], full)
        with pytest.raises(OutOfMemory, match="memory"):
            pipeline.run(shot(), Recorder())
    assert same(run(pipeline, shot()), expected)


def test_numbers_that_are_no_sound_are_an_error(
    make_pipeline: Make, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = make_pipeline()
    with monkeypatch.context() as broken:
        broken.setattr(models.audioldm, "predict", lambda rows, time, labels: rows * float("nan"))
        with pytest.raises(ModelError, match="another seed"):
            pipeline.run(shot(), Recorder())
    run(pipeline, shot())


def test_loading_through_the_front_door(models_folder: Path) -> None:
    """The real loader, with progress, a cancel half-way, and release."""
    pipeline = FoleyPipeline(settings_for(models_folder))
    assert pipeline.device() == "CPU"
    assert "tiny" in {info.name for info in pipeline.bundles()}
    stopped = Recorder(stop_at=3)
    with pytest.raises(Cancelled):
        pipeline.run(shot(), stopped)
    control = Recorder()
    pipeline.run(shot(steps=1), control)
    loading = [fraction for phase, fraction in control.told if phase == "loading"]
    assert loading == sorted(loading)
    assert loading[-1] == 1.0
    warm = Recorder()
    pipeline.run(shot(steps=1, seed=2), warm)
    assert "loading" not in {phase for phase, _ in warm.told}
    pipeline.release()
    assert pipeline.memory().process_bytes > 0
