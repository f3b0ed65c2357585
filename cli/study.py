# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall study``: the paper's study of mappers, with the mappers and held-out pairs that are here.

Either a training's folder (its held-out shots), or a model and the embeddings made with it. ``--prior``: of
the prior from words to pictures instead, in a training's folder. ``--json`` prints one object on stdout and
nothing else; tables and pictures go into ``--out``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..addon.folders import models_folder
from ..addon.wire.errors import BadInput
from ..addon.wire.handshake import DEVICES
from .progress import ProgressLine
from .work import add_work, work_folder

SPLITS = ("scene", "combo")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("study", help="mappers compared: gap, frames, steps, guidance")
    add_work(parser)
    parser.add_argument("--split", choices=SPLITS, default="scene", help="of its held-out shots (scene)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="embeddings of footfall embed instead")
    parser.add_argument("--model", metavar="NAME|DIR", help="a model's mappers instead of the work folder's")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="where the models are (else FOOTFALL_MODELS)"
    )
    parser.add_argument("--prior", action="store_true", help="the prior from words to pictures instead")
    parser.add_argument("--out", type=Path, metavar="DIR", required=True, help="a folder for the report")
    parser.add_argument("--pairs", type=int, default=400, help="held-out pairs to look at, at most (400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--json", action="store_true", help="one object on stdout and nothing else")


def run(options: argparse.Namespace) -> int:
    """Raises FootfallError, which the caller turns into a sentence and an exit code."""
    if options.pairs < 2:
        raise BadInput("The study needs at least two pairs.")
    if options.prior:
        return _prior(options)
    from ..server.models.device import pick_device
    from ..server.models.finding import find_bundle
    from ..server.train.pairs import read_pairs
    from ..server.train.study import Scope, study, work_mappers
    from ..server.train.world_pairs import world_pairs

    work = work_folder(options)
    home = work
    if options.model:
        home = find_bundle(options.model, options.models or models_folder(), paths=True).root
    with ProgressLine(options.json) as line:
        line.show("reading", 0.0)
        pairs = read_pairs(options.data).parted()[1] if options.data else world_pairs(work, options.split)
        mappers = work_mappers(home, pairs, pick_device(options.device))
        report = study(pairs, mappers, options.out, Scope(most=options.pairs, seed=options.seed), line.show)
    if options.json:
        print(json.dumps({"ok": True, "out": str(options.out), **report}))
    else:
        print((options.out / "study.md").read_text("utf-8"))
    return 0


def _prior(options: argparse.Namespace) -> int:
    if options.data or options.model:
        raise BadInput("The study of the prior is made in a training's folder; leave out --data and --model.")
    from ..server.train.prior import captioned
    from ..server.train.prior_study import study_prior, work_prior
    from ..server.train.world_pairs import TRAIN

    work = work_folder(options)
    with ProgressLine(options.json) as line:
        line.show("reading", 0.0)
        prior = work_prior(work)
        learnt, held_out = captioned(work, TRAIN), captioned(work, options.split)
        report = study_prior(
            prior, learnt, held_out.some(options.pairs), options.out, seed=options.seed, told=line.show
        )
    if options.json:
        print(json.dumps({"ok": True, "out": str(options.out), **report}))
    else:
        print((options.out / "prior.md").read_text("utf-8"))
    return 0
