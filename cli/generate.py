# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall generate``: a film, picture, folder of frames, .blend file or words in, a WAV out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..addon import options as shared
from ..addon import words_only
from ..addon.folders import models_folder
from ..addon.hits.file import rational
from ..addon.sounds.take_files import report, write_takes
from ..addon.whole_file import check_place
from ..addon.wire.errors import BadInput, WrongUsage
from ..addon.wire.messages import FoleyRequest, Result
from ..server.models.finding import find_bundle
from .blender import check_exit, find_blender, run_in_blender, turn
from .jobs import run_job, worker_launch
from .media import PICTURES, Shot, Span, pictures_in, read_shot
from .mux import CONTAINERS, mux_film, mux_pictures
from .progress import ProgressLine

FASTEST_HZ = 1_000  # frames a second
_NOTHING = np.zeros((0, 8, 8, 3), np.uint8)  # seen


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("generate", help="sound for a film, picture, folder of frames or .blend")
    parser.add_argument(
        "input",
        type=Path,
        nargs="?",
        metavar="INPUT",
        help="film, picture, folder of frames or .blend; may be left out with --text",
    )
    shared.add_output_options(parser)
    parser.add_argument("--mux", type=Path, metavar="OUT.mp4", help="also write the film with its new sound")
    parser.add_argument(
        "--fps", type=_rate, default=Fraction(24), help="rate of a folder of frames, as 24 or 30000/1001"
    )
    parser.add_argument("--blender", default="", metavar="PROGRAM", help="Blender's executable")
    shared.add_sound_options(parser)
    words_only.add_options(parser)
    parser.add_argument(
        "--seconds",
        type=shared.seconds,
        metavar="S",
        help=f"how long, where there is no INPUT (default {words_only.LENGTH_S:g})",
    )
    shared.add_picture_options(parser)
    shared.add_scene_options(parser)


def run(options: argparse.Namespace) -> int:
    _check_usage(options)
    if options.input is not None and options.input.suffix.lower() == ".blend":
        return _in_blender(options)
    if options.mux is not None and (options.start or options.end is not None) and not _still(options.input):
        raise BadInput("--mux needs the whole input; leave --start and --end out.")
    with ProgressLine(quiet=options.json) as line:
        line.show("reading", 0.0)
        shot = _shot(options, line)
        output = _output(options)
        name, models_dir = shared.model_choice(options.model)
        # The worker would say it too, half a minute later.
        bundle = find_bundle(name, models_dir or models_folder())
        settings = shared.request_settings(options, bundle.queries)
        request = FoleyRequest(
            frames=shot.frames,
            times_s=shot.times_s,
            duration_s=shot.duration_s,
            motion=shot.motion,
            motion_rate=shot.motion_rate,
            **settings,
        )
        result = run_job(request, worker_launch(models_dir), line)
    written = write_takes(result, request, output)
    if options.mux is not None:
        _mux(options, shot, written[0])
    _report(options, request, result, written)
    return 0


def _rate(text: str) -> Fraction:
    try:
        value = rational(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no rate") from None
    if not 1 <= value <= FASTEST_HZ:
        raise argparse.ArgumentTypeError(f"{text[:60]} does not lie between 1 and {FASTEST_HZ}")
    return value


def _output(options: argparse.Namespace) -> Path:
    """Where the sound goes. Raises BadInput and SaveError for places where it cannot, or where something is
    that was not named.
    """
    named = Path(os.path.abspath(options.input)).stem if options.input else "sound"
    output: Path = options.output or Path(f"{named}.wav")
    if options.output is None and output.exists():
        raise BadInput(f"{output} is there already; say where the sound goes with -o.")
    ending = f".take{options.takes}" if options.takes > 1 else ""
    check_place(output, ending + (".spots" if len(options.layers) > 1 else ""))
    if options.mux is not None:
        if options.mux.suffix.lower() not in CONTAINERS:
            raise BadInput(f"--mux writes {', '.join(CONTAINERS)}; {options.mux.name} is none of them.")
        if options.input.is_file() and options.mux.exists() and options.mux.samefile(options.input):
            raise BadInput(f"--mux would overwrite {options.input.name}; name another file.")
        check_place(options.mux, option="--mux")
    return output


def _check_usage(options: argparse.Namespace) -> None:
    """Raises WrongUsage where INPUT and the options do not go together."""
    if options.input is None and not words_only.is_asked(options):
        raise WrongUsage("Generate needs INPUT: a film, picture, folder of frames or .blend; or --text.")
    if options.input is None and (options.mux or options.start or options.end is not None):
        raise WrongUsage("--mux, --start and --end need INPUT; --seconds says how long words are heard.")
    if options.input is None and shared.hit_source(options):
        raise WrongUsage("Without INPUT the hits come from a file: --events FILE.json.")
    if options.input is not None and options.seconds is not None:
        raise WrongUsage("--seconds is for words without INPUT; use --start and --end.")


def _shot(options: argparse.Namespace, line: ProgressLine) -> Shot:
    """What is to get sound. Where words alone decide, only its length and its hits are of use."""
    if options.input is None:
        length_s = Fraction(words_only.LENGTH_S) if options.seconds is None else options.seconds
        if not length_s:
            raise BadInput("--seconds must be more than 0.")
        return _unseen(Shot(frames=_NOTHING, times_s=np.zeros(0), duration_s=length_s))
    shot = read_shot(options.input, _span(options, lambda fraction: line.show("reading", fraction)))
    return _unseen(shot) if words_only.is_asked(options) else shot


def _unseen(shot: Shot) -> Shot:
    return replace(shot, frames=_NOTHING, times_s=np.zeros(0))


def _span(options: argparse.Namespace, tell: Callable[[float], None]) -> Span:
    return Span(
        start_s=options.start or Fraction(0),
        end_s=options.end,
        per_second=options.per_second,
        folder_fps=options.fps,
        motion=_looks_for_hits(options),
        tell=tell,
    )


def _looks_for_hits(options: argparse.Namespace) -> bool:
    """Whether the worker is to find hits in the picture: where they are wanted and no file brings them."""
    source = shared.hit_source(options)
    if source not in ("", "pixels"):
        raise BadInput(f"--events {source} needs a .blend file; a film's hits come from pixels, or a file.")
    wanted = "spots" in options.layers or options.in_sync or options.hard_cuts
    return not _still(options.input) and (source == "pixels" or (options.events is None and wanted))


def _still(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in PICTURES


def _mux(options: argparse.Namespace, shot: Shot, sound: Path) -> None:
    if options.input.is_dir():
        mux_pictures(pictures_in(options.input), options.fps, sound, options.mux)
    elif _still(options.input):
        mux_pictures([options.input], 1 / shot.duration_s, sound, options.mux)
    else:
        mux_film(options.input, sound, options.mux)


def _report(options: argparse.Namespace, request: FoleyRequest, result: Result, written: list[Path]) -> None:
    story = result.provenance
    if options.json:
        print(json.dumps({**report(result, request), "files": [str(path) for path in written]}))
        return
    for path in written:
        print(path)
    if result.heard:
        print("It heard: " + ", ".join(item.words for item in result.heard[:5]), file=sys.stderr)
    if request.motion is not None:
        print(f"{len(result.events)} hits, {len(result.cuts)} cuts seen in the picture", file=sys.stderr)
    licence = "" if story.commercial else " NOT FOR COMMERCIAL USE"
    print(f"{story.bundle} ({story.licence}){licence}, seed {request.seed}", file=sys.stderr)
    for warning in result.warnings:
        print(f"Note: {warning}", file=sys.stderr)


def _in_blender(options: argparse.Namespace) -> int:
    """The same command inside Blender in background; its output and its exit code are passed on."""
    if not options.input.is_file():
        raise BadInput(f"There is no file {options.input}; check its name.")
    if options.mux is not None:
        raise BadInput("--mux works on films and folders of frames; render the .blend first.")
    command = find_blender(options.blender).command(options.input, "generate", *_passed_on(options))
    if not options.json:
        return check_exit(turn(command)[0])
    print(json.dumps(run_in_blender(command)))
    return 0


def _passed_on(options: argparse.Namespace) -> list[str]:
    """The words of this command line that Blender's side knows: all but INPUT, --blender and --fps."""
    kept = options.words[options.words.index("generate") + 1 :]
    kept.remove(next(word for word in kept if Path(word) == options.input))
    for name in ("--blender", "--fps"):
        while name in kept:
            del kept[kept.index(name) : kept.index(name) + 2]
    return [word for word in kept if not word.startswith(("--blender=", "--fps="))]
