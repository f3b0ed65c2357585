# SPDX-License-Identifier: GPL-3.0-or-later
"""One scene for every family that can be seen, by its name."""

from __future__ import annotations

from collections.abc import Callable

from ..build import Stage
from . import contact, impacts, living, machines, nature, signals, steps, water, weather

Scene = Callable[[Stage], None]
SCENES: dict[str, Scene] = {
    **impacts.SCENES,
    **steps.SCENES,
    **contact.SCENES,
    **water.SCENES,
    **weather.SCENES,
    **nature.SCENES,
    **machines.SCENES,
    **signals.SCENES,
    **living.SCENES,
}
