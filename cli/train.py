# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall train``: builds the synthetic world and trains one part of a bundle, or all of them.

What a run has reached is kept: the same command goes on where it stopped, after Ctrl-C, a kill or a full
disk. Under ``accelerate launch`` or ``torchrun`` the trainings share their batches between the processes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ..addon.folders import models_folder
from ..addon.options import Parser
from ..addon.wire.errors import BadInput, Cancelled, ModelMissing
from ..addon.wire.handshake import DEVICES
from .train_line import TrainLine, loss_words
from .work import add_work, work_folder

PRECISIONS = ("auto", "float32", "bf16", "fp16")
KINDS = ("sounds", "pictures")
TINY_STEPS = 8
WORLD, STARTER, CARD, SONIC = "world", "starter", "card", "clipsonic"


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
    "mapper": _mapper,
    "prior": _prior,
    "judge": _judge,
    "picture-vae": _picture_vae,
    "painter": _painter,
    "audiotoken": _audiotoken,
}
HELP = {
    WORLD: "build the synthetic world: sounds, pictures, words and hit times",
    "clip": "train what sees",
    "clap": "train what hears",
    "vae": "train what packs sound into latents",
    "vocoder": "train what makes waves of spectra",
    "audioldm": "train the diffusion network",
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
# What the starter is made of, in this order; the mapper comes in two kinds.
CHAIN: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("clip", {}),
    ("clap", {}),
    ("vae", {}),
    ("vocoder", {}),
    ("audioldm", {}),
    ("mapper", {"kind": "regression"}),
    ("mapper", {"kind": "generative"}),
    ("judge", {}),
    ("picture-vae", {}),
    ("painter", {}),
    ("audiotoken", {}),
    ("prior", {}),
)
# What CLIPSonic's bundle is made of. Parts that are there are left as they are.
SONIC_CHAIN = ("clip", "clap", "vae", "vocoder", "audioldm", "prior")


class _PartParser(Parser):
    """A parser whose last options stand in the part's own module, which is loaded when they are needed."""

    late: Callable[[], ModuleType] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        late, self.late = self.late, None
        if late is not None:
            add = getattr(late(), "add_arguments", None)
            if add is not None:
                add(self)
        return super().parse_known_args(args, namespace)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "train", help="build the synthetic world and train models", description=__doc__
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART", parser_class=_PartParser)
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


def run(options: argparse.Namespace) -> int:
    work = work_folder(options)
    first = os.environ.get("RANK", "0") == "0"  # of several processes one does the talking
    if options.part in (WORLD, STARTER, SONIC) and os.environ.get("WORLD_SIZE", "1") != "1":
        raise BadInput(
            f"footfall train {options.part} runs in one process; start it without accelerate launch."
        )
    began = time.monotonic()
    with TrainLine(quiet=options.json or not first) as line:
        if options.part == WORLD:
            report = _world(work, options, line)
        elif options.part == STARTER:
            report = _starter(work, options, line)
        elif options.part == SONIC:
            report = _clipsonic(work, options, line)
        elif options.part == CARD:
            report = _card(work, options, line)
        else:
            report = _part(options.part, work, options, line)
    report = {"ok": True, "part": options.part, "work": str(work), **report}
    report["run_s"] = round(time.monotonic() - began, 2)
    if options.json and first:
        print(json.dumps(report))
    return 0


def _world(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train.interrupts import interrupts
    from ..server.train.synth.world import FULL, TINY, build_world

    counts = dict(TINY if options.tiny else FULL) if not options.shots else {}
    counts |= dict(options.shots)
    kinds: Sequence[str] = [options.only] if options.only else KINDS
    with interrupts() as asked:
        made = build_world(
            work / WORLD, counts, workers=options.workers, kinds=kinds, stop=asked,
            progress=lambda at: line.show(f"world, {at.kind}", at.done, at.total, at.seconds_left),
        )  # fmt: skip
    if not made.done:
        raise Cancelled("Stopped; the shards that are whole are kept, run it again to go on.")
    line.say(f"world: {work / WORLD}, {sum(made.made.values())} made, {len(made.failed)} left out")
    return {"world": dataclasses.asdict(made)}


def _part(name: str, work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train.loop import train

    module = PARTS[name]()
    needs = getattr(module, "needs", lambda chosen: module.NEEDS)(options)
    _check_needs(name, needs, work, options)
    line.say(f"{name}: getting its data ready")
    task = module.task(work, options)
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


def _starter(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train import starter

    reports: dict[str, Any] = {WORLD: _world(work, options, line)["world"]}
    for name, chosen in CHAIN:
        report = _chained(name, chosen, work, options, line)
        reports[report["name"]] = report
    bundle = starter.assemble(work, work / STARTER)
    line.say(f"starter: {work / STARTER}, {bundle.size_bytes / 1e6:.1f} MB")
    return {"parts": reports, "bundle": str(work / STARTER), "bytes": bundle.size_bytes}


def _chained(
    name: str, chosen: Mapping[str, Any], work: Path, options: argparse.Namespace, line: TrainLine
) -> dict[str, Any]:
    """One part of several, with its own options as they are by themselves."""
    parser = _PartParser()
    parser.late = PARTS[name]
    own, _ = parser.parse_known_args([])
    return _part(name, work, argparse.Namespace(**{**vars(own), **vars(options), **chosen}), line)


def _clipsonic(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.models.bundle import find_bundle
    from ..server.train import clipsonic

    reports: dict[str, Any] = {}
    if not any((work / WORLD).glob("train-[0-9]*.tar")):
        reports[WORLD] = _world(work, options, line)["world"]
    for name in SONIC_CHAIN:
        own = clipsonic.NAMES[options.condition] if name == "audioldm" else name
        if not (work / own / "part").is_dir():
            reports[own] = _chained(name, {}, work, options, line)
    target = clipsonic.folder(work, options.condition)
    base = find_bundle(options.base, models_folder(), paths=True) if options.base else None
    bundle = clipsonic.assemble(work, target, options.condition, base)
    line.say(f"{bundle.name}: {target}, {bundle.size_bytes / 1e6:.1f} MB")
    return {"parts": reports, "bundle": str(target), "bytes": bundle.size_bytes}


def _card(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train.card import FILE, write_card

    bundle = write_card(work, work / STARTER, options.report or [work / "eval" / "report"])
    line.say(f"card: {bundle.root / FILE}")
    return {"card": str(bundle.root / FILE)}
