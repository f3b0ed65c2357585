# SPDX-License-Identifier: GPL-3.0-or-later
"""A public bundle arrives whole and verified, or not at all; over huggingface_hub and a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import Cancelled, ModelError, ModelMissing, ModelRefused
from footfall.server.models import hub, registry
from footfall.server.models.bundle import Bundle, find_bundle, installed, open_bundle
from footfall.server.models.registry import RemoteFile, Row, Source

from .fake_hub import REVISION, FakeHub

NAME = "audioldm-s-full-v2"
UNET = "unet/diffusion_pytorch_model.safetensors"
CLAP = "clap/model.safetensors"


@pytest.fixture(autouse=True)
def own_hugging_face_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HOME", "HF_TOKEN_PATH"):
        monkeypatch.setenv(name, str(tmp_path / "hf"))


@pytest.fixture
def fake(tiny: Bundle) -> Iterator[FakeHub]:
    """The weights and the tokenizer of the tiny bundle, in three repositories."""
    wanted = [path for path in tiny.files if path.endswith(".safetensors") or path == "clap/tokenizer.json"]
    with FakeHub(
        {f"{_repo(path)}/{path}": tiny.file(path).read_bytes() for path in wanted}
    ).running() as running:
        yield running


def _repo(path: str) -> str:
    return {"clap": "laion/clap", "clip": "timm/clip"}.get(path.split("/")[0], "cvssp/audioldm")


def make_row(fake: FakeHub, unpinned: tuple[str, ...] = (), **changes: Any) -> Row:
    public = registry.find(NAME)
    assert public is not None
    files: dict[str, list[RemoteFile]] = {}
    for key, content in fake.files.items():
        repo, path = "/".join(key.split("/")[:2]), "/".join(key.split("/")[2:])
        digest = registry.UNPINNED if path in unpinned else hashlib.sha256(content).hexdigest()
        size = -1 if path in unpinned else len(content)
        files.setdefault(repo, []).append(RemoteFile(path=path, to=path, size=size, sha256=digest))
    sources = tuple(
        Source(repo=repo, revision=REVISION, licence="x", files=tuple(group)) for repo, group in files.items()
    )
    plain = {field: getattr(public, field) for field in public.__dataclass_fields__}
    plain |= {
        "sources": sources,
        "why_unpinned": "nobody knows" if unpinned else "",
        "about_bytes": 1_000_000,
    }
    return Row(**{**plain, **changes})


def how(fake: FakeHub, **changes: Any) -> hub.Pull:
    return hub.Pull(**{"online": True, "accept_licence": True, "endpoint": fake.endpoint, **changes})


def assert_nothing_usable(models: Path) -> None:
    with pytest.raises(ModelMissing):
        find_bundle(NAME, models)
    assert not any(row.installed for row in installed(models) if row.name == NAME)
    assert not list(models.rglob("bundle.toml"))


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


def test_a_pull_goes_on_where_the_last_one_stopped(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    key = f"cvssp/audioldm/{UNET}"
    half = len(fake.files[key]) // 2
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(fake.files[key][:half])
    hub.pull_row(row, tmp_path, how(fake)).verify()
    assert fake.ranges(key) == [f"bytes={half}-"]


def test_a_part_that_went_bad_is_not_continued_for_ever(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 1000)
    with pytest.raises(ModelRefused):
        hub.pull_row(row, tmp_path, how(fake))
    hub.pull_row(row, tmp_path, how(fake)).verify()


def test_a_part_longer_than_the_file_is_begun_anew(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * (len(fake.files[f"cvssp/audioldm/{UNET}"]) + 1))
    hub.pull_row(row, tmp_path, how(fake)).verify()


def test_a_connection_that_breaks_once_is_taken_up_again(fake: FakeHub, tmp_path: Path) -> None:
    key = f"cvssp/audioldm/{UNET}"
    fake.cut_once[key] = 100_000
    hub.pull_row(make_row(fake), tmp_path, how(fake)).verify()
    assert len(fake.ranges(key)) == 2


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from footfall.server.models import hub, registry
import json
plain = json.loads(Path(sys.argv[2]).read_text())
row = registry.parse({"bundle": [plain]})[0]
hub.pull_row(row, Path(sys.argv[3]), hub.Pull(online=True, accept_licence=True))
"""


def _plain(row: Row) -> dict[str, Any]:
    plain = {field: getattr(row, field) for field in row.__dataclass_fields__ if field != "sources"}
    plain["source"] = [
        {
            "repo": source.repo,
            "revision": source.revision,
            "licence": source.licence,
            "files": [{"path": f.path, "to": f.to, "size": f.size, "sha256": f.sha256} for f in source.files],
        }
        for source in row.sources
    ]
    return plain


def test_kill_9_at_half_leaves_nothing_usable_and_the_next_pull_goes_on(
    fake: FakeHub, tmp_path: Path
) -> None:
    key = f"cvssp/audioldm/{UNET}"
    fake.files[key] = bytes(24_000_000)  # the library hands over 10 MB at a time
    row = make_row(fake)
    half = len(fake.files[key]) // 2
    fake.hold_at[key] = half
    models = tmp_path / "models"
    (tmp_path / "row.json").write_text(json.dumps(_plain(row)))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), str(tmp_path / "row.json"), str(models)],
        env={**os.environ, "HF_ENDPOINT": fake.endpoint},
    )
    try:
        assert fake.held.wait(60)
        part = models / hub.INCOMPLETE / NAME / f"{UNET}.part"
        deadline, pause = time.monotonic() + 30, threading.Event()
        while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
            pause.wait(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert_nothing_usable(models)
    stopped_at = part.stat().st_size
    assert 0 < stopped_at <= half
    hub.pull_row(row, models, how(fake)).verify()
    assert fake.ranges(key)[1:] == [f"bytes={stopped_at}-"]


def test_a_full_disk_is_foreseen(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(ModelError, match="make room"):
        hub.pull_row(make_row(fake), tmp_path, how(fake))
    assert not fake.requests


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_meanwhile_is_said(fake: FakeHub, tmp_path: Path) -> None:
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(ModelError, match="disk is full"):
        hub.pull_row(make_row(fake), tmp_path, how(fake))
    assert_nothing_usable(tmp_path)
    part.unlink()
    hub.pull_row(make_row(fake), tmp_path, how(fake)).verify()


def test_ctrl_c_is_a_cancel(fake: FakeHub, tmp_path: Path) -> None:
    def stop(file: str, count: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        hub.pull_row(make_row(fake), tmp_path, how(fake, progress=stop))
    assert_nothing_usable(tmp_path)
    hub.pull_row(make_row(fake), tmp_path, how(fake)).verify()


def test_two_pulls_of_one_bundle_do_not_mix(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    refused: list[ModelError] = []

    def second(file: str, count: int, size: int) -> None:
        if not refused:
            with pytest.raises(ModelError, match="being pulled already") as caught:
                hub.pull_row(row, tmp_path, how(fake))
            refused.append(caught.value)

    hub.pull_row(row, tmp_path, how(fake, progress=second)).verify()
    assert refused


def test_what_is_in_the_way_is_left_alone(fake: FakeHub, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "my notes.txt").write_text("mine")
    with pytest.raises(ModelRefused, match="in the way"):
        hub.pull_row(make_row(fake), tmp_path, how(fake))
    assert (tmp_path / NAME / "my notes.txt").read_text() == "mine"


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
    with FakeHub({f"{_repo(path)}/{path}": content for path, content in contents.items()}).running() as fake:
        files = [RemoteFile(path=path, to=path, sha256=registry.UNPINNED) for path in contents]
        sources = tuple(
            Source(repo=_repo(file.to), revision=registry.UNPINNED, licence="x", files=(file,))
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
