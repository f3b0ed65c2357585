# SPDX-License-Identifier: GPL-3.0-or-later
"""The public bundles are pinned, file by file, or say plainly that they are not, and why."""

from __future__ import annotations

import copy
import tomllib
from typing import Any

import pytest
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models import (
    bundle_parts,
    configurations,
    layouts,
    manifest,
    prior_layout,
    registry,
    sd_layout,
)

PLAIN = tomllib.loads(registry.PATH.read_text(encoding="utf-8"))
SOUND = [row for row in registry.rows() if row.makes == ("sound",)]
PAINTERS = [row for row in registry.rows() if row.makes == ("pictures",)]
PRIORS = [row for row in registry.rows() if row.name in prior_layout.NAMES]


@pytest.mark.parametrize("row", registry.rows(), ids=lambda row: row.name)
def test_every_row_is_pinned_or_says_why_not(row: registry.Row) -> None:
    for source in row.sources:
        assert len(source.revision) == 40 or source.revision == registry.UNPINNED
        for file in source.files:
            assert file.sha256 == registry.UNPINNED or manifest.SHA256.fullmatch(file.sha256)
            assert file.size > 0 or file.size == -1
    assert row.pinned == (not row.why_unpinned)


def _named(row: registry.Row) -> str:
    return row.name


@pytest.mark.parametrize("row", SOUND, ids=_named)
def test_every_row_of_sound_makes_a_whole_bundle(row: registry.Row) -> None:
    assert row.name in layouts.NAMES
    targets = {file.to for source in row.sources for file in source.files}
    for part in (*bundle_parts.PARTS, "text_encoder"):
        if part != "scheduler":
            assert sum(path.startswith(f"{part}/") and path.endswith(".safetensors") for path in targets) == 1
    assert "clap/tokenizer.json" in targets
    assert not any(path.endswith("config.json") for path in targets)  # the configurations are our own


@pytest.mark.parametrize("row", registry.rows(), ids=_named)
def test_every_row_gets_its_own_configurations(row: registry.Row) -> None:
    """Each part has both, and a prior names the CLIP that it is pulled with."""
    pulled = {file.to: manifest.FileEntry(size=1, sha256="a" * 64) for s in row.sources for file in s.files}
    made = configurations.of_row(row, pulled)
    parts = {path.rpartition("/")[0] for path in pulled}
    assert {path.rpartition("/")[0] for path in made} >= parts
    assert not made.keys() & pulled.keys()
    if row in PRIORS:
        said = made["text_prior/config.json"]
        assert said["clip"] == {"name": row.clip, "sha256": "a" * 64}
        assert parts == {"clip", "text_prior"}


def test_the_public_priors_are_there() -> None:
    assert [row.name for row in PRIORS] == list(prior_layout.NAMES)
    for row in PRIORS:
        assert row.makes == ()
        info = row.info()
        assert (info.makes, info.mappers, info.queries) == ((), (), ())
        assert row.commercial
        assert "MIT" in row.licence


def test_the_public_painters_are_there() -> None:
    assert [row.name for row in PAINTERS] == list(sd_layout.NAMES)
    for row in PAINTERS:
        assert (row.info().mappers, row.info().queries) == ((), ())
        assert "OpenRAIL" in row.licence
        assert "forbids" in row.licence_text
        targets = {file.to for source in row.sources for file in source.files}
        for part in bundle_parts.PICTURE_CONFIGS.keys() - {"pictures/scheduler"}:
            assert any(path.startswith(f"{part}/") for path in targets)


@pytest.mark.parametrize("row", SOUND, ids=_named)
def test_no_audioldm_is_offered_for_commerce(row: registry.Row) -> None:
    assert not row.commercial
    assert "NC" in row.licence
    assert "not for commercial use" in row.licence_text
    assert not row.info().installed


def test_the_three_public_sizes_are_there() -> None:
    assert [row.name for row in SOUND] == [
        "audioldm-s-full-v2",
        "audioldm-m-full",
        "audioldm-l-full",
    ]
    assert registry.find("audioldm-m-full") is registry.rows()[1]
    assert registry.find("nothing") is None


def test_one_file_is_the_same_in_every_row() -> None:
    """The same repository, revision and path can have one hash only."""
    seen: dict[tuple[str, str, str], str] = {}
    for row in registry.rows():
        for source in row.sources:
            for file in source.files:
                key = (source.repo, source.revision, file.path)
                assert seen.setdefault(key, file.sha256) == file.sha256


def _changed(change: Any) -> dict[str, Any]:
    plain = copy.deepcopy(PLAIN)
    change(plain["bundle"][1])
    return plain


BREAKS = {
    "short revision": lambda row: row["source"][0].update(revision="9d4998f"),
    "branch": lambda row: row["source"][0].update(revision="main"),
    "no revision": lambda row: row["source"][0].pop("revision"),
    "pinned files of an unpinned revision": lambda row: row["source"][0].update(revision="unpinned"),
    "no hash": lambda row: row["source"][0]["files"][0].pop("sha256"),
    "empty hash": lambda row: row["source"][0]["files"][0].update(sha256=""),
    "half a hash": lambda row: row["source"][0]["files"][0].update(sha256="abc"),
    "silently unpinned": lambda row: row["source"][0]["files"][0].update(sha256="unpinned"),
    "unpinned but pinned": lambda row: row.update(why_unpinned="no reason"),
    "pickle": lambda row: row["source"][0]["files"][0].update(path="unet/diffusion_pytorch_model.bin"),
    "pickle as target": lambda row: row["source"][0]["files"][0].update(to="unet/x.ckpt"),
    "upwards": lambda row: row["source"][0]["files"][0].update(to="../../x.safetensors"),
    "another host": lambda row: row["source"][0].update(repo="https://example.org/x"),
    "twice": lambda row: row["source"][0]["files"].append(row["source"][0]["files"][0]),
    "name": lambda row: row.update(name="a/b"),
    "same name": lambda row: row.update(name="audioldm-s-full-v2"),
    "unknown key": lambda row: row.update(url="x"),
    "no licence": lambda row: row.pop("licence"),
    "commercial": lambda row: row.update(commercial="no"),
}


@pytest.mark.parametrize("change", BREAKS.values(), ids=BREAKS)
def test_a_row_that_breaks_the_rules_is_refused(change: Any) -> None:
    registry.parse(_changed(lambda row: None))
    with pytest.raises(ModelRefused):
        registry.parse(_changed(change))
