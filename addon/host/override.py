# SPDX-License-Identifier: GPL-3.0-or-later
"""Calling an operator in another context than the user's.

Every operator that needs ``temp_override`` is called inside ``alone``, with our own thread at a standstill;
see ``addon/worker/standstill.py`` for why.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import bpy

from . import live

IN_WINDOW_S = 0.02  # a tick may wait no longer; the next one tries again
IN_BACKGROUND_S = 30.0  # far longer than the longest write of a sound


class NotNow(Exception):
    """It cannot be done in this tick; the next one tries again."""


class NotAlone(NotNow):
    """Our thread is busy, most likely writing a sound."""


@contextlib.contextmanager
def alone(**members: Any) -> Iterator[None]:
    """``bpy.context.temp_override(**members)`` in which operators may be called. Raises NotAlone."""
    session = live.session()
    client = None if session is None else session.client
    with contextlib.ExitStack() as stack:
        if client is not None:
            patience_s = IN_BACKGROUND_S if bpy.app.background else IN_WINDOW_S
            if not stack.enter_context(client.held(patience_s)):
                raise NotAlone
        stack.enter_context(bpy.context.temp_override(**members))
        yield
