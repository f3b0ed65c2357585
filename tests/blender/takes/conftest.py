# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip with takes, in a file that is otherwise empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bpy
import pytest
from footfall.addon.host import registration
from footfall.addon.host.sounds import placing
from footfall.tests.blender.takes.in_hand import RATE, activate, ours


@pytest.fixture
def registered(empty_file: None) -> Iterator[None]:
    registration.register()
    yield
    registration.unregister()


@pytest.fixture
def takes(sound: Any, store: Any) -> Callable[..., Any]:
    """``takes(3)`` places one strip with three takes of 1.0, 1.5 and 2.0 s and returns it."""

    def make(count: int = 3, layer: str = "bed", start: int = 101, **more: Any) -> Any:
        clips = [sound(0, take=n, layer=layer, seconds=1 + n / 2) for n in range(count)]
        stored = store(clips, RATE, start, **more)
        placing.place(stored, placing.home(bpy.context.scene))
        return activate(ours()[-1])

    return make
