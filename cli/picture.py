# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall picture``: a sound in, a picture of it out; or a storyboard of pictures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from ..addon import options as shared
from ..addon.folders import models_folder
from ..addon.pictures import files as picture_files
from ..addon.pictures import storyboard
from ..addon.pictures.story import asked, story
from ..addon.pictures.storyboard import Part
from ..addon.whole_file import check_place
from ..addon.wire import limits
from ..addon.wire.errors import BadInput
from ..addon.wire.messages import QUALITIES, PictureRequest, PictureResult
from ..server.models.finding import find_bundle
from .jobs import run_pictures, worker_launch
from .media import FILMS, read_shot
from .media import Span as Shown
from .progress import ProgressLine
from .sound_files import Sound, read_sound

SEEN = "seen"
LONGEST_S = 24 * 3600  # of a file of which a part is pictured
WORDS = "a photo of a"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("picture", help="a picture of a sound, or a storyboard of its parts")
    parser.add_argument("input", type=Path, metavar="SOUND", help="sound, or film with one")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.png", help="where the picture goes")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout and nothing else"
    )
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--per-window", type=_window, metavar="S", help="a picture for each S seconds")
    parts.add_argument(
        "--cuts",
        nargs="?",
        const=SEEN,
        metavar="S,S,…",
        help="a picture between each two cuts: at these seconds, or where a film has them",
    )
    parser.add_argument("--start", type=_moment, metavar="S", help="seconds into the sound")
    parser.add_argument("--end", type=_moment, metavar="S", help="seconds into the sound")
    parser.add_argument(
        "--words",
        type=shared.prompt_text,
        default=WORDS,
        help=f"what stands before the sound's own word (default: {WORDS})",
    )
    parser.add_argument(
        "--takes", type=shared.bounded(int, 1, limits.TAKES), default=1, metavar="N", help="of each picture"
    )
    parser.add_argument(
        "--seed", type=shared.bounded(int, 0, limits.SEED), metavar="S", help="same seed, same picture"
    )
    parser.add_argument("--quality", choices=QUALITIES, default="good", help="speed against care")
    parser.add_argument("--steps", type=shared.bounded(int, 1, limits.STEPS), default=0, metavar="N")
    parser.add_argument(
        "--guidance",
        type=shared.bounded(float, 0.1, limits.GUIDANCE),
        default=0.0,
        metavar="G",
        help="how closely the sound is followed (default: as the model does best)",
    )
    parser.add_argument(
        "--model",
        default=shared.STARTER,
        metavar="NAME|DIR",
        help="the bundle that listens (default starter)",
    )
    parser.add_argument("--pictures", default="", metavar="NAME", help="the bundle that paints, if another")


def run(options: argparse.Namespace) -> int:
    output = options.output or Path(f"{options.input.stem}.png")
    if options.output is None and output.exists():
        raise BadInput(f"{output} is there already; say where the picture goes with -o.")
    if output.suffix.lower() != ".png":
        raise BadInput(f"{output.name} is no PNG; name a file that ends in .png with -o.")
    with ProgressLine(quiet=options.json) as line:
        line.show("reading", 0.0)
        sound = read_sound(options.input, options.start or Fraction(0), options.end)
        parts = _parts(options, sound, lambda fraction: line.show("reading", fraction))
        request = _request(options, sound, parts)
        check_place(output, _ending(len(parts) - 1, len(parts), options.takes - 1))
        _, models_dir = shared.model_choice(options.model)
        for name in filter(None, (request.bundle, request.pictures)):
            find_bundle(name, models_dir or models_folder())  # the worker would say it too, much later
        result = run_pictures(request, worker_launch(models_dir), line)
    what = asked(request, options.input.name, options.start or Fraction(0))
    written = [
        picture_files.write(
            _name(output, picture.span, len(parts), picture.take),
            picture.pixels,
            story(what, result, picture),
        )
        for picture in result.pictures
    ]
    _report(options, request, result, written)
    return 0


def _moment(text: str) -> Fraction:
    return shared.seconds(text, LONGEST_S)


def _window(text: str) -> Fraction:
    length_s = _moment(text)
    if length_s < storyboard.SHORTEST_S:
        raise argparse.ArgumentTypeError(f"{text} is less than {float(storyboard.SHORTEST_S)}")
    return length_s


def _parts(options: argparse.Namespace, sound: Sound, tell: Callable[[float], None]) -> tuple[Part, ...]:
    if options.per_window is not None:
        return storyboard.windows(sound.duration_s, options.per_window)
    if options.cuts is None:
        return storyboard.whole(sound.duration_s)
    if options.cuts == SEEN:
        return storyboard.at_cuts(sound.duration_s, _seen(options, tell))
    start_s = options.start or Fraction(0)
    try:
        cuts = [_moment(part.strip()) for part in options.cuts.split(",")]
    except argparse.ArgumentTypeError as error:
        raise BadInput(f"--cuts: {error}; give seconds, as: --cuts 2.5,7.") from error
    return storyboard.at_cuts(sound.duration_s, [cut_s - start_s for cut_s in cuts])


def _seen(options: argparse.Namespace, tell: Callable[[float], None]) -> list[Fraction]:
    """Seconds into the sound at which its film has a cut. Raises BadInput."""
    if options.input.suffix.lower() not in FILMS:
        raise BadInput(
            f"{options.input.name} has no picture to see cuts in; give their seconds, as: --cuts 2.5,7."
        )
    from ..server.vision.cuts import find_cuts

    start_s = options.start or Fraction(0)
    shot = read_shot(
        options.input, Shown(start_s=start_s, end_s=options.end, per_second=0.5, motion=True, tell=tell)
    )
    return [] if shot.motion is None else find_cuts(shot.motion, shot.motion_rate)


def _request(options: argparse.Namespace, sound: Sound, parts: tuple[Part, ...]) -> PictureRequest:
    starts_s, ends_s = (tuple(side) for side in zip(*parts, strict=True))
    return PictureRequest(
        waveform=sound.waveform,
        rate_hz=sound.rate_hz,
        starts_s=starts_s,
        ends_s=ends_s,
        words=options.words,
        takes=options.takes,
        seed=shared.random_seed() if options.seed is None else options.seed,
        quality=options.quality,
        steps=options.steps,
        guidance=options.guidance,
        bundle=shared.model_choice(options.model)[0],
        pictures=options.pictures,
    )


def _name(output: Path, span: int, spans: int, take: int) -> Path:
    """OUT.png, or OUT-001.png and so on where there are several; OUT.take2.png for a second take."""
    return output.with_name(f"{output.stem}{_ending(span, spans, take)}{output.suffix}")


def _ending(span: int, spans: int, take: int) -> str:
    return (f"-{span + 1:03}" if spans > 1 else "") + (f".take{take + 1}" if take else "")


def _report(
    options: argparse.Namespace, request: PictureRequest, result: PictureResult, written: list[Path]
) -> None:
    model = result.provenance
    if options.json:
        print(json.dumps(_plain(request, result, written)))
        return
    for path in written:
        print(path)
    licence = "" if model.commercial else " NOT FOR COMMERCIAL USE"
    print(f"{model.bundle} ({model.licence}){licence}, seed {request.seed}", file=sys.stderr)
    for warning in result.warnings:
        print(f"Note: {warning}", file=sys.stderr)


def _plain(request: PictureRequest, result: PictureResult, written: list[Path]) -> dict[str, object]:
    model = result.provenance
    return {
        "ok": True,
        "seed": request.seed,
        "bundle": model.bundle,
        "licence": model.licence,
        "commercial": model.commercial,
        "device": model.device,
        "warnings": list(result.warnings),
        "pictures": [
            {
                "file": str(path),
                "start_s": float(request.starts_s[picture.span]),
                "end_s": float(request.ends_s[picture.span]),
                "take": picture.take,
            }
            for path, picture in zip(written, result.pictures, strict=True)
        ],
    }
