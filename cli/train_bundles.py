# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``footfall train`` makes beyond one part: the world, the starter, CLIPSonic's bundle, the card."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..addon.folders import models_folder
from ..addon.wire.errors import Cancelled
from .train_line import TrainLine
from .train_parts import PARTS, WORLD, train_part
from .train_words import KINDS, STARTER, PartParser

# What the starter is made of, in this order; the mapper comes in two kinds.
CHAIN: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("clip", {}),
    ("clap", {}),
    ("vae", {}),
    ("vocoder", {}),
    ("audioldm", {}),
    ("decoder", {}),
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


def build_world(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train.interrupts import interrupts
    from ..server.train.synth import world

    counts = dict(world.TINY if options.tiny else world.FULL) if not options.shots else {}
    counts |= dict(options.shots)
    kinds: Sequence[str] = [options.only] if options.only else KINDS
    with interrupts() as asked:
        made = world.build_world(
            work / WORLD, counts, workers=options.workers, kinds=kinds, stop=asked,
            progress=lambda at: line.show(f"world, {at.kind}", at.done, at.total, at.seconds_left),
        )  # fmt: skip
    if not made.done:
        raise Cancelled("Stopped; the shards that are whole are kept, run it again to go on.")
    line.say(f"world: {work / WORLD}, {sum(made.made.values())} made, {len(made.failed)} left out")
    return {"world": dataclasses.asdict(made)}


def make_starter(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train import starter

    reports: dict[str, Any] = {WORLD: build_world(work, options, line)["world"]}
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
    parser = PartParser()
    parser.late = PARTS[name]
    own, _ = parser.parse_known_args([])
    return train_part(name, work, argparse.Namespace(**{**vars(own), **vars(options), **chosen}), line)


def make_clipsonic(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.models.finding import find_bundle
    from ..server.train import clipsonic

    reports: dict[str, Any] = {}
    if not any((work / WORLD).glob("train-[0-9]*.tar")):
        reports[WORLD] = build_world(work, options, line)["world"]
    for name in SONIC_CHAIN:
        own = clipsonic.NAMES[options.condition] if name == "audioldm" else name
        if not (work / own / "part").is_dir():
            reports[own] = _chained(name, {}, work, options, line)
    target = clipsonic.folder(work, options.condition)
    base = find_bundle(options.base, models_folder(), paths=True) if options.base else None
    bundle = clipsonic.assemble(work, target, options.condition, base)
    line.say(f"{bundle.name}: {target}, {bundle.size_bytes / 1e6:.1f} MB")
    return {"parts": reports, "bundle": str(target), "bytes": bundle.size_bytes}


def make_card(work: Path, options: argparse.Namespace, line: TrainLine) -> dict[str, Any]:
    from ..server.train.card import FILE, write_card

    bundle = write_card(work, work / STARTER, options.report or [work / "eval" / "report"])
    line.say(f"card: {bundle.root / FILE}")
    return {"card": str(bundle.root / FILE)}
