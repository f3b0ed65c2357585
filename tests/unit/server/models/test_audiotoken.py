# SPDX-License-Identifier: GPL-3.0-or-later
"""A sound becomes one token; only between the ear and the painter that the embedder was trained with."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelMissing, ModelRefused
from footfall.server.models import manifest
from footfall.server.models.audio_depths import ClapEar
from footfall.server.models.audiotoken import (
    PART,
    AttentivePool,
    AudioToken,
    Embedder,
    embedder_config,
    load_audiotoken,
)
from footfall.server.models.bundle import Bundle, SpaceId, open_bundle
from footfall.server.train.audiotoken import write

from .tiny_painter import TinyPainter

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models
    from footfall.server.models.painter import Painter

HZ = 16_000
Change = Callable[[dict[str, Any]], None]


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, int(seconds * HZ)).astype(np.float32)


@pytest.fixture(scope="module")
def painter() -> Painter:
    return cast("Painter", TinyPainter())


@pytest.fixture
def with_embedder(
    models_folder: Path, models: Models, tmp_path: Path, painter: Painter
) -> Callable[..., Bundle]:
    """The tiny bundle with an embedder whose configuration was changed, or whose files were taken away."""

    def make(change: Change = lambda config: None) -> Bundle:
        root = tmp_path / "tiny"
        shutil.copytree(models_folder / "tiny", root)
        ear = ClapEar(models.clap)
        torch.manual_seed(1)
        embedder = Embedder(ear.width, painter.width, 8)
        config = embedder_config(ear, painter.backbone, embedder, {})
        change(config)
        write(embedder, json.loads(json.dumps(config)), root / PART)
        manifest.add_folder(root, PART)
        return open_bundle(root)

    return make


@pytest.fixture
def token(with_embedder: Callable[..., Bundle], painter: Painter, models: Models) -> AudioToken:
    return load_audiotoken(with_embedder(), painter, models.clap)


def test_the_pool_is_a_mean_weighted_by_both_opinions() -> None:
    torch.manual_seed(0)
    pool, rows = AttentivePool(6), torch.randn(2, 5, 6)
    alone = torch.relu(rows @ pool.local.weight.T + pool.local.bias) @ pool.score.weight.T + pool.score.bias
    one, other = (layer(rows) / layer(rows).norm(dim=-1, keepdim=True) for layer in (pool.one, pool.other))
    agrees = (one @ other.mT).mean(2, keepdim=True)
    weights = torch.softmax(pool.mix.weight[0, 0] * alone + pool.mix.weight[0, 1] * agrees, dim=1)
    torch.testing.assert_close(pool(rows), (weights * rows).sum(1))
    torch.testing.assert_close(pool(rows.flip(1)), pool(rows))  # where a place is makes no difference
    same = rows[:, :1].expand(-1, 9, -1)
    torch.testing.assert_close(pool(same), rows[:, 0])


def test_each_sound_has_one_token(token: AudioToken, painter: Painter) -> None:
    sounds = [noise(0.1), noise(2.56, 1), noise(21.0, 2)]
    found = token.tokens(sounds, HZ)
    assert found.shape == (3, painter.width)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[1:2], token.tokens(np.stack(sounds[1:2]), HZ), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found[1:2], token.tokens(torch.from_numpy(sounds[1])[None], HZ))
    assert token.tokens([], HZ).shape == (0, painter.width)


def test_one_silent_sound_is_named_and_nothing_is_guessed(token: AudioToken) -> None:
    with pytest.raises(BadInput, match="silent"):
        token.tokens([noise(1.0), np.zeros(HZ, np.float32)], HZ)


def test_another_painter_is_refused(with_embedder: Callable[..., Bundle], models: Models) -> None:
    other = cast("Painter", TinyPainter(seed=1))
    with pytest.raises(ModelRefused, match=r"another picture model \(tiny\)"):
        load_audiotoken(with_embedder(), other, models.clap)


def test_another_ear_is_refused(
    with_embedder: Callable[..., Bundle], painter: Painter, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = with_embedder()
    monkeypatch.setattr(models.clap, "space", SpaceId(name="other", sha256="1" * 64))
    with pytest.raises(ModelRefused, match="another CLAP"):
        load_audiotoken(bundle, painter, models.clap)
    monkeypatch.setattr(models.clap, "space", SpaceId(name="", sha256=""))  # one that nobody named
    with pytest.raises(ModelRefused, match="another CLAP"):
        load_audiotoken(bundle, painter, models.clap)


def test_a_bundle_without_an_embedder_says_so(models: Models, painter: Painter) -> None:
    with pytest.raises(ModelMissing, match="pictures/embedder"):
        load_audiotoken(models.bundle, painter, models.clap)


def drop(key: str) -> Change:
    return lambda config: cast("None", config.pop(key))


def put(side: str, key: str, value: Any) -> Change:
    return lambda config: config[side].update({key: value})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop("kind"), "damaged"),
        (drop("hears"), "damaged"),
        (drop("paints"), "damaged"),
        (drop("network"), "damaged"),
        (put("network", "hidden", True), "damaged"),
        (put("network", "hidden", 10**9), "sizes that no model has"),
        (put("network", "depth", 3), "damaged"),
        (put("network", "token", 13), "damaged"),
        (put("network", "hidden", 9), "shape"),
        (put("hears", "kind", "ears"), "not known to Footfall"),
        (put("hears", "sha256", None), "another CLAP"),
    ],
)
def test_a_damaged_configuration_is_refused(
    with_embedder: Callable[..., Bundle], painter: Painter, models: Models, change: Change, words: str
) -> None:
    bundle = with_embedder(change)
    with pytest.raises(ModelRefused, match=words):
        load_audiotoken(bundle, painter, models.clap)
