# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender reads images with: it loads that with the first image of a session, which takes some 60 ms.

So it is made to do so when the button is pressed, rather than later in the middle of the user's work.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import bpy

log = logging.getLogger(__name__)


class _State:
    loaded = False


def load() -> None:
    """Have them loaded, once a session; leaves no image and no file behind."""
    if _State.loaded:
        return
    _State.loaded = True
    import imbuf
    import numpy as np

    from ...pictures import png

    try:
        with tempfile.TemporaryDirectory(dir=bpy.app.tempdir or None) as folder:
            path = Path(folder) / "one.png"
            path.write_bytes(png.encode(np.zeros((1, 1, 3), np.uint8)))
            imbuf.load(str(path)).free()
    except OSError as error:  # then the first strip takes a moment longer
        log.info("the image readers could not be loaded ahead: %s", error)
