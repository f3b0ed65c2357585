# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound from words alone, for what no picture shows: which way the words go to the model. No bpy.

A model is asked by CLAP's reading of the words, by CLIP's, or by what a prior says CLIP would see where they
hold; not every model can be asked in every way.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from .wire import limits
from .wire.errors import BadInput, WrongUsage
from .wire.texts import FORBIDDEN

SOURCE = "words"  # in place of a source of pictures
THROUGH = {
    "clap": "clap_text",
    "clip": "clip_text",
    "prior": "clip_text_prior",
}  # way -> FoleyRequest.condition
BEST_FIRST = ("clap_text", "clip_text_prior", "clip_text")
LENGTH_S = 5.0  # of a sound to which nothing is seen


def condition(through: str, queries: Sequence[str]) -> str:
    """The condition of a request. ``through``: ``auto`` or one of THROUGH; ``queries``: what the model can be
    asked by, as far as that is known.
    """
    if through in THROUGH:
        return THROUGH[through]
    return next((name for name in BEST_FIRST if name in queries), BEST_FIRST[0])


def through(asked_by: str) -> str:
    """The way that a request's condition stands for; ``auto`` for the picture."""
    return next((way for way, name in THROUGH.items() if name == asked_by), "auto")


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--text`` and how it is read."""
    group = parser.add_argument_group("words only")
    group.add_argument(
        "--text", metavar="TEXT", help="what is heard, by these words alone; no picture is looked at"
    )
    group.add_argument(
        "--words-through",
        choices=("auto", *THROUGH),
        default="auto",
        help="how the model reads them: by CLAP, by CLIP, or by CLIP and a prior from words to pictures "
        "(auto: the best that it knows)",
    )


def is_asked(options: argparse.Namespace) -> bool:
    """Whether words alone are to be heard."""
    return getattr(options, "text", None) is not None


def settings(options: argparse.Namespace, queries: Sequence[str]) -> dict[str, Any]:
    """The fields of FoleyRequest that ``--text`` stands for. Raises WrongUsage, BadInput."""
    if options.prompt or options.condition != "picture":
        raise WrongUsage("--text stands alone; leave out --prompt and --condition.")
    if options.background and "spots" not in options.layers:
        raise WrongUsage("--text says what the bed is; leave out --background, or add spots to --layers.")
    words = options.text.strip()
    if not words:
        raise BadInput("--text is empty; write what is to be heard.")
    if len(words) > limits.PROMPT:
        raise BadInput(f"--text is too long: at most {limits.PROMPT} characters fit; say it more shortly.")
    if FORBIDDEN.search(words):
        raise BadInput("--text holds control characters, or is not UTF-8; write it in plain text.")
    return {"prompt": words, "condition": condition(options.words_through, queries)}
