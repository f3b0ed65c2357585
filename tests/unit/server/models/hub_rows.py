# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub on loopback has, as a row of the registry; and how it is pulled."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import ModelMissing
from footfall.server.models import hub, registry
from footfall.server.models.finding import find_bundle, installed
from footfall.server.models.registry import RemoteFile, Row, Source

from .fake_hub import REVISION, FakeHub

NAME = "audioldm-s-full-v2"
UNET = "unet/diffusion_pytorch_model.safetensors"
CLAP = "clap/model.safetensors"


def repo_of(path: str) -> str:
    """Which repository has the file ``path`` of a bundle."""
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
