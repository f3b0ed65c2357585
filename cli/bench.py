# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall bench``: seconds and memory of the engine, beside diffusers' own pipeline in the same run.

``--json`` names: ``ours_s``, ``diffusers_s``, ``ratio`` (everything equal), ``ratio_interval`` (guidance
only where it helps), ``parity`` and ``parity_waveform`` (relative), ``parts`` (seconds by part), ``one_s``
(a whole job), ``short_``, ``takes4_`` and ``long_ratio`` (against it), ``peak_mb``, ``load_peak_ratio``
(against the weights), ``cancel_waits_s``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..addon import options as shared
from ..addon.folders import models_folder
from ..addon.wire.errors import BadInput
from ..addon.wire.handshake import DEVICES

LAYOUT = "audioldm-s-full-v2"
PARTS = ("jobs", "takes", "short", "long", "equal")
LONGEST_S = Fraction(1024, 100)  # beyond it the engine cuts into windows, and nothing would be equal


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("bench", help="speed and memory, beside diffusers' own pipeline")
    parser.add_argument(
        "--model", metavar="NAME|DIR", help="a model; else full-size random numbers, made for this run"
    )
    parser.add_argument(
        "--seconds", type=shared.seconds, default=LONGEST_S, help="length of the sound (10.24)"
    )
    parser.add_argument("--steps", type=int, default=20, help="denoising steps (20)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of either side; the faster counts (3)")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a tiny model and short sounds: seconds in all")
    parser.add_argument("--json", action="store_true", help="one object on stdout and nothing else")


def run(options: argparse.Namespace) -> int:
    """Raises FootfallError, which the caller turns into a sentence and an exit code."""
    only = tuple(options.only.split(",")) if options.only else PARTS
    if not set(only) <= set(PARTS):
        raise BadInput(f"There is no part named {options.only[:80]!r}; choose of {', '.join(PARTS)}.")
    if not Fraction(8, 100) <= options.seconds <= LONGEST_S or options.steps < 1 or options.repeats < 1:
        raise BadInput("Measure a sound of 0.08 to 10.24 seconds, with at least one step and one turn.")
    with tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder:
        report = _measure(options, only, Path(folder))
    if options.json:
        print(json.dumps({"ok": True, **report}))
    else:
        print(table(report))
    return 0


def _measure(options: argparse.Namespace, only: tuple[str, ...], folder: Path) -> dict[str, Any]:
    from ..server import bench
    from ..server.models.random_bundle import write_random_bundle

    def say(words: str) -> None:
        if not options.json:
            print(f"{words} ...", file=sys.stderr, flush=True)

    if options.model:
        model = _folder_of(options.model)
    else:
        say("writing random weights")
        model = folder / f"{LAYOUT}-random"
        write_random_bundle(LAYOUT, model, options.quick)
    long_seconds = Fraction(24) if options.quick else Fraction(60)
    plan = bench.Plan(
        model=model,
        seconds=options.seconds,
        long_seconds=long_seconds,
        steps=options.steps,
        repeats=options.repeats,
        device=options.device,
        parts=only,
    )
    return bench.run(plan, say)


def _folder_of(name: str) -> Path:
    from ..server.models.finding import find_bundle

    return find_bundle(name, models_folder(), paths=True).root


_ROWS = (
    ("diffusers_s", "diffusers' AudioLDMPipeline", "s"),
    ("ours_s", "Footfall, everything equal", "s"),
    ("ratio", "  of diffusers' time", ""),
    ("interval_s", "Footfall, guidance interval", "s"),
    ("ratio_interval", "  of diffusers' time", ""),
    ("parity", "log-mel, relative difference", ""),
    ("parity_waveform", "waveform, relative difference", ""),
    ("one_s", "a whole job, frames to clips", "s"),
    ("nudge_s", "a nudge of the same shot", "s"),
    ("nudge_frames_looked_at", "  frames that CLIP looked at for it", ""),
    ("short_ratio", "a quarter of the length, of one job", ""),
    ("takes4_ratio", "four takes, of one job", ""),
    ("long_ratio", "the long bed, of one job", ""),
    ("long_peak_ratio", "  its peak memory, of one job's", ""),
    ("peak_mb", "peak memory of one job", "MB"),
    ("load_s", "loading", "s"),
    ("load_peak_ratio", "  its peak memory, of the weights", ""),
)


def table(report: dict[str, Any]) -> str:
    """The report for people: one line a figure, then the seconds of each part."""
    lines = [
        f"{report['bundle']} on {report['device']}, {report['dtype']}, {report['threads']} threads: "
        f"{report['seconds']:g} s of sound, {report['steps']} steps, guidance {report['guidance']:g}"
    ]
    for name, words, unit in _ROWS:
        if name in report:
            lines.append(f"  {words:40} {_number(report[name]):>10} {unit}".rstrip())
    for name, seconds in report.get("parts", {}).items():
        parts = ", ".join(f"{part} {seconds[part]:.2f}" for part in ("unet", "vae", "vocoder"))
        lines.append(f"  {name:12} {parts} s")
    if "cancel_waits_s" in report:
        waits = ", ".join(f"{phase} {wait:.2f}" for phase, wait in report["cancel_waits_s"].items())
        lines.append(f"  longest wait for a cancel: {waits} s")
    return "\n".join(lines)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3f}"
