# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the files inside a tar without unpacking it, also when a part of it is damaged or missing.

Knows nothing of what the files are. Nothing is ever written to the disk under a name from a tar.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

BLOCK = tarfile.BLOCKSIZE
Report = Callable[[str], None]


class Member(NamedTuple):
    """A file in a tar: where its bytes lie."""

    name: str
    offset: int
    size: int


def members(path: Path, report: Report) -> Iterator[Member]:
    """The files in ``path``, in order. What is damaged is told to ``report`` and passed over.

    After a damaged block the walk goes on at the next block that is a header. Raises OSError if the tar
    cannot be read at all.
    """
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        at, lost, ended = 0, False, False
        while at + BLOCK <= length:
            file.seek(at)
            block = file.read(BLOCK)
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "replace")
            except tarfile.HeaderError:
                ended = not block.strip(b"\0")  # the end is marked with empty blocks
                if not ended and not lost:
                    report(f"{path.name} is damaged at byte {at}")
                    lost = True
                at += BLOCK
                continue
            at += BLOCK
            lost = ended = False
            if header.size < 0 or at + header.size > length:
                report(f"{path.name} is cut short: {header.name[:80]} is not whole")
                continue
            if header.isreg():
                yield Member(header.name, at, header.size)
            at += -(-header.size // BLOCK) * BLOCK
        if not ended:
            report(f"{path.name} is cut short: it ends after {length} bytes")


def read(file: BinaryIO, member: Member) -> bytes:
    """The bytes of a file in an open tar."""
    file.seek(member.offset)
    return file.read(member.size)


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Puts a file into a tar, the same bytes whenever and by whomever it is made."""
    header = tarfile.TarInfo(name)
    header.size, header.mode = len(data), 0o644
    tar.addfile(header, io.BytesIO(data))
