# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines whose bundle has trained mappers, and a prior from words to pictures."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.server.making.pipeline import CACHE_FOLDER, FoleyPipeline

from ..conftest import CAPTIONS, Recorder, settings_for, shot
from .runs import run, same


@pytest.fixture(scope="module")
def folder(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny bundle that has every kind of mapper."""
    from footfall.server.models.random_mapper import KINDS, write_random_mapper

    folder = tmp_path_factory.mktemp("mapped")
    shutil.copytree(models_folder / "tiny", folder / "tiny")
    for kind in KINDS:
        write_random_mapper(folder / "tiny", kind, tiny=True)
    return folder


def pipeline(folder: Path, texts: tuple[str, ...] = CAPTIONS) -> FoleyPipeline:
    from footfall.server.models.loaded import load_models

    return FoleyPipeline(settings_for(folder), load=functools.partial(load_models, texts=texts))


@pytest.fixture(scope="module")
def mapped(folder: Path) -> FoleyPipeline:
    return pipeline(folder)


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


def test_clip_reads_the_captions_only_for_the_bridge_and_says_so(folder: Path) -> None:
    texts = (*CAPTIONS, "a bell")  # which nothing else has read yet

    def kept() -> set[Path]:
        return set((folder / CACHE_FOLDER).iterdir())

    before = kept()
    made = pipeline(folder, texts)
    made.run(shot(mapper="generative", steps=1), Recorder())
    assert len(kept() - before) == 1
    plain, first, again = Recorder(), Recorder(), Recorder()
    made.run(shot(mapper="regression", steps=1), plain)
    with pytest.raises(Cancelled):
        made.run(shot(mapper="bridge", steps=1, seed=1), StopsInMapping())
    assert len(kept() - before) == 1
    made.run(shot(mapper="bridge", steps=1), first)
    made.run(shot(mapper="bridge", steps=1, seed=2), again)
    assert len(kept() - before) == 2
    assert mapping(first) > mapping(again)


def mapping(control: Recorder) -> int:
    """How often it was told of the mapping."""
    return sum(phase == "mapping" for phase, _ in control.told)


class StopsInMapping(Recorder):
    """Stops as soon as it is asked while something is mapped."""

    def check(self) -> None:
        if self.told and self.told[-1] == ("mapping", 0.0):
            self.stop_at = self.checks + 1
        super().check()
