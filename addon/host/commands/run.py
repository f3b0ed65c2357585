# SPDX-License-Identifier: GPL-3.0-or-later
"""``blender -b FILE --command footfall …``: the same job without a window, with exit codes and plain
progress.

Timers do not run in background, so the command turns the pump itself. Progress goes to stderr; stdout
carries the result alone. Exit codes: 0 done, 2 wrong usage, 3 bad input, 4 model, 5 worker, 130 cancelled.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import bpy

from ...caller import Caller

if TYPE_CHECKING:
    import argparse

    from ...wire.errors import FootfallError
    from ..session import Session

log = logging.getLogger(__name__)

NAME = "footfall"
TURN_S = 0.05
PATIENCE_S = 10.0  # how long a cancelled job may take to say so
LINE_EVERY_S = 5.0


def build_parser(prog: str) -> argparse.ArgumentParser:
    """The words that this command understands."""
    from ... import options, words_only
    from . import batch as batch_command
    from . import farm as farm_command

    parser = options.Parser(prog=prog, description="Sound for silent animation.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    generate = verbs.add_parser("generate", help="give the shot in the open file its sound")
    options.add_output_options(generate)
    options.add_sound_options(generate)
    words_only.add_options(generate)
    options.add_picture_options(generate)
    options.add_scene_options(generate)
    batch_command.add_parser(verbs)
    farm_command.add_parsers(verbs)
    demo = verbs.add_parser("demo-shot", help="add the demo shot to the open file")
    options.add_output_options(demo)
    demo.add_argument("--save-as", metavar="OUT.blend", required=True, help="where to save the file")
    demo.add_argument("--frames", metavar="DIR", help="also render its frames, small, into this folder")
    return parser


def run(argv: Sequence[str], prog: str = f"blender -b FILE.blend --command {NAME}") -> int:
    """Do what ``argv`` says; the exit code. Never raises on what a user can do wrong."""
    from ...wire.errors import Cancelled, FootfallError

    try:
        parsed = build_parser(prog).parse_args(list(argv))
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    except FootfallError as error:
        return refuse(argv, error)
    with _Console(quiet=parsed.json) as console, _Interrupt() as interrupt:
        try:
            report = _VERBS[parsed.verb](parsed, console, interrupt)
        except KeyboardInterrupt:
            return console.fail(Cancelled())
        except FootfallError as error:
            return console.fail(error)
        except Exception as error:  # the root of this command: whatever happens, one sentence and a code
            log.exception("the command failed")
            detail = "".join(traceback.format_exception(error))
            return console.fail(
                FootfallError("Something went wrong inside Footfall; report the details.", detail)
            )
        console.done(report)
        return int(report.get("exit_code", 0))


def refuse(argv: Sequence[str], error: FootfallError) -> int:
    """Say why ``argv`` is not begun, in the form that it asks for; the exit code."""
    with _Console(quiet="--json" in argv) as console:
        return console.fail(error)


class _Console:
    """Who hears what: progress on stderr, the result on stdout, and what Blender prints meanwhile on
    stderr.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._stdout = -1
        self._last = ("", -LINE_EVERY_S)

    def __enter__(self) -> _Console:
        sys.stdout.flush()
        self._stdout = os.dup(1)
        os.dup2(2, 1)
        self._python = contextlib.redirect_stdout(sys.stderr)
        self._python.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._python.__exit__(None, None, None)
        _flush_blender()
        os.dup2(self._stdout, 1)
        os.close(self._stdout)

    def show(self, words: str, fraction: float, now: float) -> None:
        """One line when the words change, and now and then between."""
        if self._quiet or (words == self._last[0] and now - self._last[1] < LINE_EVERY_S):
            return
        self._last = (words, now)
        _say(f"{fraction:4.0%} {words}")

    def note(self, words: str) -> None:
        if not self._quiet:
            _say(words)

    def done(self, report: dict[str, Any]) -> None:
        """The result: an object, or its files, one a line."""
        lines = [json.dumps(report)] if self._quiet else [str(path) for path in report["files"]]
        self._write("".join(f"{line}\n" for line in lines))

    def fail(self, error: FootfallError) -> int:
        """Say what went wrong; the exit code."""
        from ...wire.errors import FootfallError

        _say(f"footfall: {error.sentence}")
        if self._quiet:
            self._write(json.dumps(error.report()) + "\n")
        elif type(error) is FootfallError:  # nothing that was foreseen
            _say(error.detail)
        return error.exit_code

    def _write(self, text: str) -> None:
        data = text.encode()
        while data:
            data = data[os.write(self._stdout, data) :]


def _flush_blender() -> None:
    """Write out what Blender's own C code has printed and not written yet."""
    try:
        library = ctypes.cdll.ucrtbase if sys.platform == "win32" else ctypes.CDLL(None)
        library.fflush(None)
    except (OSError, AttributeError):
        log.debug("no C library to flush")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class _Interrupt:
    """Ctrl-C, or that nobody waits any more, as a wish that the loop looks at: all ends in an orderly way."""

    def __init__(self) -> None:
        self._noted = False
        self._caller = Caller()
        self._before: Any = None

    @property
    def wanted(self) -> bool:
        return self._noted or self._caller.gone()

    def __enter__(self) -> _Interrupt:
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before if self._before is not None else signal.SIG_DFL)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self._noted:  # the second time at once
            raise KeyboardInterrupt
        self._noted = True


def _generate(parsed: argparse.Namespace, console: _Console, interrupt: _Interrupt) -> dict[str, Any]:
    from ...wire.errors import from_code
    from .. import live

    session = live.get()
    try:
        job_id = session.add(_order(parsed, session))
        if parsed.save_as is not None:  # the sound belongs beside the file that will play it
            make_folder(parsed.save_as)
            session.file_saved(os.path.abspath(parsed.save_as))
        result, request = _turn_until_done(session, job_id, console, interrupt)
        job = session.table.get(job_id)
        assert job is not None
        if job.state != "placed":
            raise from_code(job.code or "error", job.sentence or "The sound could not be placed.", job.detail)
        return _finish(parsed, console, session, job_id, result, request)
    finally:
        live.end()


def _order(parsed: argparse.Namespace, session: Session) -> Any:
    """What to do; ``session`` learns the folder that ``--model DIR`` names."""
    from ... import options
    from .. import orders, sequencer
    from ..worker import bundles

    name, session.models_folder = options.model_choice(parsed.model)
    settings = options.request_settings(parsed, bundles.queries_of(name, session.models_folder))
    scene = orders.named_scene(parsed.scene, bpy.context)
    span = orders.part(
        orders.frame_range(scene, parsed.range), sequencer.scene_rate(scene), parsed.start, parsed.end
    )
    return orders.make(
        scene,
        session.file_id,
        span,
        source=options.picture_source(parsed),
        per_second=parsed.per_second,
        settings=settings,
        hits=options.hit_source(parsed),
    )


def _turn_until_done(
    session: Session, job_id: str, console: _Console, interrupt: _Interrupt
) -> tuple[Any, Any]:
    """Turn the pump until the job has ended; its result and its request, None if it has none."""
    from ...worker.reports import Delivered
    from .. import pump
    from ..panel import job_rows

    job = session.table.get(job_id)
    assert job is not None
    result = request = None
    give_up_at: float | None = None
    while job.active or job.state == "done":
        if interrupt.wanted and give_up_at is None:
            session.cancel(job_id)
            give_up_at = session.clock() + PATIENCE_S
        if give_up_at is not None and session.clock() > give_up_at:
            break
        pump.step(session)
        request = session.works[job_id].request or request
        if session.client is not None and session.capture is None:
            for event in session.client.wait(TURN_S):
                if isinstance(event, Delivered):
                    result = event.result
                session.take(event)
        console.show(job_rows.words(job).partition("  ")[0], job.fraction, session.clock())
    return result, request


def _finish(
    parsed: argparse.Namespace, console: _Console, session: Session, job_id: str, result: Any, request: Any
) -> dict[str, Any]:
    """Copies, the saved file, and the report."""
    from ...sounds import take_files as takes

    job, work = session.table.get(job_id), session.works[job_id]
    stored: Any = job.stored if job is not None else None
    files = [str(strip.path) for strip in stored.strips]
    copies = (
        [str(path) for path in takes.write_takes(result, request, parsed.output)] if parsed.output else []
    )
    if parsed.save_as is not None:
        save_file(str(parsed.save_as), files)
    story = result.provenance
    for note in work.notes:
        console.note(note)
    if not story.commercial:
        console.note(f"{story.bundle} ({story.licence}): NOT FOR COMMERCIAL USE")
    return {
        **takes.report(result, request),
        "files": copies or files,
        "strips": [_strip(item, result) for item in stored.strips],
        "scene": work.order.scene_name,
        "blend": bpy.data.filepath if parsed.save_as is not None else "",
        "pictures": len(request.times_s),
    }


def _strip(item: Any, result: Any) -> dict[str, Any]:
    """One strip: its file, frames, layer, number in the hits (-1: none), and where the WAV's sound begins."""
    strip = item.strip
    return {
        "file": str(item.path),
        "start": strip.start,
        "frames": strip.frames,
        "layer": strip.layer,
        "take": strip.take,
        "hit": result.clips[strip.clip].event,
        "lead_s": strip.lead / strip.rate_hz,
    }


def make_folder(path: Path) -> None:
    """The folder that ``path`` is to be saved in. Raises SaveError, before any work is done for nothing."""
    from ...wire.errors import SaveError

    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise SaveError(f"{path} cannot be saved there; choose another place.", str(error)) from error


def save_file(path: str, sounds: Sequence[str] = ()) -> None:
    """Save the open file as ``path``, with relative paths to ``sounds``, so that both can move together.

    Raises SaveError.
    """
    from ...wire.errors import SaveError

    target = os.path.abspath(path)
    saved_before = bool(bpy.data.filepath)
    start = os.path.dirname(bpy.data.filepath or target)
    for sound in bpy.data.sounds:
        full = bpy.path.abspath(sound.filepath)
        if full in sounds and os.path.splitdrive(full)[0] == os.path.splitdrive(start)[0]:
            sound.filepath = "//" + os.path.relpath(full, start).replace(os.sep, "/")
    try:
        # Relative paths of a file that had no place yet are relative to the new one already.
        bpy.ops.wm.save_as_mainfile(filepath=target, check_existing=False, relative_remap=saved_before)
    except RuntimeError as error:
        raise SaveError(f"{path} could not be saved; choose another place.", str(error)) from error


def _demo_shot(parsed: argparse.Namespace, _console: _Console, _interrupt: _Interrupt) -> dict[str, Any]:
    from ..demo import shot as demo_shot

    scene = demo_shot.build(marked=False)  # its hits are to be found
    if bpy.context.window is not None:
        bpy.context.window.scene = scene
    save_file(parsed.save_as)
    if parsed.frames is not None:
        demo_shot.render(scene, Path(os.path.abspath(parsed.frames)))
    hits = [{"time_s": float(hit.time_s), "words": hit.words, "frame": hit.frame} for hit in demo_shot.HITS]
    return {
        "ok": True,
        "files": [bpy.data.filepath],
        "scene": scene.name,
        "rate": str(demo_shot.FPS),
        "background": demo_shot.BACKGROUND,
        "hits": hits,
        "faint_s": [(frame - demo_shot.START) / demo_shot.FPS for frame in demo_shot.FAINT_FRAMES],
    }


def _batch(parsed: argparse.Namespace, console: _Console, interrupt: _Interrupt) -> dict[str, Any]:
    from . import batch as batch_command

    return batch_command.run(parsed, console, interrupt)


def _farm(parsed: argparse.Namespace, console: _Console, interrupt: _Interrupt) -> dict[str, Any]:
    from . import farm as farm_command

    return farm_command.run(parsed, console, interrupt)


_VERBS = {
    "generate": _generate,
    "batch": _batch,
    "farm-capture": _farm,
    "farm-place": _farm,
    "demo-shot": _demo_shot,
}
_handles: list[Any] = []
CLASSES = ()


def register() -> None:
    """Make ``--command footfall`` known."""
    if hasattr(bpy.utils, "register_cli_command"):
        _handles.append(bpy.utils.register_cli_command(NAME, run))


def unregister() -> None:
    while _handles:
        bpy.utils.unregister_cli_command(_handles.pop())
