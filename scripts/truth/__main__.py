# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.scripts.truth --kind keyed --seeds 0-9``: scenes and their truth as JSON lines.

``--save DIR`` writes each scene as a .blend; ``--check`` looks whether what is said to hit does, and whether
anything else does (slowly).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from .lines import own_stdout, scene_arguments
from .model import KINDS


def main() -> int:
    parser = scene_arguments("footfall.scripts.truth", __doc__)
    parser.add_argument("--save", type=Path, metavar="DIR", help="write each scene here")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a truth is none")
    options = parser.parse_args()
    lines = own_stdout()
    from .checking import faults
    from .make import make, save

    bad = 0
    for kind in options.kind or KINDS:
        for seed in options.seeds:
            scene, truth = make(kind, seed, options.rate)
            wrong = faults(scene, truth) if options.check else []
            bad += bool(wrong)
            lines.write(json.dumps({**asdict(truth), **({"faults": wrong} if wrong else {})}) + "\n")
            if options.save:
                options.save.mkdir(parents=True, exist_ok=True)
                save(options.save, f"{kind}-{seed}")
    lines.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
