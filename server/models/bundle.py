# SPDX-License-Identifier: GPL-3.0-or-later
"""A model bundle, opened: a folder with ``bundle.toml`` and one sub-folder per part (bundle_parts.py).

Only files that ``bundle.toml`` lists are ever opened. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...addon.wire.errors import ModelMissing, ModelRefused
from ...addon.wire.messages import CONDITIONS, MAPPERS, BundleInfo
from . import manifest
from .bundle_files import check_on_disk, mark, read_object, read_stamps, write_stamps
from .bundle_parts import (
    CONFIGS,
    EMBEDDER,
    PICTURE_CONFIGS,
    TEXT_PRIOR,
    below,
    check_parts,
    makes_of,
    weights_path,
)
from .manifest import FileEntry, Ticker, sha256_file

STARTER = "starter"
STARTER_ROOT = Path(__file__).resolve().parents[1] / STARTER
CONFIG_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceId:
    """An embedding space: the name of the model that spans it and the sha256 of that model's weights.

    Both are empty for a part that a bundle does not have.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that is whole: every listed file is there with its size. ``sampling_rate`` in Hz.

    ``sha256`` is that of ``bundle.toml``, which holds the hash of every file, so it stands for all of them.
    ``sampling``, ``condition``, ``views``: as in the manifest.
    """

    name: str
    title: str
    root: Path
    licence: str
    commercial: bool
    random: bool
    note: str
    sha256: str
    sampling_rate: int
    clip_space: SpaceId
    clap_space: SpaceId
    files: Mapping[str, FileEntry] = field(repr=False)
    sampling: Mapping[str, Mapping[str, float | int | str]] = field(default_factory=dict)
    condition: str = "clap"
    views: tuple[float, ...] = manifest.WHOLE

    @property
    def makes(self) -> tuple[str, ...]:
        """Of messages.MAKES; neither for a text prior on its own."""
        return makes_of(self.files)

    @property
    def queries(self) -> tuple[str, ...]:
        """Those of messages.CONDITIONS that its sound can be asked by."""
        if "sound" not in self.makes:
            return ()
        can = {"picture", "clip_text"}
        can |= {"clap_text"} if self.condition == "clap" else set()
        can |= {"clip_text_prior"} if self.has(TEXT_PRIOR) else set()
        return tuple(query for query in CONDITIONS if query in can)

    @property
    def mappers(self) -> tuple[str, ...]:
        """Kinds of mapper that this bundle can use; ``bridge`` needs no file. None where the generator takes
        CLIP's rows as they are.
        """
        if "sound" not in self.makes or self.condition == "clip":
            return ()
        return tuple(kind for kind in MAPPERS if kind == "bridge" or self.has(f"mappers/{kind}"))

    @property
    def size_bytes(self) -> int:
        return sum(entry.size for entry in self.files.values())

    def has(self, part: str) -> bool:
        return bool(below(part, self.files))

    def part(self, name: str) -> Path:
        """The folder of a part, as ``unet``, ``mappers/KIND`` or ``pictures/unet``. Raises ModelMissing."""
        if not self.has(name):
            raise ModelMissing(
                f"The model {self.title} has no {name}; pull it again, or choose another model."
            )
        return self.root / name

    def file(self, path: str) -> Path:
        """A listed file, not yet hashed. Raises ModelMissing."""
        if path not in self.files:
            raise ModelMissing(
                f"The model {self.title} has no {path}; pull it again, or choose another model."
            )
        return self.root / path

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part, hashed and read as JSON. Raises ModelMissing, ModelRefused."""
        return self.json(f"{part}/{(CONFIGS | PICTURE_CONFIGS).get(part, 'config.json')}")

    def json(self, path: str) -> dict[str, Any]:
        """A listed JSON object of at most 1 MB, its numbers in bounds. Raises ModelMissing, ModelRefused."""
        source = self.file(path)
        if self.files[path].size > CONFIG_BYTES:
            raise ModelRefused(f"{path} of the model {self.title} is too large to be a configuration.")
        self.check(path)
        return read_object(source, f"{path} of the model {self.title}")

    def weights(self, part: str) -> Path:
        """The one safetensors file of a part, its hash verified. Raises ModelMissing, ModelRefused."""
        self.part(part)
        path = weights_path(part, self.files)
        self.check(path)
        return self.root / path

    def weights_sha256(self, part: str) -> str:
        """Of the part's one safetensors file, as ``bundle.toml`` says. Raises ModelMissing, ModelRefused."""
        self.part(part)
        return self.files[weights_path(part, self.files)].sha256

    def check(self, *paths: str, tick: Ticker | None = None, again: bool = False) -> None:
        """Refuses listed files whose content is not what ``bundle.toml`` says.

        A file is hashed once, and again when its size, time or number on disk changed, or ``again`` is set.
        Raises ModelMissing, ModelRefused.
        """
        stamps = read_stamps(self.root)
        for path in paths:
            source, entry = self.file(path), self.files[path]
            seen = mark(source, entry)
            if not again and stamps.get(path) == seen:
                continue
            try:
                digest = sha256_file(source, tick)
            except OSError as error:
                raise ModelMissing(f"{source} cannot be read; pull the model again.", str(error)) from error
            if digest != entry.sha256:
                raise ModelRefused(
                    f"{path} of the model {self.title} is damaged or was changed; pull the model again.",
                    f"sha256 is {digest}, bundle.toml says {entry.sha256}",
                )
            stamps[path] = seen
            self._keep(stamps)

    def remembers(self, finding: str) -> bool:
        """Whether ``remember`` noted this finding about this very bundle."""
        return read_stamps(self.root).get(finding) == self.sha256

    def remember(self, finding: str) -> None:
        """Notes that a costly check across files went well. It counts until ``bundle.toml`` changes."""
        self._keep(read_stamps(self.root) | {finding: self.sha256})

    def verify(self, tick: Ticker | None = None) -> None:
        """Hashes every file anew. Raises ModelMissing, ModelRefused for the first that is wrong."""
        self.check(*sorted(self.files), tick=tick, again=True)

    def info(self) -> BundleInfo:
        """As the panel lists it, under the name of its folder."""
        return BundleInfo(
            name=self.root.name,
            title=self.title,
            licence=self.licence,
            commercial=self.commercial,
            mappers=self.mappers,
            size_bytes=self.size_bytes,
            makes=self.makes,
            queries=self.queries,
            paints_sounds=self.has(EMBEDDER),
        )

    def _keep(self, stamps: Mapping[str, Any]) -> None:
        if self.root != STARTER_ROOT:  # it is small, and its folder is the program's
            write_stamps(self.root, stamps)


def open_bundle(root: Path) -> Bundle:
    """The bundle in a folder, everything about it checked but the content of large files (``Bundle.check``).

    Raises ModelMissing when the folder or a file is not there, ModelRefused when something is wrong with it.
    """
    root = root.expanduser().absolute()
    said, digest = manifest.read(root)
    check_parts(said)
    for path, entry in said.files.items():
        check_on_disk(root, path, entry, said)
    return Bundle(
        name=said.name,
        title=said.title,
        root=root,
        licence=said.licence,
        commercial=said.commercial,
        random=said.random,
        note=said.note,
        sha256=digest,
        sampling_rate=said.sampling_rate,
        clip_space=_space("clip", said.clip, said.files),
        clap_space=_space("clap", said.clap, said.files),
        files=said.files,
        sampling=said.sampling,
        condition=said.condition,
        views=said.views,
    )


def _space(part: str, name: str, files: Mapping[str, FileEntry]) -> SpaceId:
    if not below(part, files):
        return SpaceId(name="", sha256="")
    return SpaceId(name=name, sha256=files[weights_path(part, files)].sha256)
