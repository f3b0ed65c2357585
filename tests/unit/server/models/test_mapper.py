# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappers: the bridge's formula, trained ones of all kinds in random weights, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelError, ModelMissing, ModelRefused
from footfall.server.models import manifest
from footfall.server.models.bundle import Bundle, SpaceId, open_bundle
from footfall.server.models.captions import Side
from footfall.server.models.mapper import (
    Bridge,
    Generative,
    Regression,
    RegressionNetwork,
    check_spaces,
    choose,
    load_mapper,
    spaces,
)
from footfall.server.models.random_mapper import KINDS, write_random_mapper
from footfall.tests.fakes.small_disk import small_disk
from torch.nn.functional import normalize

CPU = torch.device("cpu")
SIZES = (512, 512)


def rows(count: int, size: int = 512, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def sides(count: int = 40, clip: int = 512, clap: int = 512) -> tuple[Side, Side]:
    """The caption bank as CLIP and as CLAP read it."""
    texts = tuple(f"sound {number}" for number in range(count))
    return (
        Side(texts, normalize(rows(count, clip, 1), dim=-1)),
        Side(texts, normalize(rows(count, clap, 2), dim=-1)),
    )


@pytest.fixture(scope="session")
def mapped_root(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle with a random mapper of every kind. Not to be changed."""
    root = tmp_path_factory.mktemp("mapped") / "tiny"
    shutil.copytree(tiny_root, root)
    for kind in KINDS:
        write_random_mapper(root, kind, seed=3, tiny=True)
    return root


@pytest.fixture
def mapped(mapped_root: Path) -> Bundle:
    return open_bundle(mapped_root)


@pytest.fixture
def copied(mapped_root: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    root = tmp_path / "copy"
    shutil.copytree(mapped_root, root)
    return root


# The bridge


def test_bridge_is_its_formula() -> None:
    (seen, heard), pictures = sides(30, 24, 16), rows(5, 24, 7) * 10
    a, b, v = (tensor.double().numpy() for tensor in (seen.rows, heard.rows, pictures))
    v = v / np.linalg.norm(v, axis=1, keepdims=True)
    power = np.exp(100.0 * v @ a.T - (100.0 * v @ a.T).max(axis=1, keepdims=True))
    expected = (power / power.sum(axis=1, keepdims=True)) @ b
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(Bridge(seen, heard).map(pictures, 0).numpy(), expected, atol=2e-5)


def test_picture_of_a_caption_sounds_like_that_caption() -> None:
    seen, heard = sides()
    found = Bridge(seen, heard).map(seen.rows * 9.3, seed=0)  # CLIP's own rows are about that long
    assert float((found * heard.rows).sum(-1).min()) > 0.999


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e20])
def test_bridge_stays_finite(scale: float) -> None:
    found = Bridge(*sides()).map(rows(3) * scale, 0)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))


def test_bridge_takes_half_precision_and_no_rows() -> None:
    bridge = Bridge(*sides())
    found = bridge.map(rows(2).half(), 0)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, bridge.map(rows(2), 0), atol=2e-2, rtol=0)
    assert bridge.map(torch.zeros(0, 512), 0).shape == (0, 512)


# Which one


def test_auto_takes_the_best_that_there_is(tiny: Bundle, mapped: Bundle) -> None:
    assert choose(tiny, "auto") == "bridge"
    assert choose(mapped, "auto") == "generative"
    assert choose(mapped, "regression") == "regression"
    with pytest.raises(ModelMissing, match="choose one of: bridge"):
        choose(tiny, "generative")


@pytest.mark.parametrize(("kind", "made"), [("regression", Regression), ("generative", Generative)])
def test_trained_kinds_give_unit_rows_and_the_same_again(
    mapped: Bundle, kind: str, made: type[Regression | Generative]
) -> None:
    mapper = load_mapper(mapped, kind, SIZES, CPU)
    assert isinstance(mapper, made)
    assert mapper.name == kind
    found = mapper.map(rows(4), seed=5)
    assert found.shape == (4, 512)
    assert not found.requires_grad
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(4))
    assert torch.equal(found, mapper.map(rows(4), seed=5))
    assert torch.equal(found, load_mapper(mapped, kind, SIZES, CPU).map(rows(4), seed=5))
    torch.testing.assert_close(found, mapper.map(rows(4) * 10, seed=5))  # only the direction counts
    assert torch.equal(found, mapper.map(rows(4), seed=6)) == (kind == "regression")
    found[0] = 0.0  # an ordinary tensor, to be used and changed


def test_regression_is_its_formula() -> None:
    network = RegressionNetwork(6, 4, 8)
    seen = normalize(rows(3, 6), dim=-1)
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    risen = seen.double().numpy() @ weights["rise.weight"].T + weights["rise.bias"]
    risen = risen / (1.0 + np.exp(-risen))
    risen = (risen - risen.mean(1, keepdims=True)) / np.sqrt(risen.var(1, keepdims=True) + 1e-5)
    risen = risen * weights["norm.weight"] + weights["norm.bias"]
    expected = risen @ weights["fall.weight"].T + weights["fall.bias"]
    np.testing.assert_allclose(network(seen).detach().numpy(), expected, atol=1e-5)


def test_regression_has_the_size_of_the_public_port() -> None:
    with torch.device("meta"):
        network = RegressionNetwork(512, 512)
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_103_808


def test_generative_mapper_can_be_stopped(mapped: Bundle) -> None:
    class Enough(Exception):
        pass

    def progress(done: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        load_mapper(mapped, "generative", SIZES, CPU).map(rows(1), 0, progress)


# What is refused


def test_mapper_of_other_spaces_is_refused(mapped: Bundle) -> None:
    other = SpaceId(name="another one", sha256="f" * 64)
    for side in ("clip", "clap"):
        for kind in ("regression", "generative"):
            with pytest.raises(ModelRefused, match=f"made for another {side.upper()}"):
                load_mapper(replace(mapped, **{f"{side}_space": other}), kind, SIZES, CPU)


@pytest.mark.parametrize("said", [None, "name", [], {}, {"name": 5}, {"sha256": None}, {"name": "x" * 9999}])
def test_spaces_that_are_not_named(mapped: Bundle, said: Any) -> None:
    config: dict[str, Any] = spaces(mapped.clip_space, mapped.clap_space)
    check_spaces(config, mapped)
    with pytest.raises(ModelRefused) as caught:
        check_spaces(config | {"clap": said}, mapped)
    assert len(caught.value.sentence) < 300


def rewrite(root: Path, folder: str, change: Callable[[dict[str, Any]], Any]) -> Bundle:
    path = root / folder / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    manifest.add_folder(root, folder)
    return open_bundle(root)


NONSENSE = [
    None,
    [],
    "512",
    {"clip_size": 512, "clap_size": 512, "size": 512, "hidden": 64, "trust": 1},
    {"clip_size": 512.0, "clap_size": 512, "size": 512},
    {"clip_size": True, "clap_size": 512, "size": 512},
    {"clip_size": 0, "clap_size": 512},
    {"size": -512},
    {"layers": 10**9},
    {"hidden": "64"},
]


@pytest.mark.parametrize("network", NONSENSE)
@pytest.mark.parametrize("kind", ["regression", "generative"])
def test_damaged_network_sizes(copied: Path, kind: str, network: Any) -> None:
    bundle = rewrite(copied, f"mappers/{kind}", lambda config: config | {"network": network})
    with pytest.raises(ModelRefused, match=r"damaged configuration|sizes that no model has"):
        load_mapper(bundle, kind, SIZES, CPU)


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, True, "64", None])
def test_damaged_number_of_steps(copied: Path, steps: Any) -> None:
    bundle = rewrite(copied, "mappers/generative", lambda config: config | {"steps": steps})
    with pytest.raises(ModelRefused, match="damaged configuration"):
        load_mapper(bundle, "generative", SIZES, CPU)


@pytest.mark.parametrize("draws", [0, 65, 1.0, True, "8", None])
def test_damaged_number_of_draws(copied: Path, draws: Any) -> None:
    bundle = rewrite(copied, "mappers/generative", lambda config: config | {"draws": draws})
    with pytest.raises(ModelRefused, match="damaged configuration"):
        load_mapper(bundle, "generative", SIZES, CPU)


def test_configuration_that_is_none(copied: Path) -> None:
    bundle = rewrite(copied, "mappers/regression", lambda config: [config])
    with pytest.raises(ModelRefused):
        load_mapper(bundle, "regression", SIZES, CPU)


@pytest.mark.parametrize("kind", ["regression", "generative"])
def test_rows_of_another_size(mapped: Bundle, kind: str) -> None:
    for sizes in ((768, 512), (512, 1024)):
        with pytest.raises(ModelRefused, match="damaged configuration"):
            load_mapper(mapped, kind, sizes, CPU)


def _cut(raw: bytes) -> bytes:
    return raw[:-100]


def _pickle(raw: bytes) -> bytes:
    return b"\x80\x04" + raw[2:]


def _infinite(raw: bytes) -> bytes:
    return raw[:-4] + np.float32("inf").tobytes()


@pytest.mark.parametrize("damage", [_cut, _pickle, _infinite])
@pytest.mark.parametrize("kind", ["regression", "generative"])
def test_damaged_weights(copied: Path, kind: str, damage: Callable[[bytes], bytes]) -> None:
    path = copied / "mappers" / kind / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    manifest.add_folder(copied, f"mappers/{kind}")
    with pytest.raises(ModelRefused):
        load_mapper(open_bundle(copied), kind, SIZES, CPU)


def test_weights_changed_behind_the_manifest(copied: Path) -> None:
    path = copied / "mappers" / "regression" / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelRefused, match="damaged or was changed"):
        load_mapper(open_bundle(copied), "regression", SIZES, CPU)


def test_weights_of_the_other_kind(copied: Path) -> None:
    mappers = copied / "mappers"
    shutil.copy(mappers / "regression" / "model.safetensors", mappers / "generative" / "model.safetensors")
    manifest.add_folder(copied, "mappers/generative")
    with pytest.raises(ModelRefused):
        load_mapper(open_bundle(copied), "generative", SIZES, CPU)


# Random mappers


def test_random_mappers_are_listed_and_the_same_again(mapped: Bundle, copied: Path) -> None:
    assert mapped.mappers == ("bridge", "regression", "generative")
    before = manifest.read(copied)
    for kind in KINDS:
        write_random_mapper(copied, kind, seed=3, tiny=True)
    assert manifest.read(copied) == before
    write_random_mapper(copied, "regression", seed=4, tiny=True)
    assert manifest.read(copied) != before
    open_bundle(copied).verify()


def test_random_mapper_does_not_disturb_the_generator(copied: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    write_random_mapper(copied, "regression", tiny=True)
    assert torch.equal(torch.rand(3), expected)


def test_random_mapper_where_it_does_not_belong(copied: Path) -> None:
    with pytest.raises(BadInput, match="choose one of"):
        write_random_mapper(copied, "bridge", tiny=True)
    said, _ = manifest.read(copied)
    manifest.write(copied, replace(said, random=False))
    with pytest.raises(BadInput, match="real weights"):
        write_random_mapper(copied, "regression", tiny=True)


def test_random_mapper_on_a_full_disk(copied: Path) -> None:
    with small_disk(8192), pytest.raises(ModelError, match="is the disk full"):
        write_random_mapper(copied, "regression", seed=9, tiny=True)
    open_bundle(copied).verify()
    assert not list((copied / "mappers").glob(".*"))
