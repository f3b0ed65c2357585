# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch does through the session: jobs that enter themselves into the journal when their files are
whole, and finished shots that are only placed.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ... import folders
from ...batch import stored_text
from ...batch.journal import Claim, Journal, Made
from ...batch.running import CANCELLED, DONE, FAILED, PLACING, UNCHANGED, WORKING, Entry, Outcome
from ...jobs import CANCELLED as JOB_CANCELLED
from ...jobs import DONE as JOB_DONE
from ...jobs import FAILED as JOB_FAILED
from ...jobs import NOT_PLACED, PLACED, Job
from ...shots import listed as shot_list
from ...sounds import save
from ...wire.errors import SaveError
from .. import sequencer, texts
from ..takes import strips as take_strips

if TYPE_CHECKING:
    from ...sounds.delivery import Stored
    from ..session import Session

log = logging.getLogger(__name__)

TAKEN_OVER = "taken over"
Drawn = Callable[[str, Any], None]  # a shot's key, and its pictures: (T, H, W, 3) uint8


class Watch:
    """Follows one job. ``drawn`` is called on the main thread, ``delivered`` on the client's."""

    def __init__(self, journal: Journal, entry: Entry, look: str, clock: Callable[[], float], seen: Drawn):
        assert entry.claim is not None
        self.job_id = entry.claim.job_id  # files are named by it, so those of a try that died can be found
        self.shot_key, self.label = entry.wish.shot.key, texts.clean(entry.wish.shot.name, 40)
        self.before = entry.claim.before
        self.entered = False
        self.quieted = False
        self._journal, self._claim, self._wish = journal, entry.claim, entry.wish
        self._old_look, self._look = look, ""
        self._clock, self._began = clock, clock()
        self._seen = seen

    def drawn(self, request: Any) -> bool:
        """The pictures are there; False if the sound that it has still fits them."""
        self._look = shot_list.look(request.frames, request.events)
        self._seen(self.shot_key, request.frames)
        return not (self._old_look and not shot_list.differ(self._old_look, self._look))

    def delivered(self, stored: Stored) -> None:
        """The files are whole: enter them, or take them away again. Raises SaveError."""
        try:
            self.entered = self._enter(self._claim, stored)
            if not self.entered:  # given up by ourselves, when it could not be saved, or by another's doing
                again = self._journal.claim(self._claim.file, self._claim.shot, self._wish.asked)
                self.entered = isinstance(again, Claim) and self._enter(again, stored)
        except SaveError:
            remove_files(stored)
            raise
        if not self.entered:
            remove_files(stored)
            raise SaveError("Another Blender has made this shot meanwhile; its sound is used.", TAKEN_OVER)

    def _enter(self, claim: Claim, stored: Stored) -> bool:
        return self._journal.finish(
            claim,
            asked=self._wish.asked,
            look=self._look,
            stored=stored_text.write(stored, self._journal.path.parent),
            took_s=self._clock() - self._began,
            length_s=self._wish.length_s,
        )


class SessionHands:
    """The hands of a batch in this Blender. seen: is told the pictures of each shot."""

    def __init__(self, session: Session, journal: Journal, seen: Drawn = lambda _key, _frames: None) -> None:
        self._session, self._journal, self._seen = session, journal, seen
        self._watches: dict[str, Watch] = {}

    def make(self, entry: Entry, look: str) -> str:
        watch = Watch(self._journal, entry, look, self._session.clock, self._seen)
        job_id = self._session.add(entry.wish.order, watch=watch)
        self._watches[job_id] = watch
        return job_id

    def place(self, entry: Entry, made: Made) -> str | None:
        stored = stored_text.read(made.stored, self._journal.path.parent)
        return None if stored is None else self._session.adopt(entry.wish.order, stored)

    def later(self, work: Callable[[], None]) -> None:
        """On the client's thread, once there is one: a disk may take longer than a redraw may wait."""
        client = self._session.client
        if client is None:
            work()
        else:
            client.call(work)

    def cancel(self, job_id: str) -> None:
        self._session.cancel(job_id)

    def outcome(self, job_id: str) -> Outcome:
        job = self._session.table.get(job_id)
        watch = self._watches.get(job_id)
        if job is None:  # taken off the list by hand
            self._watches.pop(job_id, None)
            return Outcome(state=DONE if watch is not None and watch.entered else CANCELLED)
        outcome = self._outcome(job, watch)
        if outcome.state not in (WORKING, PLACING):
            self._watches.pop(job_id, None)
            if job.state in (JOB_FAILED, JOB_CANCELLED) or outcome.state == "elsewhere":
                self._session.remove(job_id)  # the list of shots tells it
        return outcome

    def _outcome(self, job: Job, watch: Watch | None) -> Outcome:
        if job.state == JOB_DONE:
            if watch is not None and watch.before is not None and job.stored is not None:
                self._quiet(job, watch)
            return Outcome(state=PLACING)
        if job.state == PLACED:
            return Outcome(state=DONE)
        if job.state == NOT_PLACED and job.stored is None and job.detail == TAKEN_OVER:
            return Outcome(state="elsewhere", code=job.code, sentence=job.sentence)
        if job.state == NOT_PLACED:
            return Outcome(state=FAILED, code=job.code or "not_placed", sentence=job.sentence)
        if job.state == JOB_FAILED:
            state = UNCHANGED if job.code == UNCHANGED else FAILED
            return Outcome(state=state, code=job.code, sentence=job.sentence)
        return Outcome(state=CANCELLED if job.state == JOB_CANCELLED else WORKING)

    def _quiet(self, job: Job, watch: Watch) -> None:
        """What the shot sounded like before stays where it is, muted: nothing is lost, or heard twice."""
        if watch.quieted or watch.before is None:
            return
        watch.quieted = True
        folder = self._journal.path.parent
        before = stored_text.read(watch.before.stored, folder, files_needed=False)
        order = self._session.works[job.job_id].order
        scene = sequencer.find_scene(order.scene_name, order.scene_uid)
        if before is None or scene is None or not self._session.belongs_here(job):
            return
        old = {item.strip.uuid for item in before.strips}
        for strip in sequencer.all_strips(scene):
            if sequencer.uuid_of(strip) in old:
                strip.mute = True

    def locked(self, entry: Entry, before: Made) -> bool:
        """By Footfall's lock or by Blender's own."""
        scene = bpy.data.scenes.get(entry.wish.shot.scene)
        stored = stored_text.read(before.stored, self._journal.path.parent, files_needed=False)
        if scene is None or stored is None:
            return False
        old = {item.strip.uuid for item in stored.strips}
        return any(
            sequencer.uuid_of(strip) in old and take_strips.is_locked(strip)
            for strip in sequencer.all_strips(scene)
        )

    def sweep(self, claim: Claim) -> None:
        """Tries that died may have written some of their files; nobody knows these, so they go."""
        places = (self._journal.path.parent, folders.data_folder() / save.FALLBACK)
        for job_id, folder in itertools.product(claim.leftovers, places):
            for path in folder.glob(f"{job_id[: save.JOB_DIGITS]}-take*.wav"):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise SaveError(
                        f"{path} could not be removed; see to its folder's rights, then start once more.",
                        str(error),
                    ) from error


def remove_files(stored: Stored) -> None:
    """Take away files that no journal knows."""
    for path in (item.path for item in stored.strips):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", path, error)


def journal_folder(session: Session, blend: Path) -> Path:
    """Where the sound of ``blend`` goes, and its journal with it. Raises SaveError."""
    chosen = session.output_folder
    target = save.choose_folder(
        str(blend), str(chosen) if chosen else "", folders.data_folder() / save.FALLBACK
    )
    return target.folder
