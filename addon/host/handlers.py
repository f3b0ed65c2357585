# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender tells the session: files that open and close, saves, renders, undo. Installed with the
session.

``blocked`` says whether scenes may be changed now: not while a render, a save or a file load runs.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

from .session import Session

_session: Session | None = None
_busy: set[str] = set()  # of "render", "save", "load"


def blocked() -> str:
    """Why scenes must be left alone at the moment, in words; "" when they need not be."""
    if "render" in _busy or bpy.app.is_job_running("RENDER"):
        return "Waiting for the render to finish"
    if "save" in _busy:
        return "Waiting for the file to be saved"
    if "load" in _busy:
        return "Waiting for the file to open"
    return ""


@persistent
def _load_pre(*_: Any) -> None:
    if _session is not None:
        _session.file_closing()
    _busy.clear()
    _busy.add("load")


@persistent
def _load_post(*_: Any) -> None:
    _busy.discard("load")
    if _session is not None:
        _session.file_loaded(bpy.data.filepath)


@persistent
def _load_post_fail(*_: Any) -> None:
    _busy.discard("load")


@persistent
def _save_pre(*_: Any) -> None:
    _busy.add("save")


@persistent
def _save_post(*_: Any) -> None:
    _busy.discard("save")
    if _session is not None:
        _session.file_saved(bpy.data.filepath)


@persistent
def _save_post_fail(*_: Any) -> None:
    _busy.discard("save")


@persistent
def _render_begins(*_: Any) -> None:
    _busy.add("render")


@persistent
def _render_ends(*_: Any) -> None:
    _busy.discard("render")


@persistent
def _undone(*_: Any) -> None:
    if _session is not None:
        _session.look_for_strips = True


_HANDLERS = {
    "load_pre": _load_pre,
    "load_post": _load_post,
    "load_post_fail": _load_post_fail,
    "save_pre": _save_pre,
    "save_post": _save_post,
    "save_post_fail": _save_post_fail,
    "render_init": _render_begins,
    "render_complete": _render_ends,
    "render_cancel": _render_ends,
    "undo_post": _undone,
    "redo_post": _undone,
}


def install(session: Session) -> None:
    """Listen on behalf of ``session``."""
    global _session
    _session = session
    session.paths[session.file_id] = bpy.data.filepath
    for name, handler in _HANDLERS.items():
        listeners = getattr(bpy.app.handlers, name)
        if handler not in listeners:
            listeners.append(handler)


def remove() -> None:
    """Stop listening."""
    global _session
    _session = None
    _busy.clear()
    for name, handler in _HANDLERS.items():
        listeners = getattr(bpy.app.handlers, name)
        while handler in listeners:
            listeners.remove(handler)
