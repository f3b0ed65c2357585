# SPDX-License-Identifier: GPL-3.0-or-later
"""What the buttons of the job list do. Each says in one report what it did; none waits for anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import StringProperty

from ..wire.errors import FootfallError
from . import live, texts
from .panel import ready as shots
from .settings import current

if TYPE_CHECKING:
    from .session import Session

Outcome = set[str]
FINISHED: Outcome = {"FINISHED"}
REFUSED: Outcome = {"CANCELLED"}


def refuse(operator: bpy.types.Operator, error: FootfallError) -> Outcome:
    """Tell the user what ``error`` says, without a traceback."""
    operator.report({"ERROR"}, texts.clean(error.sentence, 500))
    return REFUSED


def allowed(operator: type[bpy.types.Operator], why_not: str) -> bool:
    """The answer of a poll: yes, or no and what the greyed button says about it."""
    if why_not:
        operator.poll_message_set(why_not)
    return not why_not


class FOOTFALL_OT_generate(bpy.types.Operator):
    """Queues a job; the pump takes its pictures and places its sound."""

    bl_idname = "footfall.generate"
    bl_label = "Generate Foley"
    bl_description = (
        "Look at the shot and give it sound. You can go on working; the strips appear when they are ready.\n"
        "Esc cancels while pictures are taken"
    )
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene is not None and allowed(cls, shots.why_not(context))

    job_id = ""

    def execute(self, context: bpy.types.Context) -> Outcome:
        from . import orders, sequencer

        session = live.get()
        try:
            order = orders.from_panel(context, session.file_id)
        except FootfallError as error:
            return refuse(self, error)
        self.job_id = session.add(order)
        sequencer.show_scene(context, orders.panel_scene(context))
        wake(session)
        return FINISHED

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> Outcome:
        """Start, and listen for Esc while the pump takes the pictures; everything else passes through."""
        outcome = self.execute(context)
        if outcome == FINISHED:
            context.window_manager.modal_handler_add(self)
            return {"RUNNING_MODAL"}
        return outcome

    def modal(self, _context: bpy.types.Context, event: bpy.types.Event) -> Outcome:
        session = live.session()
        job = session.table.get(self.job_id) if session is not None else None
        if session is None or job is None or job.state not in ("queued", "capturing"):
            return FINISHED
        if event.type == "ESC" and event.value == "PRESS":
            session.cancel(self.job_id)
            wake(session)
            return REFUSED
        return {"PASS_THROUGH"}


class _JobOperator(bpy.types.Operator):
    """Base of what is done to one job of the list."""

    bl_options = {"INTERNAL"}

    job_id: StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: bpy.types.Context) -> Outcome:
        session = live.session()
        if session is None or session.table.get(self.job_id) is None:
            return REFUSED  # the list has changed since it was drawn
        try:
            self.act(context, session)
        except FootfallError as error:
            return refuse(self, error)
        wake(session)
        return FINISHED

    def act(self, context: bpy.types.Context, session: Session) -> None:
        """Do it. Raises FootfallError with what to do instead."""
        raise NotImplementedError


class FOOTFALL_OT_cancel(_JobOperator):
    """Stop this job. Nothing that you made is changed"""

    bl_idname = "footfall.cancel"
    bl_label = "Cancel"

    def act(self, context: bpy.types.Context, session: Session) -> None:
        session.cancel(self.job_id)


class FOOTFALL_OT_retry(_JobOperator):
    """Do the same again, with the same words, seed and frames"""

    bl_idname = "footfall.retry"
    bl_label = "Try Again"

    def act(self, context: bpy.types.Context, session: Session) -> None:
        session.retry(self.job_id)


class FOOTFALL_OT_place(_JobOperator):
    """Put this sound into the sequencer: of its own scene, or of this one if that is not here"""

    bl_idname = "footfall.place"
    bl_label = "Place"

    def act(self, context: bpy.types.Context, session: Session) -> None:
        from . import orders
        from .sounds import jobs as placing_jobs

        sentence = placing_jobs.place_here(session, self.job_id, orders.panel_scene(context))
        self.report({"INFO"}, texts.clean(sentence, 500))


class FOOTFALL_OT_remove(_JobOperator):
    """Take this entry off the list. Sound files and strips stay"""

    bl_idname = "footfall.remove"
    bl_label = "Remove from List"

    def act(self, context: bpy.types.Context, session: Session) -> None:
        job = session.table.get(self.job_id)
        if job is not None and not job.active:
            session.remove(self.job_id)


class FOOTFALL_OT_copy_details(_JobOperator):
    """Copy what happened to the clipboard, to send it with a report"""

    bl_idname = "footfall.copy_details"
    bl_label = "Copy Details"

    def act(self, context: bpy.types.Context, session: Session) -> None:
        from .worker import details

        context.window_manager.clipboard = details.of_job(session, self.job_id)
        self.report({"INFO"}, "The details are on the clipboard.")


class FOOTFALL_OT_cancel_all(bpy.types.Operator):
    """Stop every job that waits or runs"""

    bl_idname = "footfall.cancel_all"
    bl_label = "Cancel All Jobs"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        session = live.session()
        if session is None:
            return REFUSED
        jobs = session.table.active()
        for job in jobs:
            session.cancel(job.job_id)
        wake(session)
        self.report({"INFO"}, f"{texts.count(len(jobs), 'job')} cancelled.")
        return FINISHED


class FOOTFALL_OT_random_seed(bpy.types.Operator):
    """Draw another seed and keep it, so that the next sound is another one and can be made again"""

    bl_idname = "footfall.random_seed"
    bl_label = "New Seed"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        from ..options import random_seed
        from . import orders

        chosen = orders.panel_scene(context).footfall
        chosen.seed = random_seed()
        chosen.random_seed = False
        return FINISHED


class FOOTFALL_OT_open_folder(bpy.types.Operator):
    """Show the sound files of this shot in the file browser"""

    bl_idname = "footfall.open_folder"
    bl_label = "Open Sound Folder"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> Outcome:
        folder = shots.sound_folder(current())
        if folder is None:
            self.report({"WARNING"}, "There is no sound yet; generate some first.")
            return REFUSED
        bpy.ops.wm.path_open(filepath=str(folder))
        return FINISHED


def wake(session: Session) -> None:
    """Have the pump look at once, rather than at its next idle tick."""
    from . import pump

    session.last_event = session.clock()
    pump.wake()


CLASSES: tuple[Any, ...] = (
    FOOTFALL_OT_generate,
    FOOTFALL_OT_cancel,
    FOOTFALL_OT_cancel_all,
    FOOTFALL_OT_retry,
    FOOTFALL_OT_place,
    FOOTFALL_OT_remove,
    FOOTFALL_OT_copy_details,
    FOOTFALL_OT_random_seed,
    FOOTFALL_OT_open_folder,
)
