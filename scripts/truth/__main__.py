# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.scripts.truth --kind keyed --seeds 0-9``: scenes and their truth as JSON lines.

``--save DIR`` writes each scene as a .blend; ``--check`` looks whether the things that hit really touch then.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from .lines import own_stdout
from .model import KINDS, RATES, Truth

TOUCH = 0.002  # metres: a true hit's surfaces are no further apart


def seeds(words: str) -> range:
    """ "7" or "0-9" as a range."""
    first, _, last = words.partition("-")
    return range(int(first), int(last or first) + 1)


def faults(truth: Truth) -> list[str]:
    """What is wrong with a truth: hits whose things are apart, or a scene without any."""
    wrong = [
        f"{hit.who} and {hit.against} are {hit.gap * 1000:.1f} mm apart at {hit.time_s:.3f} s"
        for hit in truth.hits
        if hit.must and not hit.baked and truth.kind != "rigid" and abs(hit.gap) > TOUCH
    ]
    return wrong if truth.wanted() else [*wrong, "nothing hits"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="footfall.scripts.truth", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", help="which (default all)")
    parser.add_argument("--seeds", type=seeds, default=range(3), metavar="A-B", help="which (default 0-2)")
    parser.add_argument("--rate", choices=RATES, default="", help="another than the seed's own")
    parser.add_argument("--save", type=Path, metavar="DIR", help="write each scene here")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a truth is none")
    options = parser.parse_args()
    lines = own_stdout()
    from .make import make, save

    bad = 0
    for kind in options.kind or KINDS:
        for seed in options.seeds:
            _, truth = make(kind, seed, options.rate)
            wrong = faults(truth) if options.check else []
            bad += bool(wrong)
            lines.write(json.dumps({**asdict(truth), **({"faults": wrong} if wrong else {})}) + "\n")
            if options.save:
                options.save.mkdir(parents=True, exist_ok=True)
                save(options.save, f"{kind}-{seed}")
    lines.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
