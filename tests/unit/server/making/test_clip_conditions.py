# SPDX-License-Identifier: GPL-3.0-or-later
"""A generator that learnt from frames alone: CLIP's rows are its conditions, and no mapper takes part."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelError, ModelMissing
from footfall.addon.wire.messages import Event, FoleyRequest, Pull
from footfall.server.control import Rendering
from footfall.server.making.conditions import WORDS_STRENGTH, Conditions
from footfall.server.making.pipeline import FoleyPipeline
from footfall.server.worker.outcome import check_rendering
from torch.nn.functional import normalize

from ..conftest import CAPTIONS, Recorder, settings_for, shot

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models

NOTHING_SEEN = {"frames": np.zeros((0, 8, 8, 3), np.uint8), "times_s": np.zeros(0)}
HIT = Event(time_s=Fraction(1, 4), words="a knock on wood")


def by_clip(models_folder: Path, folder: Path, *, prior: bool) -> Path:
    """A copy of the tiny bundle whose UNet is told rows of CLIP; the folder it is in."""
    from footfall.server.models import manifest
    from footfall.server.models.random_mapper import write_random_mapper

    root = folder / "tiny"
    shutil.copytree(models_folder / "tiny", root)
    if prior:
        write_random_mapper(root, "text_prior", tiny=True)
    manifest.seal(root, replace(manifest.read(root)[0], condition="clip", title="Tiny by CLIP"))
    return folder


@pytest.fixture(scope="module")
def folder(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return by_clip(models_folder, tmp_path_factory.mktemp("by-clip"), prior=True)


@pytest.fixture(scope="module")
def models(folder: Path) -> Models:
    from footfall.server.models.bundle import open_bundle
    from footfall.server.models.loaded import load_models

    bundle = open_bundle(folder / "tiny")
    cpu = torch.device("cpu")
    return load_models(bundle, cpu, torch.float32, Recorder(), folder / ".cache", CAPTIONS)


@pytest.fixture(scope="module")
def make_pipeline(folder: Path, models: Models) -> Callable[[], FoleyPipeline]:
    return lambda: FoleyPipeline(settings_for(folder), load=lambda *_: models)


def run(pipeline: FoleyPipeline, request: FoleyRequest) -> Rendering:
    return check_rendering(pipeline.run(request, Recorder()), request)


def rows(models: Models, **changes: Any) -> torch.Tensor:
    return Conditions(shot(**changes), models, Recorder()).bed([(0.0, 0.5)])


def words(text: str, **changes: Any) -> dict[str, Any]:
    return {"condition": "clip_text", "prompt": text, **NOTHING_SEEN, **changes}


def test_frames_are_taken_as_clip_sees_them(models: Models) -> None:
    request = shot()
    seen = models.clip.encode_images(request.frames).mean(0)
    torch.testing.assert_close(rows(models)[0], normalize(seen, dim=0))


def test_words_are_taken_as_clip_reads_them(models: Models) -> None:
    read = models.clip.encode_text(["rain"])[0]
    torch.testing.assert_close(rows(models, **words("rain"))[0], normalize(read, dim=0))


def test_by_the_prior_words_become_what_would_be_seen(models: Models) -> None:
    by_prior = rows(models, **words("rain", condition="clip_text_prior"))
    assert not torch.allclose(by_prior, rows(models, **words("rain")), atol=1e-2)
    again = rows(models, **words("rain", condition="clip_text_prior"))
    assert torch.equal(by_prior, again)
    other = rows(models, **words("rain", condition="clip_text_prior", seed=12))
    assert not torch.equal(by_prior, other)


def test_nothing_said_is_the_row_of_zeros_that_training_dropped_to(models: Models) -> None:
    assert not Conditions(shot(), models, Recorder()).negative.any()
    said = Conditions(shot(negative_prompt="music"), models, Recorder()).negative
    assert float(said.norm()) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "query"),
    [
        ({}, "picture"),
        ({"prompt": "rain", "pulls": (Pull(words="wind", weight=-1.0),)}, "picture"),
        (words("rain"), "clip_text"),
        (words("rain", condition="clip_text_prior"), "clip_text_prior"),
        ({"layers": ("bed", "spots"), "events": (HIT,)}, "picture"),
        (words("rain", layers=("bed", "spots"), events=(HIT,)), "clip_text"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else value,
)
def test_every_query_makes_its_own_sound_without_a_mapper(
    make_pipeline: Callable[[], FoleyPipeline], changes: dict[str, Any], query: str
) -> None:
    made = run(make_pipeline(), shot(**changes))
    assert made.provenance.mapper == "none"
    assert np.isfinite(made.clips[0].waveform).all()
    assert made.heard
    again = run(make_pipeline(), shot(**changes))
    assert np.array_equal(made.clips[0].waveform, again.clips[0].waveform)


def test_nudges_work_as_elsewhere(make_pipeline: Callable[[], FoleyPipeline], models: Models) -> None:
    plain = rows(models)
    torch.testing.assert_close(rows(models, prompt="rain", nudge=0.0), plain)
    pushed = rows(models, prompt="rain", nudge=1.0)
    half = rows(models, prompt="rain", nudge=0.5)
    ways = [float((half @ end.T).squeeze()) for end in (plain, pushed)]
    assert ways[0] == pytest.approx(ways[1], abs=1e-4)
    torch.testing.assert_close(half.norm(dim=1), torch.ones(1))


def test_words_for_the_background_move_the_bed_and_the_prompt_leaves_it_be(models: Models) -> None:
    behind = rows(models, background="rain")
    assert torch.equal(behind, rows(models, prompt="rain", nudge=WORDS_STRENGTH))
    assert torch.equal(rows(models, background="rain", prompt="wind", nudge=1.0), behind)
    assert torch.equal(rows(models, background="  ", prompt="wind"), rows(models, prompt="wind"))
    pulled = rows(models, background="rain", pulls=(Pull(words="wind", weight=0.5),))
    assert not torch.equal(pulled, behind)


def test_the_prompt_pushes_a_bed_in_sync_whatever_its_background(models: Models) -> None:
    in_sync = {"background": "rain", "in_sync": True, "events": (HIT,)}
    assert not torch.equal(rows(models, **in_sync, prompt="wind"), rows(models, **in_sync))


def test_the_best_of_several_is_chosen_by_ear(
    make_pipeline: Callable[[], FoleyPipeline], models: Models
) -> None:
    made = run(make_pipeline(), shot(quality="best", steps=1))
    assert made.clips[0].score != 0.0
    heard = models.in_clap(rows(models))
    assert heard.shape == (1, 512)
    torch.testing.assert_close(heard.norm(dim=1), torch.ones(1))


def test_claps_words_mean_nothing_to_it(make_pipeline: Callable[[], FoleyPipeline]) -> None:
    with pytest.raises(BadInput, match=r"reads words through CLIP; ask for that"):
        run(make_pipeline(), shot(**words("rain", condition="clap_text")))


@pytest.mark.parametrize("kind", ["clip_text", "clip_text_prior", "clap_text"])
def test_no_words_are_a_sentence(make_pipeline: Callable[[], FoleyPipeline], kind: str) -> None:
    with pytest.raises(BadInput, match="write in the prompt"):
        run(make_pipeline(), shot(**words(" \n", condition=kind)))


@pytest.mark.parametrize("kind", ["clip_text", "clip_text_prior"])
@pytest.mark.parametrize(
    ("said", "warning"),
    [
        ("rain " * 1900, "more than the model reads"),
        ("雨 дождь مطر 🌧️", "no Latin letters"),
        ("rain on a tin roof, far away", ""),
        ("a " + "very " * 24 + "loud bang", ""),
    ],
    ids=["long", "not Latin", "plain", "wordy"],
)
def test_odd_words_are_heard_with_a_warning(
    make_pipeline: Callable[[], FoleyPipeline], kind: str, said: str, warning: str
) -> None:
    made = run(make_pipeline(), shot(**words(said, condition=kind), steps=1))
    assert np.isfinite(made.clips[0].waveform).all()
    assert any(warning in told for told in made.warnings) if warning else not made.warnings


def test_without_a_prior_the_words_go_straight(models_folder: Path, tmp_path: Path) -> None:
    by_clip(models_folder, tmp_path, prior=False)
    from footfall.server.models.loaded import load_models

    pipeline = FoleyPipeline(settings_for(tmp_path), load=functools.partial(load_models, texts=CAPTIONS))
    run(pipeline, shot(**words("rain"), steps=1))
    run(pipeline, shot(prompt="rain", steps=1))
    with pytest.raises(ModelMissing, match="no prior from words to pictures"):
        run(pipeline, shot(**words("rain", condition="clip_text_prior")))


def test_a_unet_for_rows_of_another_size_is_refused(models_folder: Path, tmp_path: Path) -> None:
    import json

    from footfall.server.models import manifest

    root = by_clip(models_folder, tmp_path, prior=False) / "tiny"
    path = root / "unet" / "config.json"
    config = json.loads(path.read_text()) | {"projection_class_embeddings_input_dim": 768}
    path.write_text(json.dumps(config))
    manifest.seal(root, manifest.read(root)[0])
    with pytest.raises(ModelError):
        FoleyPipeline(settings_for(tmp_path)).run(shot(), Recorder())
