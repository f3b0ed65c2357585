# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.server.train.synth.stage --jobs FILE.json --out DIR``: pictures for many shots.

The job file is a list of ``{"shot": {fields of Shot}, "times_s": [...]}``. Pictures that exist are kept. Each
line on standard output is one JSON object: a shot that is done, one that failed, and the sum at the end.
Exit codes: 0 all pictures exist, 1 some shots failed, 2 unusable arguments or job file, 3 the disk takes no
more, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from ..shot import Hit, Shot

log = logging.getLogger(__name__)
Job = Mapping[str, Any]
# What one unusual shot may raise while it is set up or rendered; the others go on.
_ONE_SHOT = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, AttributeError)


def read_shot(fields: Mapping[str, Any]) -> Shot:
    """A shot from its JSON form; TypeError, KeyError or ValueError if it is none."""
    values = dict(fields)
    values["hits"] = tuple(
        Hit(time_s=float(hit["time_s"]), strength=float(hit["strength"])) for hit in values["hits"]
    )
    values["captions"] = tuple(values["captions"])
    shot = Shot(**values)
    if not shot.key or Path(shot.key).name != shot.key or shot.key.startswith("."):
        raise ValueError("the key of a shot must be a plain file name")
    return shot


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="footfall.server.train.synth.stage", description=__doc__)
    parser.add_argument("--jobs", type=Path, required=True, help="JSON list of shots and times")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--size", type=int, default=112, help="edge of a picture in pixels")
    parser.add_argument("--samples", type=int, default=2, help="Cycles samples a pixel")
    parser.add_argument("--threads", type=int, default=1, help="render threads")
    return parser.parse_args(words)


def _jobs(path: Path) -> list[Job]:
    try:
        jobs = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(_refuse(f"cannot read the jobs in {path.name}: {error}")) from error
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise SystemExit(_refuse(f"{path.name} must hold a list of jobs"))
    return jobs


def _refuse(sentence: str) -> int:
    log.error("%s", sentence)
    return 2


def _own_stdout() -> TextIO:
    """Standard output for the progress lines alone: what Blender itself prints goes to standard error."""
    sys.stdout.flush()
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return lines


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def run(jobs: Sequence[Job], out: Path, options: argparse.Namespace, lines: TextIO) -> int:
    """Render all jobs; returns the exit code."""
    from .render import prepare, render

    scene = prepare(options.size, options.samples, options.threads)
    began, counts = time.monotonic(), {"made": 0, "skipped": 0, "failed": 0}
    for done, job in enumerate(jobs, 1):
        start = time.monotonic()
        key = str((job.get("shot") or {}).get("key", f"job {done}"))
        line: dict[str, object] = {"key": key, "done": done, "total": len(jobs)}
        try:
            made = render(read_shot(job["shot"]), job["times_s"], out, scene)
        except _ONE_SHOT as error:
            log.exception("shot %s", key)
            counts["failed"] += 1
            line["failed"] = f"{type(error).__name__}: {error}"
        else:
            counts["made" if made else "skipped"] += 1
            line |= {"frames": made} if made else {"skipped": True}
        line["seconds"] = round(time.monotonic() - start, 3)
        lines.write(json.dumps(line) + "\n")
    total = {"finished": True, **counts, "seconds": round(time.monotonic() - began, 3)}
    lines.write(json.dumps(total) + "\n")
    return 1 if counts["failed"] else 0


def main(words: Sequence[str] | None = None) -> int:
    """The process: returns its exit code."""
    options = _arguments(words)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    jobs = _jobs(options.jobs)
    signal.signal(signal.SIGTERM, _interrupted)
    lines = _own_stdout()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        return run(jobs, options.out, options, lines)
    except OSError as error:
        log.error("the pictures cannot be written: %s", error)
        return 3
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
