# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle is whole and is what it says, or it is refused with a sentence."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from footfall.addon.wire.errors import ModelError, ModelMissing, ModelRefused
from footfall.server.models import manifest, registry
from footfall.server.models.bundle import STARTER_ROOT, Bundle, open_bundle
from footfall.server.models.finding import find_bundle, installed
from hypothesis import given
from hypothesis import strategies as st

Copy = Callable[[str], Path]
CLAP = "clap/model.safetensors"


def test_a_bundle_names_its_parts_spaces_and_licence(tiny: Bundle, tiny_root: Path) -> None:
    assert tiny.name == "tiny"
    assert tiny.random
    assert "random" in tiny.title
    assert tiny.sampling_rate == 16000
    assert tiny.part("unet") == tiny_root / "unet"
    assert tiny.clap_space.sha256 == tiny.files[CLAP].sha256
    assert tiny.clip_space.sha256 == tiny.files["clip/open_clip_model.safetensors"].sha256
    assert tiny.config("vae")["scaling_factor"] == 0.9392935633659363
    assert tiny.info().size_bytes == sum(
        path.stat().st_size for path in tiny_root.rglob("*") if path.parent != tiny_root
    )


def test_its_hash_stands_for_every_byte_of_every_file(copy_bundle: Copy) -> None:
    from .conftest import flip_byte, reseal

    root = copy_bundle("one")
    before = open_bundle(root).sha256
    flip_byte(root / "vae" / "diffusion_pytorch_model.safetensors")
    reseal(root)
    assert open_bundle(root).sha256 != before


def test_a_missing_part_is_said_with_its_name(tiny: Bundle) -> None:
    with pytest.raises(ModelMissing, match="mappers/regression"):
        tiny.part("mappers/regression")
    with pytest.raises(ModelMissing, match=r"unet/secret\.json"):
        tiny.file("unet/secret.json")


@pytest.mark.parametrize("part", ["unet", "vae", "vocoder", "clip", "clap", "text_encoder"])
def test_one_flipped_byte_is_refused_before_anything_is_loaded(copy_bundle: Copy, part: str) -> None:
    from .conftest import flip_byte

    root = copy_bundle("one")
    bundle = open_bundle(root)
    path = bundle.weights(part)
    flip_byte(path, path.stat().st_size // 2)
    with pytest.raises(ModelRefused, match=rf"{part}/.* is damaged or was changed; pull"):
        open_bundle(root).weights(part)


def test_a_changed_configuration_is_refused(copy_bundle: Copy) -> None:
    root = copy_bundle("one")
    path = root / "vae" / "config.json"
    path.write_text(path.read_text().replace("0.939", "0.839"))
    with pytest.raises(ModelRefused, match=r"vae/config\.json"):
        open_bundle(root).config("vae")


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "auto_map"])
def test_a_configuration_that_names_programs_is_refused(copy_bundle: Copy, key: str) -> None:
    """transformers takes "somebody/kernel" for code to fetch from the hub and to run."""
    root = copy_bundle("one")
    said, _ = manifest.read(root)
    path = root / "clap" / "config.json"
    plain = json.loads(path.read_text())
    plain["text_config"][key] = "somebody/kernel"
    path.write_text(json.dumps(plain))
    manifest.seal(root, said)
    with pytest.raises(ModelRefused, match="programs"):
        open_bundle(root).config("clap")


def test_a_file_is_hashed_once_and_again_when_it_changed(copy_bundle: Copy) -> None:
    bundle = open_bundle(copy_bundle("one"))
    read: list[int] = []
    bundle.check(CLAP, tick=read.append)
    assert sum(read) == bundle.files[CLAP].size
    bundle.check(CLAP, tick=read.append)
    assert sum(read) == bundle.files[CLAP].size
    bundle.check(CLAP, tick=read.append, again=True)
    os.utime(bundle.root / CLAP)
    bundle.check(CLAP, tick=read.append)
    assert sum(read) == 3 * bundle.files[CLAP].size


def test_a_read_only_bundle_is_usable(copy_bundle: Copy) -> None:
    root = copy_bundle("one")
    (root / ".checked.json").mkdir()  # cannot be written, even by root
    open_bundle(root).check(CLAP)


@pytest.mark.parametrize(
    ("path", "change", "error", "words"),
    [
        ("unet/config.json", None, ModelMissing, "not complete: unet/config.json is missing"),
        (CLAP, b"short", ModelRefused, "has 5 bytes, not"),
        ("bundle.toml", b"format = ", ModelRefused, "damaged"),
        ("bundle.toml", b"\xff\xfe", ModelRefused, "damaged"),
        ("bundle.toml", b"x = 1\n" * 200_000, ModelRefused, "too large"),
        ("bundle.toml", None, ModelMissing, "no model in"),
    ],
)
def test_damage_is_said(
    copy_bundle: Copy, path: str, change: bytes | None, error: type[ModelError], words: str
) -> None:
    root = copy_bundle("one")
    if change is None:
        (root / path).unlink()
    else:
        (root / path).write_bytes(change)
    with pytest.raises(error, match=words):
        open_bundle(root)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format = 1", f"format = {manifest.FORMAT + 1}", "newer Footfall"),
        ("format = 1", "", "'format'"),
        ('name = "tiny"', 'name = "../tiny"', "'name'"),
        ("commercial = true", 'commercial = "yes"', "'commercial'"),
        ("sampling_rate = 16000", "sampling_rate = 1.5", "'sampling_rate'"),
        ("sampling_rate = 16000", "sampling_rate = 16000\nextra = 1", "'extra'"),
        ('"unet/config.json"', '"../config.json"', "unsafe name"),
        ('"unet/config.json"', '"/etc/passwd"', "unsafe name"),
        ('"unet/config.json"', '"unet/weights.ckpt"', "can run programs"),
        ('"unet/config.json"', '"unet/pytorch_model.bin"', "can run programs"),
        ('[files."unet/config.json"]', '[files."unet/config.json"]\nurl = "x"', "unet/config.json"),
    ],
)
def test_a_manifest_is_read_strictly(copy_bundle: Copy, old: str, new: str, words: str) -> None:
    path = copy_bundle("one") / "bundle.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ModelRefused, match=words):
        open_bundle(path.parent)


def test_a_link_out_of_the_folder_is_refused(copy_bundle: Copy, tmp_path: Path) -> None:
    root = copy_bundle("one")
    outside = tmp_path / "outside.json"
    (root / "unet" / "config.json").rename(outside)
    (root / "unet" / "config.json").symlink_to(outside)
    with pytest.raises(ModelRefused, match="leads out of its folder"):
        open_bundle(root)


def test_names_find_bundles_but_texts_are_no_paths(copy_bundle: Copy, tmp_path: Path) -> None:
    root = copy_bundle("mine")
    models = tmp_path / "models"
    assert find_bundle("mine", models).root == root
    assert find_bundle(root, models).root == root
    for path in (str(root), "../models/mine", "mine/../mine"):
        with pytest.raises(ModelMissing):
            find_bundle(path, models)
    assert find_bundle(str(root), models, paths=True).root == root


def test_a_starter_of_ones_own_is_the_one_that_is_meant(copy_bundle: Copy, tmp_path: Path) -> None:
    assert find_bundle("starter", tmp_path / "none").root == STARTER_ROOT
    own = copy_bundle("starter")
    assert find_bundle("starter", own.parent).root == own
    assert [info.name for info in installed(own.parent) if info.installed] == ["starter"]


def test_what_is_missing_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="footfall models pull audioldm-m-full"):
        find_bundle("audioldm-m-full", tmp_path)
    with pytest.raises(ModelMissing, match="footfall models list"):
        find_bundle("nothing", tmp_path)


def test_the_list_has_what_is_here_and_what_could_be(copy_bundle: Copy, tmp_path: Path) -> None:
    copy_bundle("good")
    (copy_bundle("bad") / "unet" / "config.json").unlink()
    (tmp_path / "models" / ".incomplete" / "half").mkdir(parents=True)
    rows = {row.name: row for row in installed(tmp_path / "models")}
    assert rows["good"].installed
    assert not rows["bad"].installed
    assert "damaged" in rows["bad"].title
    assert {row.name for row in registry.rows()} <= set(rows)
    assert not rows["audioldm-m-full"].installed
    assert not any(name.startswith(".") for name in rows)


def test_a_mapper_put_into_a_bundle_is_listed(copy_bundle: Copy) -> None:
    root = copy_bundle("one")
    before = open_bundle(root)
    assert before.mappers == ("bridge",)
    (root / "mappers" / "regression").mkdir(parents=True)
    (root / "mappers" / "regression" / "config.json").write_text("{}")
    manifest.add_folder(root, "mappers/regression")
    after = open_bundle(root)
    assert after.mappers == ("bridge", "regression")
    assert after.sha256 != before.sha256
    after.verify()


_TEXT = st.text(max_size=40).filter(lambda text: text.strip() and "\x7f" not in text)


@given(title=_TEXT, note=st.text(max_size=60).filter(lambda text: "\x7f" not in text), random=st.booleans())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, title: str, note: str, random: bool
) -> None:
    root = tmp_path_factory.mktemp("manifest")
    entry = manifest.FileEntry(size=3, sha256="0" * 64)
    said = manifest.Manifest(
        name="x",
        title=title,
        licence="CC0",
        commercial=True,
        sampling_rate=16000,
        clip="a",
        clap="b",
        random=random,
        note=note,
        files={"unet/config.json": entry},
    )
    manifest.write(root, said)
    assert manifest.read(root)[0] == said


@given(st.binary(max_size=200))
def test_any_bytes_as_manifest_are_refused(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    root = tmp_path_factory.mktemp("manifest")
    (root / "bundle.toml").write_bytes(raw)
    with pytest.raises(ModelRefused):
        manifest.read(root)


def test_the_manifest_is_plain_toml(tiny_root: Path) -> None:
    plain = tomllib.loads((tiny_root / "bundle.toml").read_text())
    assert plain["random"] is True
    assert plain["licence"].startswith("None needed")
