# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may speak: each message is signed over all of its frames, their lengths, order, direction and run.

The first frame of a signed message is 8 bytes sequence number (big-endian) and 32 bytes HMAC-SHA256. Nothing
is copied, nothing is parsed before the signature holds, and of the past only the last sequence number is
kept, so there is no history that junk could flush. A Seal and a Verifier belong to one thread each.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence

from . import limits
from .errors import Forged, Malformed
from .fields import Buffer
from .handshake import KEY_BYTES

RUN_BYTES = 16
AUTH_BYTES = 40  # sequence number and signature
DIRECTIONS = ("to_worker", "to_addon")
DOOR_NAME = "footfall"


def new_key() -> str:
    """A key for one worker, as ``WorkerSettings.key`` wants it: 64 hexadecimal digits."""
    return secrets.token_hex(KEY_BYTES)


def key_bytes(text: str) -> bytes:
    """The 32 bytes behind ``WorkerSettings.key``. Raises Malformed."""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        # Neither the text nor the cause: the key must show in no log.
        raise Malformed("The worker's key has the wrong form; restart the worker.") from None
    return key


def remote_key(worker_public: bytes) -> str:
    """In place of a secret key where CURVE keeps strangers out: both ends know the worker's public key."""
    return hashlib.sha256(b"footfall remote worker " + worker_public).hexdigest()


def run_nonce(key: bytes) -> bytes:
    """16 bytes that name this run of the worker; both ends derive them from the key."""
    return hmac.digest(key, b"footfall run", "sha256")[:RUN_BYTES]


def door_word(key: bytes) -> str:
    """What ZeroMQ itself is told before it lets anybody speak to the worker. It signs nothing."""
    return hmac.digest(key, b"footfall door", "sha256").hex()


class _Signer:
    """The part of the signature that never changes, hashed once."""

    def __init__(self, key: bytes, run: bytes, direction: str) -> None:
        if len(key) != KEY_BYTES or len(run) != RUN_BYTES or direction not in DIRECTIONS:
            raise ValueError("wrong length of key or run, or unknown direction")
        name = direction.encode()
        self._base = hmac.new(key, bytes([len(name)]) + name + run, hashlib.sha256)

    def signature(self, sequence: bytes, frames: Sequence[memoryview]) -> bytes:
        mac = self._base.copy()
        mac.update(sequence + struct.pack(">I", len(frames)))
        for frame in frames:
            mac.update(struct.pack(">Q", frame.nbytes))
            mac.update(frame)
        return mac.digest()


class Seal:
    """Signs what one end sends in one direction of one run."""

    def __init__(self, key: bytes, run: bytes, direction: str) -> None:
        self._signer = _Signer(key, run, direction)
        self._sequence = 0

    def sign(self, frames: Sequence[Buffer]) -> list[Buffer]:
        """``frames`` behind their auth frame; the frames themselves are passed on as they are."""
        self._sequence += 1
        sequence = struct.pack(">Q", self._sequence)
        views = [memoryview(frame) for frame in frames]
        return [sequence + self._signer.signature(sequence, views), *frames]


class Verifier:
    """Opens what arrives from one direction of one run; refuses what is forged, altered or replayed."""

    def __init__(self, key: bytes, run: bytes, direction: str) -> None:
        self._signer = _Signer(key, run, direction)
        self._last = 0

    @property
    def last(self) -> int:
        """Sequence number of the last message believed."""
        return self._last

    def open(self, frames: Sequence[Buffer]) -> list[Buffer]:
        """The frames behind a good auth frame. Raises Forged, and is then as it was before."""
        if not 2 <= len(frames) <= limits.BUFFERS + 2:
            raise Forged("A message without a signature arrived and was dropped.")
        try:
            views = [memoryview(frame) for frame in frames]
        except TypeError as error:
            raise Forged("Something that is no message arrived and was dropped.") from error
        if views[0].nbytes != AUTH_BYTES or not all(view.c_contiguous for view in views):
            raise Forged("A message without a signature arrived and was dropped.")
        auth = bytes(views[0])
        if not hmac.compare_digest(self._signer.signature(auth[:8], views[1:]), auth[8:]):
            raise Forged("A message with a wrong signature arrived and was dropped.")
        number = int.from_bytes(auth[:8], "big")
        if number <= self._last:
            raise Forged("A message arrived a second time and was dropped.")
        self._last = number
        return list(frames[1:])
