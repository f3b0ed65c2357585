# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.server.train.synth.sound_shard``: one shard of the world's sounds.

Each line on standard output is one JSON object: a shot that is done, or one that failed. Exit codes: 0 the
shard is written (with whatever shots did not fail), 1 nobody listens, 2 wrong arguments, 3 the disk takes no
more, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ....addon.wire.errors import SaveError
from ..shards import write_sounds
from .shot import SAMPLES, SPLITS, Shot
from .shots import make_shot
from .sounds import render

log = logging.getLogger(__name__)
# What one unusual shot may raise while it is computed; the others go on.
_ONE_SHOT = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="footfall.server.train.synth.sound_shard", description=__doc__)
    parser.add_argument("--split", choices=SPLITS, required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first shot")
    parser.add_argument("--count", type=int, required=True, help="how many shots")
    parser.add_argument("--out", type=Path, required=True, help="the shard to write")
    return parser.parse_args(words)


def _say(**line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()  # a reader that went away ends this process here


def _checked(shot: Shot) -> np.ndarray:
    """(122880,) float32. Raises ValueError if what was rendered is no sound."""
    sound = np.asarray(render(shot), np.float32)
    if sound.shape != (SAMPLES,) or not np.isfinite(sound).all():
        raise ValueError(f"it gave {sound.shape} samples, or some that are no numbers")
    if not 1e-6 < np.abs(sound).max() <= 1.0:
        raise ValueError("it is silent or too loud")
    return sound


def _rows(split: str, numbers: range) -> Iterator[tuple[Shot, np.ndarray]]:
    for number in numbers:
        try:
            shot = make_shot(split, number)
            sound = _checked(shot)
        except _ONE_SHOT as error:
            log.exception("shot %d of %s", number, split)
            _say(key=f"{split}-{number:06d}", failed=f"{type(error).__name__}: {error}")
            continue
        yield shot, sound
        _say(key=shot.key)


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(words: Sequence[str] | None = None) -> int:
    """The process: returns its exit code."""
    options = _arguments(words)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        write_sounds(options.out, _rows(options.split, range(options.first, options.first + options.count)))
    except SaveError as error:
        log.error("%s", error)
        return 3
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
