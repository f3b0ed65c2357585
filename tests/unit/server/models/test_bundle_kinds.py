# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle may make sound, or pictures, or both; its sound is asked for by rows of CLAP or of CLIP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from footfall.addon.wire.errors import ModelMissing, ModelRefused
from footfall.server.models import manifest
from footfall.server.models.bundle import Bundle, open_bundle
from footfall.server.models.bundle_parts import CONFIGS, PARTS, PICTURE_CONFIGS

SOUND = {part: CONFIGS[part] for part in PARTS}
ALONE = manifest.Manifest(
    name="pictures",
    title="Pictures",
    licence="CC0-1.0",
    commercial=True,
    sampling_rate=16_000,
    clip="",
    clap="",
)
BOTH = replace(ALONE, clip="a CLIP", clap="a CLAP")


def sealed(root: Path, parts: dict[str, str], said: manifest.Manifest) -> Path:
    """A bundle of empty configurations and of weights that nobody reads."""
    for part, file in parts.items():
        folder = root / part
        folder.mkdir(parents=True)
        (folder / file).write_text("{}")
        if "scheduler" not in part and "tokenizer" not in part:
            (folder / "model.safetensors").write_text(part)
    manifest.seal(root, said)
    return root


def test_a_bundle_of_pictures_alone(tmp_path: Path) -> None:
    bundle = open_bundle(sealed(tmp_path, PICTURE_CONFIGS, ALONE))
    assert bundle.makes == ("pictures",)
    assert (bundle.queries, bundle.mappers) == ((), ())
    assert bundle.clip_space.sha256 == bundle.clap_space.sha256 == ""
    assert bundle.part("pictures/unet") == tmp_path / "pictures" / "unet"
    assert bundle.config("pictures/tokenizer") == bundle.config("pictures/scheduler") == {}
    assert bundle.weights("pictures/vae").name == "model.safetensors"
    assert bundle.weights_sha256("pictures/vae") == bundle.files["pictures/vae/model.safetensors"].sha256
    assert bundle.info().makes == ("pictures",)
    assert not bundle.info().paints_sounds
    with pytest.raises(ModelMissing, match="has no unet"):
        bundle.part("unet")


def test_a_bundle_of_both(tmp_path: Path) -> None:
    parts = SOUND | PICTURE_CONFIGS | {"pictures/embedder": "config.json"}
    bundle = open_bundle(sealed(tmp_path, parts, BOTH))
    assert bundle.makes == ("sound", "pictures")
    assert bundle.clap_space.name == "a CLAP"
    assert bundle.info().paints_sounds


@pytest.mark.parametrize("missing", [*SOUND, *PICTURE_CONFIGS])
def test_what_a_bundle_makes_needs_all_its_parts(tmp_path: Path, missing: str) -> None:
    parts = {part: file for part, file in (SOUND | PICTURE_CONFIGS).items() if part != missing}
    with pytest.raises(ModelRefused, match=f"lists no {missing}/"):
        open_bundle(sealed(tmp_path, parts, BOTH))


def test_a_text_prior_may_come_alone_but_nothing_else(tmp_path: Path) -> None:
    prior = open_bundle(sealed(tmp_path / "prior", {"text_prior": "config.json"}, ALONE))
    assert (prior.makes, prior.queries) == ((), ())
    with pytest.raises(ModelRefused, match="lists no unet"):
        open_bundle(sealed(tmp_path / "clip", {"clip": CONFIGS["clip"]}, BOTH))


def test_spaces_that_are_there_have_names(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="'clap'"):
        sealed(tmp_path, SOUND, replace(BOTH, clap=""))


@pytest.mark.parametrize(
    ("condition", "prior", "queries"),
    [
        ("clap", False, ("picture", "clap_text", "clip_text")),
        ("clap", True, ("picture", "clap_text", "clip_text", "clip_text_prior")),
        ("clip", False, ("picture", "clip_text")),
        ("clip", True, ("picture", "clip_text", "clip_text_prior")),
    ],
)
def test_a_bundle_says_what_it_can_be_asked_by(
    tmp_path: Path, condition: str, prior: bool, queries: tuple[str, ...]
) -> None:
    parts = SOUND | ({"text_prior": "config.json"} if prior else {})
    bundle = open_bundle(sealed(tmp_path, parts, replace(BOTH, condition=condition)))
    assert (bundle.condition, bundle.queries) == (condition, queries)
    assert bundle.info().queries == queries
    assert bundle.mappers == (("bridge",) if condition == "clap" else ())


def test_an_older_reader_is_told_of_a_new_kind_only(tmp_path: Path, tiny: Bundle) -> None:
    root = sealed(tmp_path, SOUND, replace(BOTH, condition="clip"))
    assert (root / "bundle.toml").read_text().startswith("format = 2\n")
    assert manifest.read(root)[0].condition == "clip"
    assert (tiny.root / "bundle.toml").read_text().startswith("format = 1\n")


def test_an_unknown_condition_is_refused(copy_bundle: Callable[[str], Path]) -> None:
    path = copy_bundle("one") / "bundle.toml"
    path.write_text(path.read_text().replace("format = 1", 'format = 2\ncondition = "smell"'))
    with pytest.raises(ModelRefused, match="'condition'"):
        open_bundle(path.parent)


def test_how_pictures_are_looked_at_is_kept(tmp_path: Path) -> None:
    root = sealed(tmp_path, SOUND, replace(BOTH, views=(1.0, 0.5)))
    assert "format = 3" in (root / "bundle.toml").read_text()
    assert manifest.read(root)[0].views == open_bundle(root).views == (1.0, 0.5)


@pytest.mark.parametrize("views", ["[]", "[0.0]", "[1.1]", "[nan]", "[true]", "1.0", f"{[1.0] * 9}", '["1"]'])
def test_views_that_are_none_are_refused(copy_bundle: Callable[[str], Path], views: str) -> None:
    path = copy_bundle("tiny") / "bundle.toml"
    path.write_text(path.read_text().replace("format = 1", f"format = 3\nviews = {views}"))
    with pytest.raises(ModelRefused, match="'views'"):
        open_bundle(path.parent)
