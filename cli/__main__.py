# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall``: finds the command, runs it, turns errors into one sentence and an exit code.

0 done, 2 wrong usage, 3 bad input, 4 model missing or refused, 5 worker failed, 130 cancelled. With
``--json`` stdout carries one object and nothing else, an error included.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType, ModuleType

from .. import __version__
from ..addon.wire.errors import BadInput, Cancelled, FootfallError, WorkerNotInstalled
from . import doctor

log = logging.getLogger(__name__)


def commands() -> dict[str, ModuleType]:
    """Every command by its name. Loaded here and not above: Ctrl-C meanwhile ends as it always does."""
    from . import batch, bench, demo, embed, farm, generate, models, picture, study, train, worker
    from . import eval as evaluation

    return {
        "doctor": doctor, "demo": demo, "generate": generate, "models": models, "worker": worker,
        "bench": bench, "picture": picture, "batch": batch, "farm": farm, "train": train, "embed": embed,
        "eval": evaluation, "study": study,
    }  # fmt: skip


def build_parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    """Of the commands in ``modules``."""
    from ..addon.options import Parser

    parser = Parser(prog="footfall", description="Sound for silent animation.")
    parser.add_argument("--version", action="version", version=f"footfall {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log to stderr, tracebacks included")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in modules.values():
        module.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    # Looked for beforehand, so that words which cannot be read are told in the form that they ask for.
    options = argparse.Namespace(words=words, json="--json" in words, verbose="--verbose" in words)
    _prepare_output()
    error: FootfallError
    try:
        with _ended_politely():
            code = _run(options)
            sys.stdout.flush()  # here, where it can still be told that nothing more fits
            return code
    except FootfallError as known:
        error = known
    except KeyboardInterrupt:
        error = Cancelled()
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        _settle_output()
        return 0
    except OSError as system:
        place = f" ({str(system.filename)[:80]})" if system.filename else ""
        sentence = f"The system says: {system.strerror or system}{place}; check the place that you named."
        error = BadInput(sentence, traceback.format_exc())
    except Exception:  # the root of this process: whatever happens, one sentence and a code
        log.exception("the command failed")
        sentence = "Something went wrong inside Footfall; report what footfall --verbose says."
        error = FootfallError(sentence, traceback.format_exc())
    return _fail(error, options)


def _run(options: argparse.Namespace) -> int:
    try:
        modules = commands()
    except doctor.BROKEN as error:  # without the worker's packages the doctor is still there to say so
        if "doctor" in options.words:
            return doctor.run(options)
        name = getattr(error, "name", None) or "A package"
        sentence = f"{name} does not load; footfall doctor tells how to mend it."
        raise WorkerNotInstalled(sentence, traceback.format_exc()) from error
    build_parser(modules).parse_args(options.words, options)
    # What fails is told in one sentence; the log would tell it again, at length.
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.CRITICAL, stream=sys.stderr)
    return int(modules[options.command].run(options))


def _fail(error: FootfallError, options: argparse.Namespace) -> int:
    with contextlib.suppress(OSError):  # nobody listens, or the disk is full: the exit code says it still
        print(f"footfall: {error.sentence}", file=sys.stderr)
        if options.verbose and error.detail:
            print(error.detail, file=sys.stderr)
        if options.json:
            print(json.dumps(error.report()))
    _settle_output()
    return error.exit_code


def _prepare_output() -> None:
    """Streams that were closed swallow what is written; names that a stream cannot say are spelled out."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # or the next file to be opened would get what is printed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the end
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _settle_output() -> None:
    """What a stream does not take any more is dropped, or Python would fail over it at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def _ended_politely() -> Iterator[None]:
    """Inside, a farm that cancels and a terminal that closes are Ctrl-C, so that children end as well."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        kept = (signal.SIG_IGN, None)  # nohup wants it so
        before = {number: signal.getsignal(number) for number in numbers}
        before = {number: old for number, old in before.items() if old not in kept}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


if __name__ == "__main__":
    sys.exit(main())
