# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to frames and back: one JSON header ``{"type": ..., "body": {...}}``, then the raw arrays.

Arrays are copied in neither direction. ``decode`` trusts nothing, and lets only WireError out. Frames are to
be authenticated first (auth.py); this module knows nothing of keys, sockets or threads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from . import limits, strict_json
from .errors import LimitExceeded, Malformed
from .fields import Buffer, Incoming, pack_fields, unpack_fields
from .messages import MESSAGES, Message
from .texts import scrub


def encode(message: Message) -> list[bytes | memoryview]:
    """Header and buffers; the buffers are views on the message's arrays. Raises LimitExceeded."""
    name = type(message).__name__
    if MESSAGES.get(name) is not type(message):
        raise Malformed(f"{name} is not a message of this protocol.")
    buffers: list[memoryview] = []
    plain = {"type": name, "body": pack_fields(message, buffers)}
    header = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(header) > limits.HEADER_BYTES:
        raise LimitExceeded("There is too much text in this request; use fewer events or shorter words.")
    _check_sizes(buffers)
    return [header, *buffers]


def decode(frames: Sequence[Buffer]) -> Message:
    """The message in ``frames``; its arrays are read-only views on them. Raises WireError, nothing else."""
    if not frames:
        raise Malformed("The message is empty.")
    header, *buffers = [_flat(frame) for frame in frames]
    _check_sizes(buffers)
    if header.nbytes > limits.HEADER_BYTES:  # before it is copied
        raise LimitExceeded(f"The message's header has more than {limits.HEADER_BYTES} bytes.")
    plain = strict_json.loads(bytes(header), most_bytes=limits.HEADER_BYTES, most_depth=limits.HEADER_DEPTH)
    if not isinstance(plain, dict) or set(plain) != {"type", "body"}:
        raise Malformed("The message's header must hold type and body.")
    name = plain["type"]
    if not isinstance(name, str) or name not in MESSAGES:
        raise Malformed(f"{scrub(repr(name), 60)} is not a message of this protocol.")
    incoming = Incoming(buffers)
    message: Message = unpack_fields(MESSAGES[name], plain["body"], incoming)
    incoming.check_all_used()
    return message


def _flat(frame: Buffer) -> memoryview:
    try:
        return memoryview(frame).toreadonly().cast("B")
    except TypeError as error:  # no buffer at all, or not contiguous
        raise Malformed("A frame of the message is not a block of bytes.", str(error)) from error


def _check_sizes(buffers: Sequence[memoryview]) -> None:
    if len(buffers) > limits.BUFFERS:
        raise LimitExceeded(f"A message may carry at most {limits.BUFFERS} arrays.")
    if any(view.nbytes > limits.FRAME_BYTES for view in buffers):
        raise LimitExceeded(
            f"More than {limits.FRAME_BYTES >> 20} MB in one piece; use a shorter range or smaller frames."
        )
