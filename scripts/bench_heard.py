# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether hits are heard when they are seen, by the whole path: scene, worker, model, strips, mix.

``python scripts/bench_heard.py`` gives held-out truth scenes their sound and looks for the attack of every
spot in the mix that Footfall writes and in Blender's own mixdown; ``--long`` does so for 500 hits in ten
minutes. With ``--in-sync`` it is the bed alone that keeps to the hits, and what begins is looked for as in
any sound. Prints a Markdown table, and JSON with ``--json``; exit code 1 when a bar is missed.

Blender's processes know no torch, and this one knows no Blender.
"""

from __future__ import annotations

import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from footfall.addon.wire.messages import Event
from footfall.scripts.truth import scoring
from footfall.scripts.truth.lines import scene_arguments
from footfall.scripts.truth.model import HELD_OUT, from_json
from footfall.scripts.truth.process import in_blender, scene_words
from footfall.server.evaluation import hearing, timing
from footfall.server.sound.clusters import by_words, shares

MEDIAN_MS = 5.0
MOST_SOUNDS = 12


def main(arguments: list[str] | None = None) -> int:
    parser = scene_arguments("bench_heard", __doc__, HELD_OUT[:1])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--long", action="store_true", help="500 hits in ten minutes instead")
    mode.add_argument("--in-sync", action="store_true", help="one sound that keeps to the hits, no spots")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep scenes and sounds here")
    parser.add_argument("--json", metavar="FILE", help="write the figures here as well")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        words = ["--out", str(options.keep or folder), "--seed", "7"]
        words += ["--layers", "bed", "--in-sync"] if options.in_sync else ["--layers", "bed,spots"]
        words += ["--long"] if options.long else scene_words(options)
        listen = in_sync if options.in_sync else measure
        report = [listen(scene) for scene in in_blender("sounding", *words)]
    print(sync_table(report) if options.in_sync else table(report))
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0 if options.in_sync or all(reached(one) for one in report) else 1


def in_sync(scene: dict[str, Any]) -> dict[str, Any]:
    """One scene's bed: which of its hits something begins at within half a frame, in both mixes."""
    truth = from_json(scene["truth"])
    times = [one["time_s"] for one in scene["events"] if one["time_s"] <= truth.duration_s]
    found = {}
    for name in ("mix", "blender"):
        sound, rate_hz = soundfile.read(scene[name], dtype="float32", always_2d=True)
        heard = timing.onsets(sound.mean(axis=1), rate_hz)
        near = timing.against(times, heard, truth.duration_s, 0.5 / truth.per_second)
        found[name] = timing.summary([near])
    return {"scene": f"{truth.kind} {truth.seed}", "rate": truth.rate, **found}


def sync_table(report: list[dict[str, Any]]) -> str:
    """The figures of beds in sync as Markdown."""
    lines = [
        "| scene | fps | hits | heard within half a frame: mix, mixdown | median, p95 | others a second |",
        "|" + "---|" * 6,
    ]
    for one in report:
        mix, blender = one["mix"], one["blender"]
        lines.append(
            f"| {one['scene']} | {one['rate']} | {mix['hits']:.0f} | {100 * mix['coverage']:.0f} %, "
            f"{100 * blender['coverage']:.0f} % | {mix['median_ms']:.2f}, {mix['p95_ms']:.2f} ms "
            f"| {mix['false_per_s']:.2f} |"
        )
    return "\n".join(lines)


def measure(scene: dict[str, Any]) -> dict[str, Any]:
    """One scene's figures, in both mixes, against the hits that were used and against the truth."""
    truth = from_json(scene["truth"])
    found = [(one["time_s"], one["words"]) for one in scene["events"]]
    read = scoring.score(truth, found)
    mixes = {name: _mix(scene, truth.duration_s, 1 / truth.per_second, name) for name in ("mix", "blender")}
    return {
        "scene": f"{truth.kind} {truth.seed}",
        "rate": truth.rate,
        "read": read.row(),
        "sounds": sounds_made(scene["events"], truth.duration_s),
        "strips": scene["strips"],
        "strips_after_one_undo": scene["strips_after_one_undo"],
        "spent_s": round(scene["spent_s"], 1),
        **mixes,
    }


def _mix(scene: dict[str, Any], duration_s: float, frame_s: float, name: str) -> dict[str, float]:
    sound, rate_hz = soundfile.read(scene[name], dtype="float32", always_2d=True)
    spots = []
    for one in scene["spots"]:
        head = np.fromfile(one["file"], "<f4", one["samples"], offset=4 * one["at"])
        time_s = scene["events"][one["event"]]["time_s"]
        spots.append(hearing.Spot(time_s, head))
    return hearing.figures(hearing.listen(sound.mean(axis=1), rate_hz, spots), duration_s, frame_s)


def sounds_made(events: list[dict[str, Any]], duration_s: float) -> int:
    """How many short sounds the worker's own plan makes for these hits."""
    hits = [Event(time_s=_exactly(one["time_s"]), words=one["words"]) for one in events]
    return sum(shares(by_words(hits, _exactly(duration_s))))


def _exactly(seconds: float) -> Fraction:
    return Fraction(seconds).limit_denominator(1_000_000)


def reached(one: dict[str, Any]) -> bool:
    """Whether a scene reaches every bar, in both mixes."""
    timely = all(
        one[mix]["onset_median_ms"] < MEDIAN_MS and one[mix]["onset_p95_ms"] < one[mix]["half_frame_ms"]
        for mix in ("mix", "blender")
    )
    return timely and one["sounds"] <= MOST_SOUNDS and one["strips_after_one_undo"] == 0


def table(report: list[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = [
        "| scene | fps | spots: clear, masked, crowded | onset in the mix: median, p95, worst "
        "| in the mixdown | half a frame | clear attacks that stand out | short sounds | one undo | bars |",
        "|" + "---|" * 10,
    ]
    for one in report:
        mix, blender = one["mix"], one["blender"]
        onsets = [
            f"{m['onset_median_ms']:.2f}, {m['onset_p95_ms']:.2f}, {m['onset_worst_ms']:.2f} ms"
            for m in (mix, blender)
        ]
        undone = f"{one['strips']} → {one['strips_after_one_undo']} strips"
        verdict = "reached" if reached(one) else "**missed**"
        lines.append(
            f"| {one['scene']} | {one['rate']} | {mix['clear']}, {mix['masked']}, {mix['crowded']} "
            f"| {onsets[0]} | {onsets[1]} | {mix['half_frame_ms']:.1f} ms | {100 * mix['stands_out']:.0f} % "
            f"| {one['sounds']} | {undone} | {verdict} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
