# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound out of the loudspeakers, beside whatever Blender plays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...wire.errors import BadInput


class _Speaker:
    device: Any = None
    handle: Any = None


def play(waveform: np.ndarray, rate_hz: int) -> None:
    """Play (n, channels) float32 instead of what is played now. Raises BadInput where there is no sound."""
    import aud

    stop()
    try:
        if _Speaker.device is None:
            _Speaker.device = aud.Device()
        sound = aud.Sound.buffer(np.ascontiguousarray(waveform, np.float32), rate_hz)
        _Speaker.handle = _Speaker.device.play(sound)
    except (aud.error, RuntimeError) as error:
        raise BadInput("The draft is ready, but this computer has no sound output.", str(error)) from error


def stop() -> None:
    """Be quiet."""
    handle, _Speaker.handle = _Speaker.handle, None
    if handle is not None and handle.status:
        handle.stop()
