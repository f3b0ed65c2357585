# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall demo``: the demo shot, rendered in Blender without a window, given its sound, and measured.

DIR/demo.blend holds the scene with its new strips, DIR/demo.mp4 picture and sound, DIR/*.wav the layers, and
DIR/report.json what was measured. Everything goes the way of a real job: Blender, worker, strips.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from ..addon.folders import models_folder
from ..addon.options import bounded, model_choice
from ..addon.wire import limits
from ..addon.wire.errors import FootfallError
from ..addon.wire.messages import QUALITIES
from .blender import find_blender, run_in_blender
from .demo_report import measure, picture
from .mux import mux_pictures

log = logging.getLogger(__name__)

STARTER = "starter"
PRACTICE = "practice"  # random weights, written here when no trained bundle is on this machine


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("demo", help="render the demo shot and give it sound")
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR", help="where (default demo)")
    parser.add_argument("--model", default="", metavar="NAME|DIR", help="model bundle (default starter)")
    parser.add_argument(
        "--quality", choices=QUALITIES, default="good", help="speed against care (default good)"
    )
    parser.add_argument(
        "--seed",
        type=bounded(int, 0, limits.SEED),
        default=7,
        metavar="S",
        help="same seed, same sound (default 7)",
    )
    parser.add_argument("--blender", default="", metavar="PROGRAM", help="Blender's executable")
    parser.add_argument("--json", action="store_true", help="print the report on stdout and nothing else")


def run(options: argparse.Namespace) -> int:
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    blender = find_blender(options.blender)
    model, note = _model(options.model, out)
    began = time.monotonic()

    _say(options, f"Building and rendering the demo shot with {blender}")
    shot = _in_blender(
        options, None, "demo-shot", "--save-as", str(out / "demo.blend"), "--frames", str(out / "frames")
    )
    rendered = time.monotonic()

    _say(options, f"Generating its sound with the model {model}")
    job = _in_blender(
        options, out / "demo.blend", "generate", "--model", model,
        "--layers", "bed,spots", "--events", "scene", "--background", shot["background"],
        "--quality", options.quality, "--seed", str(options.seed),
        "--save-as", str(out / "demo.blend"), "-o", str(out / "demo.wav"),
    )  # fmt: skip
    sounded = time.monotonic()

    frames = sorted((out / "frames").glob("*.png"))
    mux_pictures(frames, Fraction(shot["rate"]), out / "demo.wav", out / "demo.mp4")
    report = {
        "ok": True,
        "model": job["bundle"],
        "note": note,
        "blender": str(blender),
        "render_s": round(rendered - began, 2),
        "sound_s": round(sounded - rendered, 2),
        "job": job,
        **measure(out, shot, job),
    }
    picture(out, frames, shot["hits"], float(Fraction(shot["rate"])))
    (out / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(report))
    else:
        _summary(out, report)
    return 0


def _model(wanted: str, out: Path) -> tuple[str, str]:
    """(bundle, note for the report): the one asked for, else the starter, else random weights in DIR."""
    from ..server.models.finding import find_bundle
    from ..server.models.random_bundle import write_random_bundle

    if wanted:
        name, models_dir = model_choice(wanted)
        find_bundle(name, models_dir or models_folder())  # before half a minute of rendering for nothing
        return wanted, ""
    try:
        find_bundle(STARTER, models_folder())
        return STARTER, ""
    except FootfallError as error:
        log.info("no starter bundle: %s", error)
    folder = out / "models" / PRACTICE
    if not (folder / "bundle.toml").is_file():
        write_random_bundle("audioldm-s-full-v2", folder, tiny=True)
    note = "No trained model is here, so this one has random weights: timing is real, timbre is noise."
    return str(folder), note


def _in_blender(options: argparse.Namespace, blend: Path | None, *words: str) -> dict[str, Any]:
    """What the command in Blender reports. Raises the FootfallError that it tells, Cancelled after Ctrl-C.

    Blender says a line for every picture that it renders; those are kept back unless something goes wrong.
    """
    command = find_blender(options.blender).command(blend, *words, "--json")
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as chatter:
        try:
            return run_in_blender(command, stderr=chatter)
        except FootfallError as error:
            chatter.seek(0)
            error.detail = error.detail or "".join(chatter.readlines()[-20:])
            raise


def _say(options: argparse.Namespace, words: str) -> None:
    if not options.json:
        print(words, file=sys.stderr, flush=True)


def _summary(out: Path, report: dict[str, Any]) -> None:
    found, heard = report["found"], report["heard"]
    print(f"{out / 'demo.mp4'}\n{out / 'demo.blend'}\n{out / 'report.json'}\n{out / 'demo.png'}")
    print(
        f"{found['found']} of {found['hits']} hits were found in the scene, at worst "
        f"{_ms(found['worst_ms'])} off, and {found['false']} that are none. "
        f"{heard['heard']} are heard, {_ms(heard['median_ms'])} off in the median and "
        f"{_ms(heard['worst_ms'])} at worst; {heard['masked']} of them under louder sounds. "
        f"{report['loudness_lufs']:.1f} LUFS."
    )
    if report["note"]:
        print(report["note"])


def _ms(number: float | None) -> str:
    return "-" if number is None else f"{number:.1f} ms"
