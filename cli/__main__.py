# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall``: finds the command, runs it, turns errors into one sentence and an exit code.

0 done, 2 wrong usage, 3 bad input, 4 model missing or refused, 5 worker failed, 130 cancelled. With
``--json`` stdout carries one object and nothing else, an error included.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import traceback
from types import ModuleType

from .. import __version__
from ..addon.options import Parser
from ..addon.wire.errors import BadInput, Cancelled, FootfallError, WorkerNotInstalled
from . import doctor

COMMANDS: dict[str, ModuleType] = {"doctor": doctor}
MISSING: ImportError | None = None
try:
    from . import batch, bench, demo, embed, farm, generate, models, picture, study, train, worker
    from . import eval as evaluation
except ImportError as error:  # without the worker's packages the doctor is still there to say so
    MISSING = error
else:
    COMMANDS |= {"demo": demo, "generate": generate, "models": models, "worker": worker, "bench": bench}
    COMMANDS |= {"picture": picture, "batch": batch, "farm": farm}
    COMMANDS |= {"train": train, "embed": embed, "eval": evaluation, "study": study}

log = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="footfall", description="Sound for silent animation.")
    parser.add_argument("--version", action="version", version=f"footfall {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log to stderr, tracebacks included")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS.values():
        module.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    # Looked for beforehand, so that words which cannot be read are told in the form that they ask for.
    options = argparse.Namespace(words=words, json="--json" in words, verbose="--verbose" in words)
    try:
        return _run(options)
    except FootfallError as error:
        return _fail(error, options)
    except KeyboardInterrupt:
        return _fail(Cancelled(), options)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        place = f" ({str(error.filename)[:80]})" if error.filename else ""
        sentence = f"The system says: {error.strerror or error}{place}; check the place that you named."
        return _fail(BadInput(sentence, traceback.format_exc()), options)
    except Exception:  # the root of this process: whatever happens, one sentence and a code
        log.exception("the command failed")
        sentence = "Something went wrong inside Footfall; report what footfall --verbose says."
        return _fail(FootfallError(sentence, traceback.format_exc()), options)


def _run(options: argparse.Namespace) -> int:
    if MISSING is not None and options.words[:1] != ["doctor"]:
        sentence = f"{MISSING.name or 'A package'} does not load; footfall doctor tells how to mend it."
        raise WorkerNotInstalled(sentence, str(MISSING))
    build_parser().parse_args(options.words, options)
    # What fails is told in one sentence; the log would tell it again, at length.
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.CRITICAL, stream=sys.stderr)
    return int(COMMANDS[options.command].run(options))


def _fail(error: FootfallError, options: argparse.Namespace) -> int:
    if options.json:
        print(json.dumps(error.report()))
    print(f"footfall: {error.sentence}", file=sys.stderr)
    if options.verbose and error.detail:
        print(error.detail, file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
