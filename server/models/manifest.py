# SPDX-License-Identifier: GPL-3.0-or-later
"""``bundle.toml``: reading it strictly, writing it, and the hashes in it.

It lists every other file of the bundle with size and sha256, so its own sha256 stands for the whole bundle.
Nothing here loads a weight; nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...addon.wire import limits
from ...addon.wire.errors import ModelMissing, ModelRefused
from ...addon.wire.messages import QUALITIES

FILE = "bundle.toml"
FORMAT = 3  # a bundle says the lowest that knows all it uses: 2 brought ``condition``, 3 ``views``
MANIFEST_BYTES = 1024 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")
# Formats that run code when they are read. They are refused by name, and by content in weights.py.
PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".npy", ".npz", ".th", ".joblib"})

_RELATIVE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,4}")
_CHUNK = 4 * 1024 * 1024

Ticker = Callable[[int], None]  # called with the bytes done since the last call


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a bundle. ``size`` in bytes, ``sha256`` 64 hex digits."""

    size: int
    sha256: str


WHOLE = (1.0,)  # pictures are looked at once, as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What ``bundle.toml`` says. ``clip`` and ``clap``: names of the two spaces, "" without such a part;
    ``files``: path -> entry; ``condition``: whose rows the sound generator expects, one of CONDITIONS.

    ``sampling``: quality -> what this model wants instead of sampling/quality.py's row, by the names there;
    ``low`` and ``high`` are the guidance interval.
    ``views``: shares of a picture's height and width, around its middle, in which CLIP looks at it; what it
    sees in all of them is averaged.
    """

    name: str
    title: str
    licence: str
    commercial: bool
    sampling_rate: int
    clip: str
    clap: str
    condition: str = "clap"
    random: bool = False
    note: str = ""
    source: str = ""
    views: tuple[float, ...] = WHOLE
    sampling: Mapping[str, Mapping[str, float | int | str]] = field(default_factory=dict)
    files: Mapping[str, FileEntry] = field(default_factory=dict)


CONDITIONS = ("clap", "clip")

_TEXTS = ("title", "licence", "clip", "clap", "note", "source")
_KEYS = {"format", "name", "commercial", "sampling_rate", "random", "files", "sampling", *_TEXTS}
_KEYS |= {"condition", "views"}  # since formats 2 and 3
_MOST_VIEWS, _SMALLEST_VIEW = 8, 0.1
SOLVERS = ("ddim", "dpm++", "unipc")  # as in sampling/schedules.py, which loads torch; a test compares them
# What [sampling.QUALITY] may say, each with its lowest and highest value. Counts are whole numbers.
_SAMPLING: dict[str, tuple[float, float]] = {
    "steps": (1, limits.STEPS),
    "candidates": (1, 16),
    "guidance": (0.0, limits.GUIDANCE),
    "rescale": (0.0, 1.0),
    "low": (0.0, 1e9),
    "high": (0.0, 1e9),
}
_COUNTS = frozenset({"steps", "candidates"})


def sha256_file(path: Path, tick: Ticker | None = None) -> str:
    """Hash of a file, read once in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            if tick:
                tick(len(chunk))
    return digest.hexdigest()


def relative_path(text: str) -> str:
    """A path inside a bundle, checked: plain, never upwards, never a pickle. Raises ModelRefused."""
    if not _RELATIVE.fullmatch(text) or len(text) > limits.NAME:
        raise ModelRefused(f"The model lists a file with an unsafe name ({text[:80]!r}); do not use it.")
    if PurePosixPath(text).suffix.lower() in PICKLES:
        raise ModelRefused(
            f"The model contains {text}, a format that can run programs when it is read; "
            "ask for it as safetensors instead."
        )
    return text


def read(root: Path) -> tuple[Manifest, str]:
    """The manifest of the bundle at ``root`` and its sha256. Raises ModelMissing, ModelRefused."""
    path = root / FILE
    try:
        with path.open("rb") as stream:
            raw = stream.read(MANIFEST_BYTES + 1)
    except OSError as error:
        raise ModelMissing(
            f"There is no model in {root}; choose a folder that has a {FILE}, "
            "or get one with: footfall models pull NAME",
            str(error),
        ) from error
    if len(raw) > MANIFEST_BYTES:
        raise ModelRefused(f"The {FILE} in {root} is far too large to be one; pull the model again.")
    try:
        plain = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise ModelRefused(f"The {FILE} in {root} is damaged; pull the model again.", str(error)) from error
    return parse(plain, root), hashlib.sha256(raw).hexdigest()


def parse(plain: Mapping[str, Any], root: Path) -> Manifest:
    """Checks every key. Raises ModelRefused with the key that is wrong."""

    def refuse(key: str) -> ModelRefused:
        return ModelRefused(f"The {FILE} in {root} has a wrong or missing {key!r}; pull the model again.")

    if type(plain.get("format")) is not int:
        raise refuse("format")
    if plain["format"] > FORMAT:
        raise ModelRefused("This model was made for a newer Footfall; update Footfall to use it.")
    for key in plain:
        if key not in _KEYS:
            raise refuse(key)
    texts = {key: plain.get(key, "") for key in _TEXTS}
    for key, text in texts.items():
        if not isinstance(text, str) or len(text) > limits.SENTENCE:
            raise refuse(key)
    name, rate = plain.get("name"), plain.get("sampling_rate")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise refuse("name")
    if type(rate) is not int or not limits.RATE_HZ[0] <= rate <= limits.RATE_HZ[1]:
        raise refuse("sampling_rate")
    flags = {"commercial": plain.get("commercial"), "random": plain.get("random", False)}
    for key, flag in flags.items():
        if type(flag) is not bool:
            raise refuse(key)
    files = _files(plain.get("files"), refuse)
    _check_names(texts, files, refuse)
    sampling = _sampling(plain.get("sampling", {}), refuse)
    condition = plain.get("condition", "clap")
    if condition not in CONDITIONS:
        raise refuse("condition")
    views = _views(plain.get("views", list(WHOLE)), refuse)
    return Manifest(
        name=name,
        sampling_rate=rate,
        files=files,
        sampling=sampling,
        condition=condition,
        views=views,
        **flags,
        **texts,
    )


def _check_names(
    texts: Mapping[str, str], files: Iterable[str], refuse: Callable[[str], ModelRefused]
) -> None:
    """A model has a title and a licence, and each of its spaces a name."""
    spaces = [key for key in ("clip", "clap") if any(path.startswith(f"{key}/") for path in files)]
    for key in ("title", "licence", *spaces):
        if not texts[key]:
            raise refuse(key)
    for key in ("title", "licence", "clip", "clap"):
        if len(texts[key]) > limits.NAME:
            raise refuse(key)


def _views(plain: Any, refuse: Callable[[str], ModelRefused]) -> tuple[float, ...]:
    if not isinstance(plain, list) or not 1 <= len(plain) <= _MOST_VIEWS:
        raise refuse("views")
    if any(type(share) not in (int, float) or not _SMALLEST_VIEW <= share <= 1.0 for share in plain):
        raise refuse("views")
    return tuple(float(share) for share in plain)


def _sampling(plain: Any, refuse: Callable[[str], ModelRefused]) -> dict[str, dict[str, float | int | str]]:
    if not isinstance(plain, dict):
        raise refuse("sampling")
    for quality, row in plain.items():
        if quality not in QUALITIES or not isinstance(row, dict):
            raise refuse(f"sampling.{quality}")
        for key, value in row.items():
            if key == "solver" and value in SOLVERS:
                continue
            kinds = (int,) if key in _COUNTS else (int, float)
            low, high = _SAMPLING.get(key, (1, 0))  # no number is allowed under a name that nobody knows
            if type(value) not in kinds or not low <= value <= high:
                raise refuse(f"sampling.{quality}.{key}")
        if row.get("low", 0.0) > row.get("high", math.inf):
            raise refuse(f"sampling.{quality}.high")
    return {quality: dict(row) for quality, row in plain.items()}


def _files(plain: Any, refuse: Callable[[str], ModelRefused]) -> dict[str, FileEntry]:
    if not isinstance(plain, dict) or not 0 < len(plain) <= 1000:
        raise refuse("files")
    found: dict[str, FileEntry] = {}
    for path, entry in plain.items():
        if not isinstance(entry, dict) or set(entry) != {"size", "sha256"}:
            raise refuse(f"files.{path}")
        size, digest = entry["size"], entry["sha256"]
        if type(size) is not int or size < 0 or not isinstance(digest, str) or not SHA256.fullmatch(digest):
            raise refuse(f"files.{path}")
        found[relative_path(path)] = FileEntry(size=size, sha256=digest)
    return found


def describe(root: Path, paths: Iterable[str], tick: Ticker | None = None) -> dict[str, FileEntry]:
    """Entries of files as they are on disk now."""
    return {
        path: FileEntry(size=(root / path).stat().st_size, sha256=sha256_file(root / path, tick))
        for path in sorted(paths)
    }


def files_below(root: Path, folder: str = "") -> list[str]:
    """Bundle-relative paths of the files under ``root/folder``; hidden ones and ``bundle.toml`` left out."""
    found = []
    for path in sorted((root / folder).rglob("*")):
        relative = path.relative_to(root)
        hidden = any(part.startswith((".", "_")) for part in relative.parts)
        if path.is_file() and not path.is_symlink() and not hidden and relative.as_posix() != FILE:
            found.append(relative_path(relative.as_posix()))
    return found


def write(root: Path, manifest: Manifest) -> None:
    """Writes ``bundle.toml`` in one step: it is there whole, or as it was."""
    newer: dict[str, Any] = {} if manifest.condition == "clap" else {"condition": manifest.condition}
    newer |= {} if manifest.views == WHOLE else {"views": list(manifest.views)}
    head = {"format": 3 if "views" in newer else 2 if newer else 1, "name": manifest.name}
    head |= {key: getattr(manifest, key) for key in ("title", "licence", "commercial", "sampling_rate")}
    head |= {key: getattr(manifest, key) for key in ("clip", "clap", "random", "note", "source")}
    head |= newer
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    for quality, row in manifest.sampling.items():
        lines += ["", f"[sampling.{quality}]", *(f"{key} = {json.dumps(row[key])}" for key in sorted(row))]
    for path, entry in sorted(manifest.files.items()):
        lines += [
            "",
            f'[files."{relative_path(path)}"]',
            f"size = {entry.size}",
            f'sha256 = "{entry.sha256}"',
        ]
    text = "\n".join(lines) + "\n"
    parse(tomllib.loads(text), root)  # what is written can be read
    temporary = root / f".{FILE}.part"
    with temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, root / FILE)


def seal(root: Path, manifest: Manifest, tick: Ticker | None = None) -> None:
    """Lists every file below ``root`` and writes ``bundle.toml``; from then on it is a bundle."""
    write(root, replace(manifest, files=describe(root, files_below(root), tick)))


def add_folder(root: Path, folder: str) -> None:
    """Lists (again) the files below ``folder``, as after a mapper was put into an existing bundle."""
    manifest, _ = read(root)
    kept = {path: entry for path, entry in manifest.files.items() if not path.startswith(f"{folder}/")}
    write(root, replace(manifest, files=kept | describe(root, files_below(root, folder))))
