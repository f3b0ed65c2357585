# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines whose bundle has trained mappers, and a prior from words to pictures."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.server.making.pipeline import FoleyPipeline

from ..conftest import CAPTIONS, Recorder, settings_for, shot
from .runs import run, same


@pytest.fixture(scope="module")
def mapped(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FoleyPipeline:
    """A pipeline over a copy of the tiny bundle that has every kind of mapper."""
    from footfall.server.models.loaded import load_models
    from footfall.server.models.random_mapper import KINDS, write_random_mapper

    folder = tmp_path_factory.mktemp("mapped")
    shutil.copytree(models_folder / "tiny", folder / "tiny")
    for kind in KINDS:
        write_random_mapper(folder / "tiny", kind, tiny=True)
    load = functools.partial(load_models, texts=CAPTIONS)
    return FoleyPipeline(settings_for(folder), load=load)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"mapper": "bridge"}, "bridge"),
        ({"mapper": "regression"}, "regression"),
        ({"mapper": "generative"}, "generative"),
        ({"mapper": "auto"}, "generative"),
        ({"condition": "clip_text_prior", "prompt": "rain"}, "generative"),
        ({"condition": "clap_text", "prompt": "rain"}, "none"),
    ],
    ids=lambda value: str(value),
)
def test_every_mapper_makes_its_own_sound(mapped: FoleyPipeline, changes: dict[str, Any], name: str) -> None:
    first = run(mapped, shot(**changes, loudness_lufs=-20.0))
    assert first.provenance.mapper == name
    mapped.release()
    assert same(first, run(mapped, shot(**changes, loudness_lufs=-20.0)))


def test_a_generative_mapper_can_be_stopped_at_each_step(mapped: FoleyPipeline) -> None:
    mapped.run(shot(), Recorder())
    control = Recorder()
    mapped.run(shot(mapper="generative", steps=1), control)
    told = [fraction for phase, fraction in control.told if phase == "mapping"]
    assert len(told) > 4
    assert control.checks > 8
    for stop_at in range(1, 8):
        stopped = Recorder(stop_at=stop_at)
        with pytest.raises(Cancelled):
            mapped.run(shot(mapper="generative", steps=1), stopped)
