# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound in, pictures out, with tiny random models of the public layouts, through the real pipeline."""

from __future__ import annotations

import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, Cancelled, ModelMissing, ModelRefused
from footfall.addon.wire.messages import PictureRequest
from footfall.server.models import manifest
from footfall.server.models.bundle_parts import EMBEDDER
from footfall.server.worker.outcome import check_painting

from ..conftest import CAPTIONS, Recorder, settings_for, shot
from ..models.painter_bundle import write_stable_diffusion

if TYPE_CHECKING:
    from footfall.server.control import Painting
    from footfall.server.making.pipeline import FoleyPipeline
    from footfall.server.models.loaded import Models

HZ = 16_000


def add_painter(root: Path, models: Models, seed: int = 0) -> None:
    """A tiny painter, and an embedder between it and the bundle's CLAP."""
    from footfall.server.models.audio_depths import ClapEar
    from footfall.server.models.audiotoken import Embedder, embedder_config
    from footfall.server.models.bundle import open_bundle
    from footfall.server.models.painter import load_painter
    from footfall.server.train.audiotoken import write

    write_stable_diffusion(root, seed=seed)
    manifest.add_folder(root, "pictures")
    painter = load_painter(open_bundle(root), torch.device("cpu"), torch.float32)
    ear = ClapEar(models.clap)
    torch.manual_seed(seed)
    embedder = Embedder(ear.width, painter.width)
    write(embedder, embedder_config(ear, painter.backbone, embedder, {}), root / EMBEDDER)
    manifest.add_folder(root, EMBEDDER)


@pytest.fixture(scope="module")
def folder(models_folder: Path, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny``, as it is; ``paints``: it, with a painter; ``blind``: one without an embedder; ``only``: a
    painter alone; ``other``: one for other weights of CLAP.
    """
    found = tmp_path_factory.mktemp("painters")
    shutil.copytree(models_folder / "tiny", found / "tiny")
    shutil.copytree(models_folder / "tiny", found / "paints")
    add_painter(found / "paints", models)
    shutil.copytree(found / "paints", found / "blind")
    said, _ = manifest.read(found / "blind")
    kept = {path: entry for path, entry in said.files.items() if not path.startswith(EMBEDDER)}
    manifest.write(found / "blind", replace(said, files=kept))
    shutil.copytree(found / "paints" / "pictures", found / "only" / "pictures")
    manifest.seal(found / "only", replace(said, name="only", files={}))
    shutil.copytree(found / "only", found / "other")
    config = found / "other" / EMBEDDER / "config.json"
    config.write_text(config.read_text().replace(models.bundle.clap_space.sha256, "0" * 64))
    manifest.seal(found / "other", replace(said, name="other", files={}))
    return found


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> FoleyPipeline:
    """One for all: what a job leaves behind would be found out."""
    return fresh(folder)


def fresh(folder: Path) -> FoleyPipeline:
    from footfall.server.making.pipeline import FoleyPipeline
    from footfall.server.models.loaded import load_models

    return FoleyPipeline(settings_for(folder), load=lambda *rest: load_models(*rest, CAPTIONS))


def sound(**changes: Any) -> PictureRequest:
    """Three parts of half a second: noise, silence, other noise."""
    rng = np.random.default_rng(5)
    waveform = rng.uniform(-0.3, 0.3, HZ * 3 // 2).astype(np.float32)
    waveform[HZ // 2 : HZ] = 0
    plain: dict[str, Any] = {
        "waveform": waveform,
        "rate_hz": HZ,
        "starts_s": (Fraction(0), Fraction(1, 2), Fraction(1)),
        "ends_s": (Fraction(1, 2), Fraction(1), Fraction(3, 2)),
        "bundle": "paints",
        "steps": 2,
        "seed": 3,
    }
    return PictureRequest(**(plain | changes))


def noises(**changes: Any) -> PictureRequest:
    """One part, all of it noise."""
    return sound(starts_s=(Fraction(0),), ends_s=(Fraction(1, 2),), **changes)


def pixels(painting: Painting) -> np.ndarray:
    return np.stack([picture.pixels for picture in painting.pictures])


def test_each_part_and_take_has_its_picture(pipeline: FoleyPipeline) -> None:
    control, wanted = Recorder(), sound(takes=2)
    painting = check_painting(pipeline.paint(wanted, control), wanted)
    found = pixels(painting)
    assert found.shape[0] == 6
    assert found.dtype == np.uint8
    assert len({row.tobytes() for row in found}) == 5  # the two of silence are the same
    assert not found[2:4].any()
    assert painting.warnings == ("Nothing is heard in 0.50 to 1.00 s, so there the picture is black.",)
    story = painting.provenance
    assert (story.bundle, story.mapper, story.steps) == ("tiny", "none", 2)
    assert story.guidance == 7.5
    assert [phase for phase, _ in control.told][-1] == "finishing"
    sampled = [fraction for phase, fraction in control.told if phase == "sampling"]
    assert sampled == sorted(sampled)
    assert max(sampled) == 1.0


def test_the_same_request_gives_the_same_pixels_whatever_ran_before(
    pipeline: FoleyPipeline, folder: Path
) -> None:
    first = pixels(pipeline.paint(noises(), Recorder()))
    pipeline.run(shot(bundle="paints"), Recorder())
    pipeline.paint(sound(seed=4, takes=2), Recorder())
    assert np.array_equal(pixels(pipeline.paint(noises(), Recorder())), first)
    assert np.array_equal(pixels(fresh(folder).paint(noises(), Recorder())), first)
    assert not np.array_equal(pixels(pipeline.paint(noises(seed=4), Recorder())), first)


def test_a_part_s_picture_does_not_depend_on_the_others(pipeline: FoleyPipeline) -> None:
    alone = pixels(pipeline.paint(noises(), Recorder()))[0]
    together = pixels(pipeline.paint(sound(), Recorder()))[0]
    assert np.abs(alone.astype(int) - together.astype(int)).max() <= 1  # sums of another order


def test_words_before_the_token_count(pipeline: FoleyPipeline) -> None:
    first = pixels(pipeline.paint(noises(words="a photo of a"), Recorder()))
    assert not np.array_equal(pixels(pipeline.paint(noises(words="the rain"), Recorder())), first)


@pytest.mark.parametrize("words", ["", "ein Glöckchen ☂ 鈴", "rain " * 1999])
def test_any_words_are_read(pipeline: FoleyPipeline, words: str) -> None:
    assert pixels(pipeline.paint(noises(words=words), Recorder())).any()


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_any_rate_and_the_shortest_sound(pipeline: FoleyPipeline, rate_hz: int) -> None:
    waveform = np.random.default_rng(1).uniform(-1, 1, rate_hz // 10).astype(np.float32).clip(-0.5, 0.5)
    wanted = sound(waveform=waveform, rate_hz=rate_hz, starts_s=(Fraction(0),), ends_s=(Fraction(1, 10),))
    painting = pipeline.paint(wanted, Recorder())
    assert pixels(painting).any()


def test_so_little_sound_is_told(pipeline: FoleyPipeline) -> None:
    wanted = sound(starts_s=(Fraction(0),), ends_s=(Fraction(1, 10),))
    assert "little sound" in pipeline.paint(wanted, Recorder()).warnings[0]


def test_silence_alone_is_refused(pipeline: FoleyPipeline) -> None:
    with pytest.raises(BadInput, match="nothing to hear"):
        pipeline.paint(noises(waveform=np.zeros(HZ, np.float32)), Recorder())


def test_one_bundle_listens_and_another_paints(pipeline: FoleyPipeline) -> None:
    first = pixels(pipeline.paint(noises(), Recorder()))
    assert np.array_equal(pixels(pipeline.paint(noises(bundle="tiny", pictures="only"), Recorder())), first)


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"bundle": "tiny"}, ModelMissing, "paints no pictures"),
        ({"bundle": "blind"}, ModelMissing, "not from sounds"),
        ({"bundle": "tiny", "pictures": "other"}, ModelRefused, "another CLAP"),
        ({"bundle": "only"}, ModelMissing, "clap"),
        ({"pictures": "nobody"}, ModelMissing, "no model named"),
    ],
)
def test_models_that_cannot_are_refused(
    pipeline: FoleyPipeline, changes: dict[str, str], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        pipeline.paint(noises(**changes), Recorder())
    assert pixels(pipeline.paint(noises(), Recorder())).any()


def test_every_step_can_be_cancelled_and_leaves_nothing(pipeline: FoleyPipeline) -> None:
    first, control = pixels(pipeline.paint(noises(), Recorder())), Recorder()
    pipeline.paint(noises(), control)
    for stop_at in range(1, control.checks + 1):
        with pytest.raises(Cancelled):
            pipeline.paint(noises(), Recorder(stop_at=stop_at))
    assert np.array_equal(pixels(pipeline.paint(noises(), Recorder())), first)


def test_memory_is_given_back(pipeline: FoleyPipeline) -> None:
    first = pixels(pipeline.paint(noises(), Recorder()))
    pipeline.release()
    assert np.array_equal(pixels(pipeline.paint(noises(), Recorder())), first)
