# SPDX-License-Identifier: GPL-3.0-or-later
"""The real sounds that make a family's spread: many of them, described once and kept.

A spread is known no better than there are sounds: 5 to 95 % of ten sounds hold three quarters of a family's
others, of eighty 88 %. So it is taken over the split that only the judge learns from, besides the held-out
sounds of other shots; never over the true sounds of the shots that are evaluated, which are held against it
themselves.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from ..train import mel
from ..train.pairs import write_whole
from ..train.shards import fingerprint, read_shards
from . import statistics

SPLIT = "judge"  # of the world: drawn as all of a family are, and heard by no generator
FILE = "eval/real-statistics.json"  # below the training's folder
_FORMAT = 1  # to be raised when statistics.describe says something else

_log = logging.getLogger(__name__)


def described(
    work: Path, tick: Callable[[int], None] = lambda done: None
) -> dict[str, list[dict[str, float]]]:
    """Statistics of every sound of the split by family, at the common level; none where there are no shards.

    ``tick``: how many are described; it may raise to stop.
    """
    world, path = work / "world", work / FILE
    mark = f"{_FORMAT} {mel.TARGET_DB} {fingerprint(world, SPLIT)}"
    kept = _kept(path, mark)
    if kept is not None:
        return kept
    table: dict[str, list[dict[str, float]]] = {}
    for done, sample in enumerate(read_shards(world, SPLIT)):
        row = statistics.describe(mel.prepare(sample.sound_48k), mel.RATE_HZ)
        table.setdefault(sample.shot.family, []).append(row)
        tick(done + 1)
    if table:
        _keep(path, mark, table)
    return table


def _kept(path: Path, mark: str) -> dict[str, list[dict[str, float]]] | None:
    """None if they were never described, or of another world."""
    try:
        said = json.loads(path.read_bytes())
        if said["mark"] != mark:
            return None
        found: dict[str, list[dict[str, float]]] = said["families"]
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("the kept statistics are damaged and will be made again: %s %s", path, error)
        return None


def _keep(path: Path, mark: str, table: dict[str, list[dict[str, float]]]) -> None:
    write_whole(path, json.dumps({"mark": mark, "families": table}, allow_nan=False).encode())
