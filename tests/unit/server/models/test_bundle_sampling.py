# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle says about how it wants to be sampled: read strictly, kept, and obeyed."""

from __future__ import annotations

import math
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.errors import ModelRefused
from footfall.addon.wire.messages import FoleyRequest
from footfall.server.making.job import chosen_quality
from footfall.server.models import manifest
from footfall.server.sampling.guidance import Interval
from footfall.server.sampling.quality import QUALITIES, quality
from footfall.server.sampling.schedules import SOLVERS
from footfall.server.train.audioldm import SAMPLING

WISHES: dict[str, dict[str, Any]] = {
    "draft": {"steps": 8, "solver": "ddim"},
    "good": {"guidance": 3.5, "low": 0.5, "high": 60.0, "rescale": 0.3},
}


def said(**more: Any) -> manifest.Manifest:
    entry = manifest.FileEntry(size=3, sha256="0" * 64)
    return manifest.Manifest(
        name="x",
        title="X",
        licence="CC0",
        commercial=True,
        sampling_rate=16000,
        clip="a",
        clap="b",
        files={"unet/config.json": entry},
        **more,
    )


def request(**more: Any) -> FoleyRequest:
    plain: dict[str, Any] = {
        "frames": np.zeros((0, 8, 8, 3), np.uint8),
        "times_s": np.zeros(0),
        "prompt": "rain",
        "condition": "clap_text",
        "bundle": "x",
        "duration_s": Fraction(1),
    }
    return FoleyRequest(**(plain | more))


@pytest.mark.parametrize("wishes", [WISHES, SAMPLING])
def test_wishes_are_written_and_read_back(tmp_path: Path, wishes: dict[str, dict[str, Any]]) -> None:
    manifest.write(tmp_path, said(sampling=wishes))
    assert manifest.read(tmp_path)[0].sampling == wishes
    manifest.write(tmp_path, said())
    assert manifest.read(tmp_path)[0].sampling == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[sampling]\ndraft = 1", "sampling.draft"),
        ("[sampling.worst]\nsteps = 1", "sampling.worst"),
        ("[sampling.good]\nsteps = 0", "sampling.good.steps"),
        ("[sampling.good]\nsteps = 2.5", "sampling.good.steps"),
        ("[sampling.good]\nsteps = true", "sampling.good.steps"),
        ("[sampling.good]\nguidance = nan", "sampling.good.guidance"),
        ("[sampling.good]\nguidance = -1.0", "sampling.good.guidance"),
        ("[sampling.good]\nhigh = inf", "sampling.good.high"),
        ("[sampling.good]\nlow = 2.0\nhigh = 1.0", "sampling.good.high"),
        ('[sampling.good]\nsolver = "euler"', "sampling.good.solver"),
        ("[sampling.good]\nspeed = 1", "sampling.good.speed"),
    ],
)
def test_other_wishes_are_refused(tmp_path: Path, text: str, words: str) -> None:
    manifest.write(tmp_path, said())
    plain = tomllib.loads((tmp_path / manifest.FILE).read_text() + "\n" + text)
    with pytest.raises(ModelRefused, match=words):
        manifest.parse(plain, tmp_path)


def test_a_bundle_may_wish_for_every_solver() -> None:
    assert manifest.SOLVERS == SOLVERS


def test_a_quality_is_the_table_changed_by_the_bundle() -> None:
    assert quality("good", {}) == QUALITIES["good"]
    assert quality("best", WISHES) == QUALITIES["best"]
    good = quality("good", WISHES)
    assert (good.guidance, good.rescale, good.interval) == (3.5, 0.3, Interval(0.5, 60.0))
    assert (good.steps, good.solver) == (QUALITIES["good"].steps, QUALITIES["good"].solver)
    low_only = quality("good", {"good": {"low": 0.1}})
    assert math.isclose(low_only.interval.low, 0.1)
    assert low_only.interval.high == QUALITIES["good"].interval.high


def test_the_request_has_the_last_word() -> None:
    assert chosen_quality(request(), WISHES).guidance == 3.5
    asked = chosen_quality(request(quality="draft", steps=3, guidance=1.5), WISHES)
    assert (asked.steps, asked.guidance, asked.solver) == (3, 1.5, "ddim")
