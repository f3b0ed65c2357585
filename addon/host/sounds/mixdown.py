# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scene sounds like, as one WAV: Blender's own mixdown, waited for until it is whole.

Up to 5.0 the operator returns when the file is complete. On 5.2 it only starts a job and returns at once,
with an empty file or none, so the file's own sizes tell when it is whole. In background that job is never
cleared away, and Blender holds the next one back until another file is loaded: one mixdown per file there.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from ...wire.errors import BadInput, SaveError
from ..override import alone

TIMEOUT_S = 120.0
STILL_S = 20.0  # a file that has not grown for so long will not
_POLL_S = 0.02
_running = False


def running() -> bool:
    """Whether a mixdown of ours is under way. Blender cannot be asked about the user's own."""
    return _running


def mixdown(
    scene: Any,
    path: Path,
    *,
    rate_hz: int = 48_000,
    channels: str = "STEREO",
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Mix all sound of ``scene``, from its first to its last frame, into the 32-bit float WAV ``path``.

    Blocks, so it is for background mode. channels: MONO, STEREO, … as the operator names them. Replaces
    ``path``. Raises BadInput when there is nothing to mix, SaveError when no whole file came.
    """
    global _running
    if scene.sequence_editor is None:
        raise BadInput(f"The scene “{scene.name}” has no sequencer, so there is nothing to mix.")
    part = path.with_name(f".{path.stem}-{os.getpid()}.part.wav")  # an old file must not pass for a new one
    _running = True
    try:
        part.unlink(missing_ok=True)
        with alone(scene=scene):
            bpy.ops.sound.mixdown(
                filepath=str(part),
                check_existing=False,
                relative_path=False,
                container="WAV",
                codec="PCM",
                format="F32",
                mixrate=rate_hz,
                channels=channels,
            )
        _wait(part, clock() + timeout_s, clock)
        os.replace(part, path)
    except (RuntimeError, OSError) as error:
        raise SaveError(
            f"The mix could not be written to {path}; choose a folder that can be written to.", str(error)
        ) from error
    finally:
        _running = False
        with contextlib.suppress(OSError):  # a folder that is gone or cannot be written to has none
            part.unlink(missing_ok=True)
    return path


def _wait(path: Path, deadline: float, clock: Callable[[], float]) -> None:
    """Until ``path`` is a whole WAV. Raises SaveError at the deadline, or when it has stopped to grow."""
    size, since = -1, clock()
    while not whole(path):
        now = clock()
        if path.exists() and path.stat().st_size != size:
            size, since = path.stat().st_size, now
        if now > deadline or now - since > STILL_S:
            raise SaveError(
                "Blender's mixdown did not finish; save the file, open it again and try once more."
            )
        time.sleep(_POLL_S)


def whole(path: Path) -> bool:
    """Whether the sizes in the header of the WAV ``path`` are filled in and agree with the file's."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
            length = os.fstat(file.fileno()).st_size
    except OSError:
        return False
    if len(head) < 12 or head[:4] != b"RIFF":
        return False
    return struct.unpack("<L", head[4:8])[0] in (length - 8, length - 9)
