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

from .. import __version__
from ..addon.wire.errors import Cancelled, FootfallError
from . import bench, demo, doctor, generate, models, worker

COMMANDS = {
    "doctor": doctor,
    "demo": demo,
    "generate": generate,
    "models": models,
    "worker": worker,
    "bench": bench,
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="footfall", description="Sound for silent animation.")
    parser.add_argument("--version", action="version", version=f"footfall {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log to stderr, tracebacks included")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS.values():
        module.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.ERROR, stream=sys.stderr)
    try:
        return COMMANDS[options.command].run(options)
    except FootfallError as error:
        return _fail(error, options)
    except KeyboardInterrupt:
        return _fail(Cancelled(), options)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(error: FootfallError, options: argparse.Namespace) -> int:
    if getattr(options, "json", False):
        print(json.dumps({"ok": False, "code": error.code, "error": error.sentence, "detail": error.detail}))
    else:
        print(f"footfall: {error.sentence}", file=sys.stderr)
        if options.verbose and error.detail:
            print(error.detail, file=sys.stderr)
    if options.verbose:
        traceback.print_exception(error)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
