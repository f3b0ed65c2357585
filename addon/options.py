# SPDX-License-Identifier: GPL-3.0-or-later
"""Every option of ``generate``, once: the shell command and Blender's ``--command footfall`` share them.

Plain argparse, no bpy. Wrong usage raises WrongUsage from a ``Parser``; a file that cannot be read raises
BadInput. ``request_settings`` gives the fields of a FoleyRequest that do not come from the picture.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

from . import words_only
from .hits.file import rational, read_events
from .hits.listed import strong
from .wire import limits
from .wire.errors import BadInput, WireError, WrongUsage
from .wire.messages import CONDITIONS, LAYERS, MAPPERS, QUALITIES, RANKS, SPOTS_AS, Pull
from .wire.texts import FORBIDDEN, scrub

PICTURES_PER_SECOND = 4.0
PICTURES_PER_SECOND_RANGE = (0.5, 24.0)
LONGEST_COMPLAINT = 300  # characters of what is wrong with a command line: some quote all of it
STARTER = "starter"
RANGES = ("scene", "preview", "strips")
HITS = ("scene", "markers", "pixels", "list")
SOURCES = ("auto", "camera", "sequencer", "rendered", "render", words_only.SOURCE)


class Parser(argparse.ArgumentParser):
    """Takes options by their whole names only, and says in one sentence what is wrong.

    Raises WrongUsage where argparse would print and exit; its sub-parsers are of this class too.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        words = scrub(re.sub(r"\s+", " ", message).strip(), LONGEST_COMPLAINT)
        raise WrongUsage(f"{words[:1].upper()}{words[1:]}; {self.prog} --help tells what there is.")


def bounded(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], Any]:
    """What argparse is to take for a number from ``low`` to ``high``."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} does not lie between {low:g} and {high:g}")
        return value

    parse.__name__ = "whole number" if kind is int else "number"
    return parse


def prompt_text(text: str) -> str:
    """A prompt on the command line."""
    if len(text) > limits.PROMPT:
        raise argparse.ArgumentTypeError(f"at most {limits.PROMPT} characters fit")
    if FORBIDDEN.search(text):
        raise argparse.ArgumentTypeError("it holds control characters, or is not UTF-8")
    return text


def _wav(text: str) -> Path:
    """Any other name is somebody else's file, or would say what it does not hold."""
    path = Path(text)
    if path.suffix.lower() != ".wav":
        raise argparse.ArgumentTypeError(f"{text[:100]!r} does not end in .wav")
    return path


def _layers(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names or len(set(names)) != len(names) or not set(names) <= set(LAYERS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of {', '.join(LAYERS)}, each once")
    return names


def seconds(text: str, most: int = limits.DURATION_S) -> Fraction:
    """A time on the command line, as 2.5 or 1001/24, up to ``most`` seconds."""
    try:
        value = rational(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 <= value <= most:
        raise argparse.ArgumentTypeError(f"{text} does not lie between 0 and {most}")
    return value


def add_sound_options(parser: argparse.ArgumentParser) -> None:
    """What the sound is to be like: prompt, takes, seed, quality, model, layers."""
    group = parser.add_argument_group("sound")
    _add_words(group)
    _add_takes(group)
    _add_model(group)
    _add_hits(group)
    _add_layer_options(parser)


def _add_words(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--prompt", type=prompt_text, default="", metavar="TEXT", help="words that push the sound"
    )
    group.add_argument(
        "--negative",
        type=prompt_text,
        default="",
        metavar="TEXT",
        help="words to keep out, as: music, speech",
    )
    group.add_argument(
        "--background",
        type=prompt_text,
        default="",
        metavar="TEXT",
        help="words for the bed alone, as: rain on a window; --prompt leaves it be then, unless --in-sync",
    )
    group.add_argument(
        "--nudge",
        type=bounded(float, 0, 1),
        default=0.5,
        metavar="0..1",
        help="how far the words pull: 0 the picture alone, 1 the words alone (default 0.5)",
    )


def _add_takes(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--takes", type=bounded(int, 1, limits.TAKES), default=1, metavar="N", help="versions to choose from"
    )
    group.add_argument(
        "--rank",
        choices=RANKS[1:],
        default="",
        help="order of the takes; round-trip: first the one whose picture looks most like the shot",
    )
    group.add_argument(
        "--seed",
        type=bounded(int, 0, limits.SEED),
        metavar="S",
        help="same seed, same sound (default: random)",
    )


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--quality", choices=QUALITIES, default="good", help="speed against care (default good)"
    )
    group.add_argument("--model", default=STARTER, metavar="NAME|DIR", help="model bundle (default starter)")
    group.add_argument(
        "--mapper", choices=MAPPERS, default="auto", help="from picture to sound (default auto)"
    )
    group.add_argument(
        "--condition", choices=CONDITIONS, default="picture", help="what to listen to (default picture)"
    )


def _add_hits(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--layers",
        type=_layers,
        default=("bed",),
        metavar="bed,spots",
        help="bed: one sound for the whole shot; spots: one for each hit (default bed)",
    )
    group.add_argument(
        "--events",
        type=Path,
        metavar="scene|markers|pixels|list|FILE.json",
        help="where hits come from: the scene's motion and its markers, its markers alone, what moves in the "
        "picture, the scene's list of hits, or a file (default: the list if it has any, else as the scene "
        "says)",
    )
    group.add_argument(
        "--threshold",
        type=bounded(float, 0, 1),
        metavar="0..1",
        help="hits weaker than this stay silent (default: as the scene says, else 0)",
    )


def _add_layer_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("layers")
    group.add_argument(
        "--spots-as", choices=SPOTS_AS, default="each", help="a sound for each hit, or all of a kind in one"
    )
    group.add_argument(
        "--duck",
        type=bounded(float, 0, limits.DUCK_DB),
        default=0.0,
        metavar="DB",
        help="lower the bed under spots by so much (default 0)",
    )
    group.add_argument("--in-sync", action="store_true", help="let the hits shape the bed itself")
    group.add_argument("--hard-cuts", action="store_true", help="let the bed switch at cuts")
    group.add_argument("--loop", action="store_true", help="let the bed's end go over into its start")
    group.add_argument(
        "--pull",
        action="append",
        type=_pull,
        default=[],
        metavar="WORDS=W",
        help="push words up (to 1) or down (-1 bans them), as: --pull music=-1; may be said again",
    )
    group.add_argument(
        "--vary",
        type=bounded(float, 0, 1),
        default=0.0,
        metavar="0..1",
        help="more like this seed: how far from it (with --vary-seed)",
    )
    group.add_argument(
        "--vary-seed", type=bounded(int, 0, limits.SEED), default=0, metavar="S", help="and in which way"
    )


def _pull(text: str) -> Pull:
    words, _, weight = text.rpartition("=")
    try:
        return Pull(words=words.strip(), weight=float(weight))
    except (ValueError, WireError) as error:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is not WORDS=W with W from -1 to 1") from error


def add_picture_options(parser: argparse.ArgumentParser) -> None:
    """Which part of the input is looked at, and how often."""
    group = parser.add_argument_group("picture")
    group.add_argument(
        "--start", type=seconds, metavar="S", help="seconds into the shot (default: its start)"
    )
    group.add_argument("--end", type=seconds, metavar="S", help="seconds into the shot (default: its end)")
    add_per_second(group)


def add_per_second(group: argparse._ActionsContainer) -> None:
    """How often the picture is looked at."""
    group.add_argument(
        "--per-second",
        type=bounded(float, *PICTURES_PER_SECOND_RANGE),
        default=PICTURES_PER_SECOND,
        metavar="N",
        help=f"pictures looked at per second (default {PICTURES_PER_SECOND:g})",
    )


def add_scene_options(parser: argparse.ArgumentParser) -> None:
    """What only a .blend file has: scene, source of the picture, range, and where the result is kept."""
    group = parser.add_argument_group("Blender file")
    group.add_argument("--scene", metavar="NAME", help="scene to give sound to (default: the active one)")
    group.add_argument(
        "--source", choices=SOURCES, default="auto", help="where the picture comes from (default auto)"
    )
    group.add_argument("--range", choices=RANGES, default="scene", help="which frames (default scene)")
    group.add_argument("--save-as", type=Path, metavar="OUT.blend", help="save the file with its new strips")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Where the WAV goes and how the command reports."""
    parser.add_argument("-o", "--output", type=_wav, metavar="OUT.wav", help="also write the sound here")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object on stdout and nothing else"
    )


def model_choice(model: str) -> tuple[str, Path | None]:
    """``--model`` as (bundle name, models folder): a folder means that bundle there, a name leaves it None.

    Raises BadInput for a folder that is not a bundle.
    """
    folder = Path(model).expanduser()
    if not (folder.is_dir() or "/" in model or "\\" in model):
        return model, None
    folder = folder.resolve()
    if not (folder / "bundle.toml").is_file():
        raise BadInput(f"{folder} holds no bundle.toml; give a bundle's name or the folder of one.")
    return folder.name, folder.parent


def hit_source(options: argparse.Namespace) -> str:
    """Which of HITS ``--events`` names; empty for a file, or when nothing is said."""
    word = "" if options.events is None else str(options.events)
    return word if word in HITS else ""


def random_seed() -> int:
    """A seed short enough to read out and to fit Blender's whole-number properties."""
    return random.SystemRandom().randrange(2**31)


def picture_source(options: argparse.Namespace) -> str:
    """Where the picture comes from: one of SOURCES."""
    return words_only.SOURCE if words_only.is_asked(options) else str(options.source)


def request_settings(options: argparse.Namespace, queries: Sequence[str] = ()) -> dict[str, Any]:
    """Fields of FoleyRequest from ``add_sound_options``' namespace; without a seed one is drawn.

    queries: what the chosen model can be asked by, as far as that is known. Raises WrongUsage, BadInput.
    """
    settings = {
        "prompt": options.prompt,
        "negative_prompt": options.negative,
        "background": options.background,
        "nudge": options.nudge,
        "takes": options.takes,
        "rank": options.rank,
        "seed": random_seed() if options.seed is None else options.seed,
        "quality": options.quality,
        "bundle": model_choice(options.model)[0],
        "mapper": options.mapper,
        "condition": options.condition,
        "layers": options.layers,
        "spots_as": options.spots_as,
        "duck_db": options.duck,
        "in_sync": options.in_sync,
        "hard_cuts": options.hard_cuts,
        "loop": options.loop,
        "pulls": tuple(options.pull),
        "vary": options.vary,
        "vary_seed": options.vary_seed,
    }
    if words_only.is_asked(options):
        settings |= words_only.settings(options, queries)
    if options.threshold is not None:
        settings["least_strength"] = options.threshold
    if options.events is not None and not hit_source(options):
        settings["events"] = strong(read_events(options.events), options.threshold or 0.0)
    return settings
