# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is either whole or not there, where the user said; and whether there can be one at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from .wire.errors import SaveError


@contextlib.contextmanager
def whole_file(path: Path, suffix: str = "") -> Iterator[Path]:
    """Where to write what is to become ``path``; without an error it takes that place, else it is removed.

    suffix: of the temporary name, for what goes by that. Raises OSError.
    """
    temporary = _beside(path, suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def check_place(output: Path, ending: str = "", option: str = "-o") -> None:
    """Before any work: whether ``output`` can be a file in a folder that takes one. Raises SaveError.

    ending: what the longest of several names has behind its stem; option: what names another place.
    """
    try:
        if output.is_dir():
            raise IsADirectoryError("it is a folder")
        output.parent.mkdir(parents=True, exist_ok=True)
        probe = _beside(output)
        try:
            probe.write_bytes(b"\0")  # a full disk still takes empty files
        finally:
            probe.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # but not a name that is too long
            output.with_name(f"{output.stem}{ending}{output.suffix}").lstat()
    except OSError as error:
        sentence = f"{str(output)[:200]} cannot be written; choose another place with {option}."
        raise SaveError(sentence, str(error)) from error


def _beside(path: Path, suffix: str = "") -> Path:
    """No longer than need be: ``path``'s own name may be as long as the system allows."""
    return path.with_name(f".footfall-{secrets.token_hex(8)}.part{suffix}")
