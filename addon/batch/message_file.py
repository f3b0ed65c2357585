# SPDX-License-Identifier: GPL-3.0-or-later
"""One message of the wire as a file, for machines that share a disk and not a socket.

Written whole or not at all, and read whole or not at all: lengths come first and a sha256 of everything comes
last, so a file that was cut short or is still being copied is told apart from a finished one.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from ..whole_file import whole_file
from ..wire import codec, limits
from ..wire.errors import BadInput, SaveError, WireError
from ..wire.messages import Message

_MAGIC = b"FOOTFALL"
_HEAD = struct.Struct(">8sI")
_LENGTH = struct.Struct(">Q")
_DIGEST_BYTES = 32
MOST_BYTES = 4 * 1024**3


def write(path: Path, message: Message) -> None:
    """Raises SaveError; then ``path`` is as it was before."""
    frames = [memoryview(frame).cast("B") for frame in codec.encode(message)]
    head = _HEAD.pack(_MAGIC, len(frames)) + b"".join(_LENGTH.pack(frame.nbytes) for frame in frames)
    digest = hashlib.sha256(head)
    try:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            file.write(head)
            for frame in frames:
                file.write(frame)
                digest.update(frame)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SaveError(
            f"{path} could not be written; is its folder there, and not full?", str(error)
        ) from error


def read(path: Path) -> Message:
    """Raises BadInput for a file that is not there, not whole, or no message of this version."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path.name} is too large for a message of Footfall; make it again.")
        data = memoryview(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read; is the shared folder there?", str(error)) from error
    try:
        return codec.decode(_frames(path, data))
    except WireError as error:
        raise BadInput(
            f"{path.name} is not from this version of Footfall; make it again.",
            f"{error.sentence} {error.detail}",
        ) from error


def _frames(path: Path, data: memoryview) -> list[memoryview]:
    broken = BadInput(f"{path.name} is damaged or not copied yet; wait for it, or make it again.")
    if len(data) < _HEAD.size + _DIGEST_BYTES:
        raise broken
    magic, count = _HEAD.unpack_from(data)
    start = _HEAD.size + count * _LENGTH.size
    if magic != _MAGIC or not 1 <= count <= limits.BUFFERS + 1 or start > len(data):
        raise broken
    lengths = [_LENGTH.unpack_from(data, _HEAD.size + number * _LENGTH.size)[0] for number in range(count)]
    end = start + sum(lengths)
    if end + _DIGEST_BYTES != len(data) or hashlib.sha256(data[:end]).digest() != data[end:]:
        raise broken
    frames = []
    for length in lengths:
        frames.append(data[start : start + length])
        start += length
    return frames
