# SPDX-License-Identifier: GPL-3.0-or-later
"""A public bundle arrives whole and verified, or not at all; over huggingface_hub and a hub on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from footfall.addon.wire.errors import ModelMissing, ModelRefused
from footfall.server.models import hub
from footfall.server.models.bundle import open_bundle
from footfall.server.models.finding import find_bundle
from footfall.server.models.registry import Row

from .fake_hub import FakeHub
from .hub_rows import CLAP, NAME, UNET, assert_nothing_usable, how, make_row

pytestmark = pytest.mark.usefixtures("own_hugging_face_home")


def test_a_pull_makes_a_whole_verified_bundle(fake: FakeHub, tmp_path: Path) -> None:
    seen: dict[str, list[int]] = {}

    def progress(file: str, count: int, size: int) -> None:
        assert 0 <= count <= size
        seen.setdefault(file, []).append(count)

    bundle = hub.pull_row(make_row(fake), tmp_path, how(fake, progress=progress))
    bundle.verify()
    assert bundle.root == tmp_path / NAME
    assert not bundle.commercial
    assert not bundle.random
    assert bundle.config("vae")["scaling_factor"] == 0.9392935633659363
    assert find_bundle(NAME, tmp_path).sha256 == bundle.sha256
    assert not (tmp_path / hub.INCOMPLETE / NAME).exists()
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / hub.PINS).exists()
    for file, counts in seen.items():
        assert counts == sorted(counts)
        assert counts[-1] == bundle.files[file].size
    assert not fake.credentials


def test_once_pulled_it_needs_no_network(fake: FakeHub, tmp_path: Path) -> None:
    first = hub.pull_row(make_row(fake), tmp_path, how(fake))
    fake.requests.clear()
    again = hub.pull_row(make_row(fake), tmp_path, hub.Pull(online=False))
    assert again.sha256 == first.sha256
    assert not fake.requests


def test_no_request_is_made_while_offline(fake: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="may not use the internet"):
        hub.pull_row(make_row(fake), tmp_path, how(fake, online=False))
    assert not fake.requests


def test_an_unknown_name_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="audioldm-m-full"):
        hub.pull("nothing", tmp_path, hub.Pull(online=True))


@pytest.mark.parametrize("consent", [None, lambda row: False])
def test_without_consent_nothing_is_asked_of_the_hub(
    fake: FakeHub, tmp_path: Path, consent: hub.Consent | None
) -> None:
    with pytest.raises(ModelRefused, match="--accept-licence"):
        hub.pull_row(make_row(fake), tmp_path, how(fake, accept_licence=False, consent=consent))
    assert not fake.requests
    assert_nothing_usable(tmp_path)


def test_consent_sees_the_licence(fake: FakeHub, tmp_path: Path) -> None:
    asked: list[str] = []

    def consent(row: Row) -> bool:
        asked.append(row.licence_text)
        return True

    hub.pull_row(make_row(fake), tmp_path, how(fake, accept_licence=False, consent=consent))
    assert "not for commercial use" in asked[0]


def test_a_commercial_licence_needs_no_consent(fake: FakeHub, tmp_path: Path) -> None:
    hub.pull_row(make_row(fake, commercial=True), tmp_path, how(fake, accept_licence=False))


@pytest.mark.parametrize("told", [True, False])
def test_wrong_content_is_refused_and_not_kept(fake: FakeHub, tmp_path: Path, told: bool) -> None:
    """Also when the hub's own headers say nothing about it."""
    row = make_row(fake)
    key = f"cvssp/audioldm/{UNET}"
    changed = bytearray(fake.files[key])
    changed[-1] ^= 1
    if told:
        fake.files[key] = bytes(changed)
    else:
        fake.plain_etags = True
        fake.broken[key] = bytes(changed)
    with pytest.raises(ModelRefused, match="not the file that Footfall knows"):
        hub.pull_row(row, tmp_path, how(fake))
    assert bool(fake.ranges(key)) != told
    assert not (tmp_path / hub.INCOMPLETE / NAME / UNET).exists()
    assert not (tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part").exists()
    assert_nothing_usable(tmp_path)


def test_another_revision_is_refused(fake: FakeHub, tmp_path: Path) -> None:
    fake.revision = "f" * 40
    with pytest.raises(ModelRefused, match="another version"):
        hub.pull_row(make_row(fake), tmp_path, how(fake))


def test_a_file_that_is_gone_is_said(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    del fake.files[f"laion/clap/{CLAP}"]
    with pytest.raises(ModelMissing, match="no longer has"):
        hub.pull_row(row, tmp_path, how(fake))
    assert_nothing_usable(tmp_path)


def test_no_network_is_said(fake: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="could not be reached"):
        hub.pull_row(make_row(fake), tmp_path, how(fake, endpoint="http://127.0.0.1:9"))
    assert_nothing_usable(tmp_path)


def test_what_is_in_the_way_is_left_alone(fake: FakeHub, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "my notes.txt").write_text("mine")
    with pytest.raises(ModelRefused, match="in the way"):
        hub.pull_row(make_row(fake), tmp_path, how(fake))
    assert (tmp_path / NAME / "my notes.txt").read_text() == "mine"


def test_a_pulled_bundle_is_used_like_any_other(fake: FakeHub, tmp_path: Path) -> None:
    """Its weights are those of the tiny bundle, its configurations the public ones: so the check must refuse
    it.
    """
    import torch
    from footfall.server.models.clap import ClapEncoder, check_text_tower

    bundle = hub.pull_row(make_row(fake), tmp_path, how(fake))
    check_text_tower(bundle)
    with pytest.raises(ModelRefused, match=r"shape|lacks"):
        ClapEncoder.load(open_bundle(bundle.root), torch.device("cpu"), torch.float32)
