# SPDX-License-Identifier: GPL-3.0-or-later
"""How well hits are found on scenes whose hits are known exactly: how many, how many false, how far off.

``python scripts/bench_events.py`` reads the scenes themselves; ``--pixels`` renders them small, grey, at 24
frames a second, and looks for hits in the pictures alone; ``--cost`` times a reading of 500 hits in ten
minutes beside a bare evaluation of the same frames. Prints a Markdown table, and JSON with ``--json``; exit
code 1 when a bar is missed. Scenes with seeds 1000 to 1999 are held out: nothing may be tuned by them.

Blender's processes know no torch, and this one knows no Blender.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from footfall.scripts.truth import scoring
from footfall.scripts.truth.lines import scene_arguments
from footfall.scripts.truth.model import HELD_OUT, RATES, Truth, from_json
from footfall.scripts.truth.process import in_blender, scene_words
from footfall.server.evaluation.timing import against
from footfall.server.vision.hits import find_hits
from PIL import Image

COST = 1.3  # times the evaluation of the frames alone
DEFAULT = HELD_OUT[:24]


def main(arguments: list[str] | None = None) -> int:
    parser = scene_arguments("bench_events", __doc__, DEFAULT)
    parser.add_argument("--pixels", action="store_true", help="from rendered pictures alone")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="keep the rendered pictures here")
    parser.add_argument("--cost", action="store_true", help="what reading costs beside evaluating the frames")
    parser.add_argument("--seconds", type=float, default=600.0, help="of --cost's shot (default 600)")
    parser.add_argument("--misses", action="store_true", help="list what was missed and what was false")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    options = parser.parse_args(arguments)
    if options.cost:
        report, good = _cost(options)
    else:
        report, good = _found(options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    return 0 if good else 1


def _found(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    bars = scoring.PIXELS if options.pixels else scoring.SCENE
    told = _from_pixels(options) if options.pixels else _from_scenes(options)
    scores = [(truth.kind, truth.rate, scoring.score(truth, hits)) for truth, hits in told]
    sums = scoring.grouped(scores)
    print(scoring.table(sums, bars))
    if options.misses:
        for one in sums["all"].missed:
            print("missed", one)
        for one in sums["all"].wrong:
            print("false ", one)
    report = {name: one.row() for name, one in sums.items()}
    return {"scenes": len(scores), "sums": report}, all(one.reaches(bars) for one in sums.values())


Told = Iterator[tuple[Truth, list[tuple[float, str]]]]


def _from_scenes(options: argparse.Namespace) -> Told:
    for scene in in_blender("reading", *scene_words(options)):
        told = [(time_s, f"{kind} {words}") for time_s, kind, words, _ in scene["found"]]
        yield from_json(scene["truth"]), told


def _from_pixels(options: argparse.Namespace) -> Told:
    """The same scenes at 24 frames a second, unless another rate is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        out = options.pictures or folder
        for scene in in_blender("pictures", "--out", str(out), *scene_words(options)):
            truth = from_json(scene["truth"])
            fps, base = RATES[truth.rate]
            grey = np.stack(
                [np.asarray(Image.open(path)) for path in sorted(Path(scene["folder"]).glob("*.png"))]
            )
            hits = find_hits(grey, Fraction(fps) / Fraction(base).limit_denominator(1001))
            yield truth, [(float(hit.time_s), hit.kind) for hit in hits]


def _cost(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Of eight balls alone, and of a shot that takes Blender some work; only the second has a bar."""
    report: dict[str, Any] = {}
    print("| ten minutes, 500 hits | a frame alone | reading it | ratio | found | false | p95 | drift |")
    print("|---|---|---|---|---|---|---|---|")
    for name, words in (("balls alone", ()), ("shot", ("--heavy",))):
        (shot,) = in_blender("costing", *words, "--seconds", str(options.seconds))
        truth = from_json(shot["truth"])
        told = [(time_s, f"{kind} {words}") for time_s, kind, words, _ in shot["found"]]
        one = scoring.score(truth, told)
        wanted, times = [hit.time_s for hit in truth.wanted()], [time_s for time_s, _ in told]
        drift = 600_000 * against(wanted, times, truth.duration_s).drift
        bare, read = (1000 * shot[key] / shot["frames"] for key in ("bare_s", "read_s"))
        report[name] = {
            **one.row(),
            "bare_ms": bare,
            "read_ms": read,
            "ratio": shot["ratio"],
            "drift_ms_in_ten_minutes": drift,
        }
        print(
            f"| {name} | {bare:.2f} ms | {read:.2f} ms | {shot['ratio']:.2f} | {100 * one.recall:.1f} % "
            f"| {100 * one.false_share:.1f} % | {1000 * one.p95_s:.2f} ms | {drift:.3f} ms |"
        )
    return report, report["shot"]["ratio"] <= COST


if __name__ == "__main__":
    raise SystemExit(main())
