# SPDX-License-Identifier: GPL-3.0-or-later
"""The public bundles, as data: ``registry.toml`` says where each file comes from, its size and its sha256.

Every source names a full revision. A row is *pinned* when every file has its sha256 as well; a file whose
sha256 is not on record says ``unpinned``, its row says why, and it is pulled only when the user wants what
arrives to be pinned (hub.py). So is a revision that is not on record: then the newest is taken, and no file
of that source may claim a sha256. The size is for progress and for the room on the disk; what is trusted is
the sha256.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...addon.wire.errors import ModelRefused
from ...addon.wire.messages import BundleInfo
from . import manifest

PATH = Path(__file__).with_name("registry.toml")
UNPINNED = "unpinned"
_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """One file to pull: ``path`` in the repository, ``to`` in the bundle; ``size`` -1: not known."""

    path: str
    to: str
    size: int = -1
    sha256: str

    @property
    def pinned(self) -> bool:
        return self.sha256 != UNPINNED


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A repository that gives some files of a bundle. ``revision``: 40 hex digits, or UNPINNED."""

    repo: str
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A public bundle. ``licence_text`` is shown before a pull; ``why_unpinned``: empty for a pinned row."""

    name: str
    title: str
    licence: str
    licence_text: str
    commercial: bool
    about_bytes: int
    sources: tuple[Source, ...]
    sampling_rate: int = 16_000
    clip: str = ""
    clap: str = ""
    why_unpinned: str = ""

    @property
    def pinned(self) -> bool:
        return all(file.pinned for source in self.sources for file in source.files)

    @property
    def makes(self) -> tuple[str, ...]:
        """Of messages.MAKES, as Bundle's."""
        targets = [file.to for source in self.sources for file in source.files]
        starts = {"sound": "unet/", "pictures": "pictures/unet/"}
        return tuple(
            made for made, start in starts.items() if any(path.startswith(start) for path in targets)
        )

    @property
    def size_bytes(self) -> int:
        """Exact where every size is on record, else what the parameter counts come to."""
        sizes = [file.size for source in self.sources for file in source.files]
        return self.about_bytes if min(sizes) < 0 else sum(sizes)

    def info(self) -> BundleInfo:
        return BundleInfo(
            name=self.name,
            title=self.title,
            licence=self.licence,
            commercial=self.commercial,
            installed=False,
            mappers=("bridge",) if "sound" in self.makes else (),
            size_bytes=self.size_bytes,
            makes=self.makes,
            queries=("picture",) if "sound" in self.makes else (),
        )


@cache
def rows() -> tuple[Row, ...]:
    """All public bundles, in the order of the file. Raises ModelRefused if the file breaks its own rules."""
    return parse(tomllib.loads(PATH.read_text(encoding="utf-8")))


def find(name: str) -> Row | None:
    return next((row for row in rows() if row.name == name), None)


def parse(plain: Mapping[str, Any]) -> tuple[Row, ...]:
    """Rows from plain data, every rule of the module's docstring applied. Raises ModelRefused."""
    try:
        found = tuple(_row(entry) for entry in plain["bundle"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefused(
            "The list of public models is damaged; install Footfall again.", repr(error)
        ) from error
    if len({row.name for row in found}) != len(found):
        raise ModelRefused("The list of public models names one of them twice; install Footfall again.")
    return found


def _row(entry: Mapping[str, Any]) -> Row:
    sources = tuple(_source(source) for source in entry["source"])
    plain = {key: value for key, value in entry.items() if key != "source"}
    row = Row(**plain, sources=sources)
    if not manifest.NAME.fullmatch(row.name) or type(row.commercial) is not bool or not sources:
        raise ValueError(f"row {row.name!r}")
    if row.pinned == bool(row.why_unpinned):
        raise ValueError(f"{row.name} must be pinned throughout, or say why it is not")
    targets = [file.to for source in sources for file in source.files]
    if not targets or len(set(targets)) != len(targets):
        raise ValueError(f"{row.name} writes a file twice, or none")
    return row


def _source(entry: Mapping[str, Any]) -> Source:
    files = tuple(_file(file) for file in entry["files"])
    source = Source(**{**entry, "files": files})
    if not _REPO.fullmatch(source.repo):
        raise ValueError(f"repository {source.repo!r}")
    if source.revision == UNPINNED:
        if any(file.pinned for file in files):
            raise ValueError(f"a file of {source.repo} has a sha256 without a revision")
    elif not _REVISION.fullmatch(source.revision):
        raise ValueError(f"revision of {source.repo} must be 40 hex digits")
    return source


def _file(entry: Mapping[str, Any]) -> RemoteFile:
    file = RemoteFile(**{"to": entry["path"], **entry})
    manifest.relative_path(file.path)
    manifest.relative_path(file.to)
    if file.pinned and not manifest.SHA256.fullmatch(file.sha256):
        raise ValueError(f"sha256 of {file.path}")
    return file
