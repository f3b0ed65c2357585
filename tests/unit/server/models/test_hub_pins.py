# SPDX-License-Identifier: GPL-3.0-or-later
"""Files without a published hash: refused, or pinned when they first arrive and held to it ever after."""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models import hub, registry
from footfall.server.models.registry import RemoteFile, Source

from .fake_hub import FakeHub
from .hub_rows import CLAP, NAME, UNET, how, make_row, repo_of

pytestmark = pytest.mark.usefixtures("own_hugging_face_home")


def test_an_unpinned_row_is_refused_with_its_reason(fake: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"nobody knows.*--pin-on-first-use"):
        hub.pull_row(make_row(fake, unpinned=(CLAP,)), tmp_path, how(fake))
    assert not fake.requests


def test_what_is_pinned_on_first_use_is_held_to_ever_after(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake, unpinned=(CLAP,))
    bundle = hub.pull_row(row, tmp_path, how(fake, pin_on_first_use=True))
    bundle.verify()
    assert "Pinned on first use" in bundle.note
    pins = hub.pins(tmp_path, NAME)
    assert pins[CLAP] == bundle.files[CLAP]
    assert set(pins) == {
        path for path in bundle.files if path.endswith(".safetensors") or "tokenizer" in path
    }
    shutil.rmtree(bundle.root)
    fake.files[f"laion/clap/{CLAP}"] += b"\0"
    with pytest.raises(ModelRefused, match="not the file that Footfall knows"):
        hub.pull_row(row, tmp_path, how(fake, pin_on_first_use=True))
    fake.files[f"laion/clap/{CLAP}"] = fake.files[f"laion/clap/{CLAP}"][:-1]
    assert hub.pull_row(row, tmp_path, how(fake, pin_on_first_use=True)).files[CLAP] == pins[CLAP]


def test_where_no_revision_is_on_record_the_newest_is_pinned_on_first_use(tmp_path: Path) -> None:
    """Of a prior, which also names the CLIP that it came with."""
    name = "karlo-v1-alpha-prior"
    public = registry.find(name)
    assert public is not None
    contents = {file.to: f"weights of {file.to}".encode() for s in public.sources for file in s.files}
    with FakeHub(
        {f"{repo_of(path)}/{path}": content for path, content in contents.items()}
    ).running() as fake:
        files = [RemoteFile(path=path, to=path, sha256=registry.UNPINNED) for path in contents]
        sources = tuple(
            Source(repo=repo_of(file.to), revision=registry.UNPINNED, licence="x", files=(file,))
            for file in files
        )
        row = replace(public, sources=sources, about_bytes=1_000_000)
        with pytest.raises(ModelRefused, match="--pin-on-first-use"):
            hub.pull_row(row, tmp_path, how(fake))
        fake.revision = "f" * 40  # whatever the newest is
        bundle = hub.pull_row(row, tmp_path, how(fake, pin_on_first_use=True))
        bundle.verify()
        assert bundle.makes == ()
        assert bundle.json("text_prior/config.json")["clip"] == asdict(bundle.clip_space)
        assert bundle.clip_space.sha256 == hub.pins(tmp_path, name)["clip/open_clip_model.safetensors"].sha256
        shutil.rmtree(bundle.root)
        fake.files["cvssp/audioldm/text_prior/diffusion_pytorch_model.safetensors"] += b" "
        with pytest.raises(ModelRefused, match="not the file that Footfall knows"):
            hub.pull_row(row, tmp_path, how(fake, pin_on_first_use=True))


def test_a_pinned_file_is_verified_beside_unpinned_ones(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake, unpinned=(CLAP,))
    fake.files[f"cvssp/audioldm/{UNET}"] = b"something else"
    with pytest.raises(ModelRefused, match="not the file that Footfall knows"):
        hub.pull_row(row, tmp_path, how(fake, pin_on_first_use=True))


def test_damaged_pins_are_said(fake: FakeHub, tmp_path: Path) -> None:
    (tmp_path / hub.PINS).mkdir()
    (tmp_path / hub.PINS / f"{NAME}.json").write_text("[1]")
    with pytest.raises(ModelRefused, match="is damaged; delete it"):
        hub.pull_row(make_row(fake, unpinned=(CLAP,)), tmp_path, how(fake, pin_on_first_use=True))
