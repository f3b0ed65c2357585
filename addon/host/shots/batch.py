# SPDX-License-Identifier: GPL-3.0-or-later
"""The batch of the open file: begun by a button, turned by the pump, told to the list of shots.

What the journal knows is remembered per file, since panels ask at every redraw.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ...batch import journal
from ...batch import running as batches
from ...batch.running import Batch, Entry, Progress
from ...options import random_seed
from ...shots import listed as shot_list
from ...shots.listed import Shot
from ...sounds import save
from ...wire.errors import BadInput, FootfallError, SaveError
from ...wire.limits import PROMPT
from ...wire.texts import scrub
from .. import orders, settings
from . import find as shot_find
from . import hands as batch_hands
from . import pictures as shot_pictures
from . import properties as shot_properties

if TYPE_CHECKING:
    from ..session import Session

NEW, MADE = "new", "made"


@dataclass(slots=True)
class Running:
    """The batch that is under way, or the last one. ``file_id``: the file that it belongs to."""

    batch: Batch
    book: journal.Journal
    file_id: str
    trouble: str = ""

    @property
    def over(self) -> bool:
        return bool(self.trouble) or self.batch.over

    def entry(self, key: str) -> Entry | None:
        """What became of the shot ``key`` in this batch."""
        return next((entry for entry in self.batch.entries if entry.wish.shot.key == key), None)


@dataclass(slots=True)
class Known:
    """What the journal said when it was last asked. ``pace``: seconds of work for a second of shot."""

    blend: str | None = None
    made: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    pace: float = 0.0


_known = Known()


def begin(
    context: bpy.types.Context, session: Session, which: str, only: Sequence[str] | None = None
) -> Running:
    """Begin the batch of the list; ``only``: these keys, wanted or not. Raises FootfallError."""
    from ..capture import capture  # noqa: F401 - loaded now, since the first tick has no time for it

    running = session.batch
    if running is not None and not running.over:
        raise BadInput("The shots are being made already; wait, or cancel that first.")
    if running is not None:
        running.book.close()
    scene = orders.panel_scene(context)
    entries = [
        entry
        for entry in scene.footfall_shots.entries
        if (entry.use if only is None else shot_properties.shot_of(entry).key in only)
    ]
    if not entries:
        raise BadInput("No shot is chosen; find shots first, or tick some of the list.")
    words = {shot_properties.shot_of(entry).key: entry.prompt for entry in entries}
    session.need_client()  # refuses here what every shot would fail for; its thread does what waits for disks
    book, file = _book(session)
    try:
        batch = _batch(context, session, which, entries, words, book, file)
    except FootfallError:
        book.close()
        raise
    session.batch = Running(batch, book, session.file_id)
    return session.batch


def _batch(
    context: bpy.types.Context,
    session: Session,
    which: str,
    entries: Sequence[Any],
    words: Mapping[str, str],
    book: journal.Journal,
    file: str,
) -> Batch:
    """The batch of ``entries``. Raises BadInput where nothing of it is to be made, SaveError."""
    scene = orders.panel_scene(context)
    wishes = shot_find.wishes(
        [shot_properties.shot_of(entry) for entry in entries],
        session.file_id,
        os.path.basename(bpy.data.filepath),
        lambda shot: _asked(scene, words[shot.key], which),
    )
    hands = batch_hands.SessionHands(session, book, shot_pictures.remember)
    batch = Batch(
        file=file,
        wishes=wishes,
        journal=book,
        hands=hands,
        clock=session.clock,
        which=which,
        pace=book.pace(),
    )
    if not batch.entries:
        raise BadInput(
            "No shot has failed."
            if which == batches.ONLY_FAILED
            else "No shot is made yet; generate all first."
        )
    return batch


def _asked(scene: bpy.types.Scene, own_words: str, which: str) -> shot_find.Asked:
    chosen = scene.footfall
    wanted = orders.panel_settings(chosen)
    wanted["prompt"] = scrub(shot_list.own_words(wanted["prompt"], own_words), PROMPT)
    if chosen.random_seed:
        wanted["seed"] = random_seed() if which == batches.AGAIN else None
    return shot_find.Asked(settings=wanted, source=chosen.source, per_second=chosen.per_second)


def _book(session: Session) -> tuple[journal.Journal, str]:
    """The journal of the open file, and its name there. Raises BadInput, SaveError."""
    if not bpy.data.filepath:
        raise BadInput("Save the file first: what is made of its shots is written down beside it.")
    folder = batch_hands.journal_folder(session, Path(bpy.data.filepath))
    return journal.Journal(folder / journal.NAME), journal.file_key(bpy.data.filepath, folder)


def step(session: Session) -> bool:
    """Turn the batch; whether anything has changed."""
    running: Running | None = session.batch
    if running is None or running.over:
        return False
    if running.file_id != session.file_id and not running.batch.stopped:
        running.batch.stop()
    try:
        changed = running.batch.step()
    except SaveError as error:
        running.trouble = error.sentence
        for entry in running.batch.busy:
            session.cancel(entry.job_id)
        changed = True
    if running.over:
        running.book.close()
        forget()
    return changed


def cancel(session: Session) -> None:
    """Begin no more shots, and cancel those in the works; what is made stays."""
    running: Running | None = session.batch
    if running is not None and not running.over:
        running.batch.stop()


def refresh() -> Known:
    """What the journal of the open file says, asked once and after each batch."""
    global _known
    if _known.blend == bpy.data.filepath:
        return _known
    _known = Known(blend=bpy.data.filepath)
    if not bpy.data.filepath:
        return _known
    folder = settings.current().output_folder or Path(bpy.data.filepath).parent / save.FOLDER
    path = folder / journal.NAME
    if not path.is_file():
        return _known
    book = journal.Journal(path, busy_s=0.05)
    try:
        file = journal.file_key(bpy.data.filepath, folder)
        _known.made = set(book.made(file))
        _known.failed = {key: failure.sentence for key, failure in book.failed(file).items()}
        _known.pace = book.pace()
    except FootfallError:
        return _known  # the batch itself will say what is wrong with it
    finally:
        book.close()
    return _known


def forget() -> None:
    """Ask the journal anew at the next redraw."""
    _known.blend = None


def state(session: Session | None, shot: Shot) -> tuple[str, str]:
    """(state, sentence) of a shot: as in the batch under way, else as the journal knows it."""
    running: Running | None = None if session is None else session.batch
    if session is not None and running is not None and running.file_id == session.file_id:
        entry = running.entry(shot.key)
        if entry is not None and (not running.over or entry.state == batches.FAILED):
            return entry.state, entry.sentence
    known = refresh()
    if shot.key in known.failed:
        return batches.FAILED, known.failed[shot.key]
    return (MADE if shot.key in known.made else NEW), ""


def progress(session: Session | None) -> Progress | None:
    """How far the batch under way is; None when there is none."""
    running: Any = None if session is None else session.batch
    return None if running is None or running.over else running.batch.progress()
