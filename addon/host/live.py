# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the one session is found. Made on first use: enabling the add-on starts and loads next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Session

_session: Session | None = None


def session() -> Session | None:
    """The session, if there is one yet."""
    return _session


def get() -> Session:
    """The session; made, with its handlers and its timer, when there is none."""
    global _session
    if _session is None:
        from . import handlers, pump
        from .session import Session

        _session = Session()
        handlers.install(_session)
        pump.start()
    return _session


def end() -> None:
    """End the session and everything that it started."""
    global _session
    ended, _session = _session, None
    if ended is None:
        return
    from . import handlers, pump

    pump.stop()
    handlers.remove()
    if ended.status_text is not None:
        pump.say(None)
    ended.close()
