# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bundle's files can be believed: they are there, they are the listed ones, and JSON is harmless.

Large files are hashed once: what was found is remembered beside them, in a hidden file.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...addon.wire.errors import ModelMissing, ModelRefused
from .bounds import out_of_bounds
from .manifest import FileEntry, Manifest

log = logging.getLogger(__name__)

_STAMP = ".checked.json"
_CODE = re.compile(".*_implementation|auto_map|custom_pipelines")


def check_on_disk(root: Path, path: str, entry: FileEntry, said: Manifest) -> None:
    """A listed file is there, inside the bundle's folder, with its size.

    Raises ModelMissing, ModelRefused.
    """
    target = root / path
    try:
        size = target.stat().st_size
    except OSError as error:
        raise ModelMissing(
            f"The model {said.title} is not complete: {path} is missing. "
            f"Pull it again with: footfall models pull {said.name}",
            str(error),
        ) from error
    if not target.resolve().is_relative_to(root.resolve()):
        raise ModelRefused(f"{path} of the model {said.title} leads out of its folder; do not use it.")
    if size != entry.size or not target.is_file():
        raise ModelRefused(
            f"{path} of the model {said.title} has {size} bytes, not {entry.size}; pull the model again."
        )


def read_object(source: Path, called: str) -> dict[str, Any]:
    """A JSON object that names no code, its numbers in bounds. ``called`` is its name in what is refused.

    Raises ModelRefused.
    """
    try:
        plain = json.loads(source.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelRefused(f"{called} is damaged; pull the model again.", str(error)) from error
    if not isinstance(plain, dict):
        raise ModelRefused(f"{called} is not a configuration; pull the model again.")
    if _names_code(plain):
        raise ModelRefused(f"{called} wants programs from elsewhere; choose another model.")
    if wrong := out_of_bounds(plain):
        raise ModelRefused(f"{called} asks for sizes that no model has; choose another model.", wrong)
    return plain


def _names_code(plain: Any) -> bool:
    """Whether a configuration says which code is to run: transformers fetches some of it from the hub."""
    waiting = [plain]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if any(_CODE.fullmatch(key) for key in found):
                return True
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
    return False


def mark(source: Path, entry: FileEntry) -> list[int | str]:
    """What stays as it is while nobody touches the file. Raises ModelMissing."""
    try:
        status = source.stat()
    except OSError as error:
        raise ModelMissing(f"{source} is missing; pull the model again.", str(error)) from error
    return [status.st_size, status.st_mtime_ns, status.st_ino, entry.sha256]


def read_stamps(root: Path) -> dict[str, Any]:
    """What is remembered of a bundle: the mark of each file whose hash was right, and findings by name."""
    try:
        stamps = json.loads((root / _STAMP).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def write_stamps(root: Path, stamps: Mapping[str, Any]) -> None:
    """Remembers them for ``read_stamps``, where the folder can be written to."""
    try:
        (root / _STAMP).write_text(json.dumps(stamps), encoding="utf-8")
    except OSError as error:
        log.debug("hashes of %s are not remembered: %s", root, error)
