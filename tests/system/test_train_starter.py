# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall train starter``, everything tiny: from nothing to a bundle that makes a sound; and again."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.handshake import WorkerSettings
from footfall.addon.wire.messages import FoleyRequest
from footfall.cli.__main__ import main
from footfall.server.models.bundle import open_bundle
from footfall.server.train.parts import DIFFUSERS_WEIGHTS as WEIGHTS
from footfall.server.train.shards import read_shards
from footfall.server.worker.outcome import check_rendering

# The pictures come from the bpy module, in processes of its own.
pytestmark = [
    pytest.mark.blender,
    pytest.mark.timeout(900),  # a quarter of a minute by itself; a busy machine may take long
    pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="pictures need Blender's module"),
]

SHOTS = {"train": 4, "judge": 3, "scene": 2, "combo": 1}
STEPS = 2
TRAININGS = (
    *("clip", "clap", "vae", "vocoder", "audioldm", "decoder"),
    *("mapper-regression", "mapper-generative", "judge"),
    *("picture-vae", "painter", "audiotoken", "prior"),
)


@dataclass
class Listener:
    """A JobControl that never stops anything."""

    phases: list[str] = field(default_factory=list)

    def check(self) -> None:
        pass

    def progress(self, phase: str, fraction: float) -> None:
        self.phases.append(phase)


def train(work: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    words = ["train", "starter", "--work", str(work), "--tiny", "--json", "--workers", "1"]
    words += ["--steps", str(STEPS), "--device", "cpu", "--precision", "float32"]
    for split, count in SHOTS.items():
        words += ["--shots", f"{split}={count}"]
    code = main(words)
    told = capsys.readouterr()
    assert code == 0, told.err
    report: dict[str, Any] = json.loads(told.out)
    return report


def written(work: Path) -> Mapping[str, int | str]:
    """When each file was written that a second run has no reason to touch, and what the logs say."""
    found: dict[str, int | str] = {}
    for pattern in (
        "world/*.tar",
        "features/*.safetensors",
        "*/state/*",
        "*/kept/*",
        "*/heard/*",
        "vocabulary/*/*",
    ):
        found |= {str(path.relative_to(work)): path.stat().st_mtime_ns for path in work.glob(pattern)}
    return found | {str(path.relative_to(work)): path.read_text() for path in work.glob("*/log.jsonl")}


def test_the_whole_chain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = tmp_path / "work"
    report = train(work, capsys)
    assert report["parts"]["world"]["failed"] == []
    assert report["parts"]["world"]["made"]["sounds"] == sum(SHOTS.values())
    assert report["parts"]["world"]["made"]["pictures"] > 0
    for name in TRAININGS:
        assert (report["parts"][name]["step"], report["parts"][name]["done"]) == (STEPS, True)
    bundle = open_bundle(work / "starter")
    bundle.check(*bundle.files)
    assert set(bundle.mappers) >= {"regression", "generative"}
    assert bundle.makes == ("sound", "pictures")
    assert bundle.has("pictures/embedder")
    assert bundle.weights("vae").read_bytes() == (work / "decoder" / "part" / WEIGHTS).read_bytes()
    assert report["bytes"] == bundle.size_bytes

    _makes_a_sound(work, tmp_path / "models")

    before = written(work)
    again = train(work, capsys)
    assert again["parts"]["world"]["made"] == {"sounds": 0, "pictures": 0}
    for name in TRAININGS:
        assert again["parts"][name]["step"] == STEPS
    assert written(work) == before
    assert open_bundle(work / "starter").sha256 == bundle.sha256


def _makes_a_sound(work: Path, models: Path) -> None:
    """The worker's pipeline with the new bundle, from pictures of the world, by either mapper."""
    from footfall.server.making.pipeline import FoleyPipeline

    shutil.copytree(work / "starter", models / "starter")
    sample = next(sample for sample in read_shards(work / "world", "scene") if len(sample.frames))
    pipeline = FoleyPipeline(
        WorkerSettings(key="0" * 64, parent_pid=0, models_dir=str(models), log_dir=str(models), device="cpu")
    )
    for mapper in ("regression", "generative"):
        request = FoleyRequest(
            frames=sample.frames,
            times_s=np.arange(len(sample.frames)) * 0.25,
            duration_s=Fraction(2),
            prompt=sample.shot.captions[0],
            bundle="starter",
            mapper=mapper,
            steps=2,
        )
        listener = Listener()
        made = check_rendering(pipeline.run(request, listener), request)
        (clip,) = made.clips
        assert clip.waveform.shape == (96_000, 1)
        assert np.isfinite(clip.waveform).all()
        assert np.abs(clip.waveform).max() > 1e-4
        assert made.provenance.mapper == mapper
        assert "decoding" in listener.phases
