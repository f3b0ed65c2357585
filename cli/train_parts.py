# SPDX-License-Identifier: GPL-3.0-or-later
"""One part of a bundle: where its training is, what must be there before, and one run of it."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..addon.wire.errors import ModelMissing
from .train_line import TrainLine, loss_words

WORLD = "world"
TINY_STEPS = 8


def _clip() -> ModuleType:
    from ..server.train import clip

    return clip


def _clap() -> ModuleType:
    from ..server.train import clap

    return clap


def _vae() -> ModuleType:
    from ..server.train import vae

    return vae


def _vocoder() -> ModuleType:
    from ..server.train import vocoder

    return vocoder


def _audioldm() -> ModuleType:
    from ..server.train import audioldm

    return audioldm


def _decoder() -> ModuleType:
    from ..server.train import decoder

    return decoder


def _mapper() -> ModuleType:
    from ..server.train import mapper

    return mapper


def _judge() -> ModuleType:
    from ..server.train import judge

    return judge


def _picture_vae() -> ModuleType:
    from ..server.train import picture_vae

    return picture_vae


def _painter() -> ModuleType:
    from ..server.train import painter

    return painter


def _prior() -> ModuleType:
    from ..server.train import prior

    return prior


def _audiotoken() -> ModuleType:
    from ..server.train import audiotoken

    return audiotoken


# Each module has task(work, settings), DEFAULT_STEPS and NEEDS; the mapper's has add_arguments(parser) too.
PARTS: dict[str, Callable[[], ModuleType]] = {
    "clip": _clip,
    "clap": _clap,
    "vae": _vae,
    "vocoder": _vocoder,
    "audioldm": _audioldm,
    "decoder": _decoder,
    "mapper": _mapper,
    "prior": _prior,
    "judge": _judge,
    "picture-vae": _picture_vae,
    "painter": _painter,
    "audiotoken": _audiotoken,
}


def train_part(name: str, work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    """Trains until the part has as many steps as are asked for; what was made before counts.

    Raises ModelMissing, Cancelled, and what the part's own ``task`` raises.
    """
    from ..server.train.loop import train

    module = PARTS[name]()
    needs = getattr(module, "needs", lambda chosen: module.NEEDS)(options)
    _check_needs(name, needs, work, options)
    line.say(f"{name}: getting its data ready")
    task = module.task(work, argparse.Namespace(**vars(options), prepared=_preparing(name, line)))
    tiny_steps = min(module.DEFAULT_STEPS, getattr(module, "TINY_STEPS", TINY_STEPS))
    summary = train(
        task,
        work / task.name,
        steps=options.steps or (tiny_steps if options.tiny else module.DEFAULT_STEPS),
        device=options.device,
        precision=options.precision,
        save_every_s=options.save_every,
        progress=lambda at: line.show(at.name, at.step, at.steps, at.seconds_left, loss_words(at.losses)),
    )
    line.say(f"{task.name}: {summary.step} steps, {loss_words(summary.losses)}; {work / task.name / 'part'}")
    return dataclasses.asdict(summary) | {"losses": dict(summary.losses)}


def _preparing(name: str, line: TrainLine) -> Callable[[int, int], None]:
    """Shows how far the data is that is made before the first step."""
    began = time.monotonic()

    def show(done: int, of: int) -> None:
        line.show(f"{name}, its data", done, of, (time.monotonic() - began) * (of - done) / max(done, 1))

    return show


def _check_needs(name: str, needs: Sequence[str], work: Path, options: argparse.Namespace) -> None:
    """Raises ModelMissing, naming the command to run first. Data of one's own needs no world."""
    if getattr(options, "data", None) or getattr(options, "model", None):
        return
    for need in needs:
        found = (work / WORLD).glob("*-[0-9]*.tar") if need == WORLD else (work / need).glob("part")
        if not any(found):
            raise ModelMissing(
                f"{name} needs the {need}, which {work} lacks; run footfall train {need} first."
            )
