# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall eval``: measures bundles, mappers, settings and folders of sounds against the synthetic world.

All of them get the same held-out shots and the same ears; real, shuffled, silent and noisy reference points
stand beside them. Options that can be given again are all tried with each other. Sounds that were made are
kept, so a run that was stopped goes on. ``--compare`` asks other questions: how well words do in a picture's
place, and what pictures of sounds show.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..addon.folders import models_folder
from ..addon.wire import limits
from ..addon.wire.errors import BadInput, SaveError
from ..addon.wire.handshake import DEVICES
from ..addon.wire.messages import MAPPERS, QUALITIES
from .eval_pictures import Measured, measure
from .progress import ProgressLine
from .train_line import duration
from .work import add_work, work_folder

if TYPE_CHECKING:
    from ..server.evaluation.systems import System

CONDITIONS = ("picture", "text")
LAYERS = {"bed": ("bed",), "spots": ("spots",), "bed,spots": ("bed", "spots"), "in-sync": ("bed",)}
STARTER = "starter"
SOUNDS, CLIPSONIC, AUDIOTOKEN, ROUND_TRIP = "sounds", "clipsonic", "audiotoken", "round-trip"
COMPARISONS = (SOUNDS, CLIPSONIC, AUDIOTOKEN, ROUND_TRIP)
LIMIT = 320
REPORT = "report"  # .md and .json


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "eval", help="measure models, mappers and folders of sounds", description=__doc__
    )
    _add_systems(parser)
    parser.add_argument("--ears", metavar="NAME|DIR", help="whose CLIP and CLAP listen (default: the first)")
    add_work(parser)
    parser.add_argument("--limit", type=_limit, default=LIMIT, metavar="N", help=f"shots at most ({LIMIT})")
    parser.add_argument("--seed", type=_seed, default=0, metavar="S", help="of the sounds (0)")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--out", type=Path, metavar="DIR", help="for the report (default: WORK/eval/report)")
    parser.add_argument("--json", action="store_true", help="one object on stdout and nothing else")


def _add_systems(parser: argparse.ArgumentParser) -> None:
    """What is compared."""
    many: dict[str, Any] = {"action": "append", "default": []}
    parser.add_argument(
        "--compare",
        choices=COMPARISONS,
        default=SOUNDS,
        help="sounds of models (default); clipsonic: asked with pictures, with words, with words through "
        "a prior; audiotoken: pictures of sounds; round-trip: takes ranked by such pictures",
    )
    parser.add_argument("--model", metavar="NAME|DIR", help="a bundle (default: the starter); again", **many)
    parser.add_argument(
        "--mapper", choices=MAPPERS, help="from picture to sound (default auto); again", **many
    )
    parser.add_argument("--condition", choices=CONDITIONS, help="(default: both); again", **many)
    parser.add_argument("--quality", choices=QUALITIES, help="(default good); again", **many)
    parser.add_argument(
        "--layers",
        choices=LAYERS,
        help="how the shots' own hits are used (default bed: not at all); again",
        **many,
    )
    parser.add_argument("--steps", type=_steps, metavar="N", help="denoising steps; again", **many)
    parser.add_argument("--guidance", type=_guidance, metavar="G", help="again", **many)
    parser.add_argument(
        "--sounds",
        type=Path,
        metavar="DIR",
        help="another system's sounds, named by the shots; again",
        **many,
    )
    parser.add_argument(
        "--labels", metavar="NAME|DIR", help="clipsonic: a bundle that learnt from words; again", **many
    )
    parser.add_argument(
        "--frames", type=_frames, default=0, metavar="N", help="pictures shown of each shot (0: all)"
    )
    parser.add_argument("--no-model", action="store_true", help="only --sounds and the reference points")


def _bounded(kind: type, low: float, high: float, name: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} does not lie between {low:g} and {high:g}")
        return value

    parse.__name__ = name
    return parse


_steps = _bounded(int, 1, limits.STEPS, "whole number")
_guidance = _bounded(float, 0.1, limits.GUIDANCE, "number")
_frames = _bounded(int, 0, 100, "whole number")
_limit = _bounded(int, 4, 100_000, "whole number")
_seed = _bounded(int, 0, limits.SEED, "whole number")


def run(options: argparse.Namespace) -> int:
    """Raises FootfallError, which the caller turns into a sentence and an exit code."""
    from ..server.train.checkpoints import disk_trouble

    work = work_folder(options)
    with ProgressLine(quiet=options.json) as line:

        def say(words: str, fraction: float, left: float | None) -> None:
            line.show(_words(words, left), fraction)

        with disk_trouble(work, "What was measured before is kept."):
            if options.compare in (AUDIOTOKEN, ROUND_TRIP):
                found, words, draw = measure(options, work, STARTER, say)
            else:
                found, words, draw = _sounds(options, work, say)
        line.show("writing the report", 1.0)
        out = _out(options, work)
        written = _write(out, words, found, lambda: draw(out))
    if options.json:
        print(json.dumps({"ok": True, **found, "files": written}))
    else:
        print((out / f"{REPORT}.md").read_text("utf-8"))
        print(f"Written to {out}: {', '.join(Path(path).name for path in written)}")
    return 0


def _sounds(
    options: argparse.Namespace, work: Path, say: Callable[[str, float, float | None], None]
) -> Measured:
    from ..server.evaluation import plots, tables
    from ..server.evaluation.run import Plan
    from ..server.evaluation.run import run as evaluate

    asked = options.compare == CLIPSONIC
    systems = _asked(options, work) if asked else _systems(options)
    if not systems and not options.sounds and not options.no_model:
        raise BadInput("There is nothing to measure; name a --model or a folder of --sounds.")
    plan = Plan(
        work=work,
        models_dir=models_folder(),
        systems=systems,
        folders=tuple(options.sounds),
        conditions=("query",) if asked else _once(options.condition) or CONDITIONS,
        most=options.limit,
        device=options.device,
        ears=options.ears or "",
    )
    report = evaluate(plan, say)
    return tables.plain(report), tables.markdown(report), lambda out: plots.draw(report, out)


def _out(options: argparse.Namespace, work: Path) -> Path:
    """Each comparison has a folder of its own."""
    name = REPORT if options.compare == SOUNDS else f"{REPORT}-{options.compare}"
    return Path(options.out or work / "eval" / name).expanduser()


def _words(words: str, left: float | None) -> str:
    return words if left is None else f"{words}, {duration(left)} left"


def _once(values: Sequence[Any]) -> tuple[Any, ...]:
    """Each of them once, in order."""
    return tuple(dict.fromkeys(values))


def _systems(options: argparse.Namespace) -> tuple[System, ...]:
    """Every combination of what was asked for; mappers play no part where words are the condition."""
    from ..server.evaluation.systems import System

    if options.no_model or (options.sounds and not options.model):
        return ()
    found = []
    rows = itertools.product(
        _once(options.condition) or CONDITIONS,
        _once(options.model) or (STARTER,),
        _once(options.quality) or ("good",),
        _once(options.steps) or (0,),
        _once(options.guidance) or (0.0,),
        _once(options.layers) or ("bed",),
    )
    for condition, model, quality, steps, guidance, layers in rows:
        one = System(
            model=model,
            condition=condition,
            quality=quality,
            steps=steps,
            guidance=guidance,
            seed=options.seed,
            layers=LAYERS[layers],
            in_sync=layers == "in-sync",
            frames=options.frames if condition == "picture" else 0,
        )
        mappers = _once(options.mapper) or ("auto",)
        found += [replace(one, mapper=mapper) for mapper in mappers] if condition == "picture" else [one]
    return tuple(found)


def _asked(options: argparse.Namespace, work: Path) -> tuple[System, ...]:
    """Every way to ask every bundle; those that learnt from words alone are asked with words.

    Without a model: what ``footfall train clipsonic`` has left below ``work``, and the starter.
    """
    from ..server.evaluation.queries import systems_of
    from ..server.evaluation.systems import System
    from ..server.models.finding import find_bundle
    from ..server.train.clipsonic import folder

    found: list[System] = []
    trained = {kind: folder(work, kind) for kind in ("clip", "clip_text")}
    there = {kind: (str(place),) if place.is_dir() else () for kind, place in trained.items()}
    models = [(model, False) for model in _once(options.model) or (*there["clip"], STARTER)]
    models += [
        (model, True) for model in _once(options.labels) or (() if options.model else there["clip_text"])
    ]
    rows = itertools.product(
        models,
        _once(options.quality) or ("good",),
        _once(options.steps) or (0,),
        _once(options.guidance) or (0.0,),
    )
    for (model, labels), quality, steps, guidance in rows:
        base = System(
            model=model,
            condition="query",
            quality=quality,
            steps=steps,
            guidance=guidance,
            seed=options.seed,
            frames=options.frames,
        )
        bundle = find_bundle(model, models_folder(), paths=True)
        found += systems_of(bundle, base, _once(options.mapper) or ("auto",), labels)
    return tuple(found)


def _write(out: Path, words: str, found: dict[str, Any], draw: Callable[[], list[Path]]) -> list[str]:
    """Tables and pictures; their paths. Raises SaveError."""
    from ..server.train.pairs import write_whole

    try:
        write_whole(out / f"{REPORT}.md", words.encode())
        write_whole(out / f"{REPORT}.json", (json.dumps(found, indent=1) + "\n").encode())
        pictures = draw()
    except OSError as error:
        raise SaveError(
            f"The report could not be written to {out}; make room there, or choose another place with --out.",
            str(error),
        ) from error
    return [str(out / f"{REPORT}.md"), str(out / f"{REPORT}.json"), *map(str, pictures)]
