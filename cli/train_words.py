# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of ``footfall train``: a parser for each part, and for what is made of several."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ..addon.options import Parser
from ..addon.wire.handshake import DEVICES
from .train_parts import PARTS, WORLD
from .work import add_work

STARTER, SONIC, CARD = "starter", "clipsonic", "card"
KINDS = ("sounds", "pictures")
PRECISIONS = ("auto", "float32", "bf16", "fp16")
HELP = {
    WORLD: "build the synthetic world: sounds, pictures, words and hit times",
    "clip": "train what sees",
    "clap": "train what hears",
    "vae": "train what packs sound into latents",
    "vocoder": "train what makes waves of spectra",
    "audioldm": "train the diffusion network",
    "decoder": "train the VAE's decoder on what the diffusion network makes",
    "mapper": "train the V2A-Mapper, from pictures to sounds",
    "prior": "train the prior, from words to pictures",
    "judge": "train the classifier that judges sounds",
    "picture-vae": "train what packs pictures into latents",
    "painter": "train what makes pictures of words",
    "audiotoken": "train what makes words for the painter out of sounds",
    STARTER: "all of it, one after the other, and seal the starter bundle",
    SONIC: "train on frames alone, and seal a bundle that makes sound of words through CLIP",
    CARD: "write the starter's card, from its logs and the report of footfall eval",
}


class PartParser(Parser):
    """A parser whose last options stand in the part's own module, which is loaded when they are needed."""

    late: Callable[[], ModuleType] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        late, self.late = self.late, None
        if late is not None:
            add = getattr(late(), "add_arguments", None)
            if add is not None:
                add(self)
        return super().parse_known_args(args, namespace)


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Every PART with its options."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART", parser_class=PartParser)
    for name, words in HELP.items():
        one = parts.add_parser(name, help=words, description=f"{words[:1].upper()}{words[1:]}.")
        add_work(one)
        one.add_argument("--tiny", action="store_true", help="everything small: a test of the whole chain")
        one.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        if name in (WORLD, STARTER, SONIC):
            _world_options(one)
        if name == SONIC:
            one.add_argument(
                "--condition", choices=("clip", "clip_text"), default="clip",
                help="learn from frames alone, or from words, to compare (clip)",
            )  # fmt: skip
            one.add_argument(
                "--base", metavar="NAME|DIR", help="take the other parts from this model, as: starter"
            )
        if name == CARD:
            one.add_argument(
                "--report", type=Path, action="append", metavar="DIR",
                help="of footfall eval, can be given again (WORK/eval/report)",
            )  # fmt: skip
        elif name != WORLD:
            _training_options(one)
        one.late = PARTS.get(name)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 100,000,000")
    return value


_count.__name__ = "whole number"


def _shots(text: str) -> tuple[str, int]:
    split, _, count = text.partition("=")
    return split, _count(count)


_shots.__name__ = "SPLIT=N"


def _world_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers", type=_count, default=os.cpu_count() or 1, metavar="N", help="processes side by side"
    )
    parser.add_argument("--only", choices=KINDS, help="sounds alone, or the pictures to sounds alone")
    parser.add_argument(
        "--shots", type=_shots, action="append", default=[], metavar="SPLIT=N",
        help="how many of a split (train, judge, scene, combo); can be given again",
    )  # fmt: skip


def _training_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=_count, metavar="N", help="in all, those made before included")
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where to compute (default auto)")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of the arithmetic (auto)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of weights and batches (default 0)")
    parser.add_argument(
        "--save-every", type=_count, default=120, metavar="S", help="seconds between saves (default 120)"
    )
