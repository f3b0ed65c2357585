# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall models list|pull|verify|show|add|random``: the model bundles of this computer.

It prints what the functions in ``server/models`` find; ``--json`` prints one object on stdout and nothing
else.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..addon.folders import models_folder
from ..addon.options import bounded
from ..addon.wire import limits
from ..addon.wire.errors import ModelMissing
from ..addon.wire.messages import BundleInfo
from ..server.models import hub, registry
from ..server.models.bundle import Bundle
from ..server.models.bundle_parts import EMBEDDER
from ..server.models.finding import find_bundle, installed
from ..server.models.registry import Row
from .progress import ProgressLine

_YES = {"y", "yes"}


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("models", help="list, pull, verify, show and make model bundles")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="one object on stdout and nothing else")
    common.add_argument(
        "--models", type=Path, metavar="DIR", help="where the models are (else FOOTFALL_MODELS)"
    )

    actions.add_parser("list", parents=[common], help="what is here and what can be pulled")
    show = actions.add_parser("show", parents=[common], help="licence, parts and hashes of one model")
    show.add_argument("name", metavar="NAME|DIR")
    verify = actions.add_parser("verify", parents=[common], help="hash every file of a model anew")
    verify.add_argument("name", metavar="NAME|DIR", nargs="?", help="all that are here, if not given")
    pull = actions.add_parser("pull", parents=[common], help="get a public model, or go on getting it")
    pull.add_argument("name", metavar="NAME")
    pull.add_argument("--accept-licence", action="store_true", help="agree to a non-commercial licence")
    pull.add_argument(
        "--pin-on-first-use",
        action="store_true",
        help="take files that cannot be verified yet, and hold them to what arrived ever after",
    )
    pull.add_argument("--offline", action="store_true", help="only say what is missing")
    add = actions.add_parser("add", parents=[common], help="the prior of one model into another")
    add.add_argument("name", metavar="NAME|DIR", help="a model with a prior from words to pictures")
    add.add_argument("folder", metavar="DIR", type=Path, help="the model that gets it; it has the same CLIP")
    random = actions.add_parser(
        "random", parents=[common], help="a model of random numbers, to try a machine"
    )
    random.add_argument("name", metavar="NAME", help="layout: audioldm-s-full-v2, audioldm-m-full, ...")
    random.add_argument("folder", metavar="DIR", type=Path, help="a new folder")
    random.add_argument("--tiny", action="store_true", help="a few MB, for tests")
    random.add_argument("--mappers", action="store_true", help="mappers of every kind, too")
    random.add_argument("--seed", type=bounded(int, 0, limits.SEED), default=0, help="of the numbers (0)")


def run(options: argparse.Namespace) -> int:
    """Raises FootfallError, which the caller turns into a sentence and an exit code."""
    models_dir = options.models or models_folder()
    report = _ACTIONS[options.action](options, models_dir)
    if options.json:
        print(json.dumps({"ok": True, **report}))
    return 0


def _list(options: argparse.Namespace, models_dir: Path) -> dict[str, Any]:
    rows = installed(models_dir)
    if not options.json:
        width = max(len(row.name) for row in rows)
        for row in rows:
            state = "here" if row.installed else "to pull"
            use = "" if row.commercial else ", not for commercial use"
            print(
                f"{row.name:{width}}  {state:8} {_size(row.size_bytes):>8}  {row.title}, {_makes(row)}  "
                f"[{row.licence}{use}]"
            )
        print(f"Models are kept in {models_dir}")
    keys = ["name", "title", "licence", "commercial", "installed", "mappers", "size_bytes"]
    keys += ["makes", "queries", "paints_sounds"]
    return {"folder": str(models_dir), "models": [{key: getattr(row, key) for key in keys} for row in rows]}


def _makes(row: BundleInfo | Bundle) -> str:
    """In words, what it is good for."""
    return " and ".join(row.makes) or "a prior for another model"


def _show(options: argparse.Namespace, models_dir: Path) -> dict[str, Any]:
    row = registry.find(options.name)
    try:
        bundle = find_bundle(options.name, models_dir, paths=True)
    except ModelMissing:
        if row is None:
            raise
        return _show_row(row, options)
    if not options.json:
        for line in _lines(bundle):
            print(line)
    return _report(bundle)


def _show_row(row: Row, options: argparse.Namespace) -> dict[str, Any]:
    files = [(source, file) for source in row.sources for file in source.files]
    if not options.json:
        print(f"{row.title} ({row.name}), not on this machine, {_size(row.size_bytes)}")
        print(f"licence: {row.licence}{'' if row.commercial else ' (not for commercial use)'}")
        print(row.licence_text.strip())
        if not row.pinned:
            print(f"unpinned: {row.why_unpinned}")
        for source, file in files:
            print(f"  {file.to}  {source.repo}@{source.revision[:12]}  sha256 {file.sha256}")
    return {
        "name": row.name,
        "title": row.title,
        "installed": False,
        "licence": row.licence,
        "licence_text": row.licence_text.strip(),
        "commercial": row.commercial,
        "pinned": row.pinned,
        "why_unpinned": row.why_unpinned,
        "size_bytes": row.size_bytes,
        "files": {
            file.to: {
                "repo": source.repo,
                "revision": source.revision,
                "size": file.size,
                "sha256": file.sha256,
            }
            for source, file in files
        },
    }


def _verify(options: argparse.Namespace, models_dir: Path) -> dict[str, Any]:
    names = [options.name] if options.name else [row.name for row in installed(models_dir) if row.installed]
    with ProgressLine(options.json) as line:
        for name in names:
            bundle = find_bundle(name, models_dir, paths=True)
            _hash_all(bundle, line)
            if not options.json:
                print(
                    f"{bundle.title}: all {len(bundle.files)} files are as they should be ({bundle.sha256})"
                )
    return {"verified": names}


def _hash_all(bundle: Bundle, line: ProgressLine) -> None:
    done = 0

    def tick(count: int) -> None:
        nonlocal done
        done += count
        line.show("verifying", done / max(1, bundle.size_bytes))

    bundle.verify(tick)


def _pull(options: argparse.Namespace, models_dir: Path) -> dict[str, Any]:
    row = registry.find(options.name)
    here: dict[str, int] = {}

    with ProgressLine(options.json) as line:

        def progress(file: str, count: int, size: int) -> None:
            here[file] = count
            total = row.size_bytes if row else size
            line.show(file, min(1.0, sum(here.values()) / max(1, total)))

        how = hub.Pull(
            online=not options.offline,
            accept_licence=options.accept_licence,
            pin_on_first_use=options.pin_on_first_use,
            consent=None if options.json else _ask,
            progress=progress,
        )
        bundle = hub.pull(options.name, models_dir, how)
    pins = hub.pins(models_dir, options.name)
    if not options.json:
        print(f"{bundle.title} is in {bundle.root}")
        if pins:
            print("Pinned on first use; a later pull must bring the same:")
        for path, entry in sorted(pins.items()):
            print(f"  {path}  {entry.size}  sha256 {entry.sha256}")
    return {**_report(bundle), "pinned_on_first_use": {path: entry.sha256 for path, entry in pins.items()}}


def _ask(row: Row) -> bool:
    """Consent on a terminal; anywhere else nobody can answer, and silence is no consent."""
    if not sys.stdin.isatty():
        return False
    print(f"{row.title}: {row.licence}\n\n{row.licence_text.strip()}\n", file=sys.stderr)
    print("Do you agree? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in _YES


def _random(options: argparse.Namespace, models_dir: Path) -> dict[str, Any]:
    from ..server.models import prior_layout
    from ..server.models.random_bundle import write_random_bundle
    from ..server.models.random_mapper import KINDS, write_random_mapper
    from ..server.models.random_prior import write_random_prior

    chosen = {"seed": options.seed, "tiny": options.tiny}
    prior = options.name in prior_layout.NAMES
    with ProgressLine(options.json) as line:
        write = write_random_prior if prior else write_random_bundle
        write(options.name, options.folder, progress=line.show, **chosen)
        for kind in KINDS if options.mappers and not prior else ():
            line.show(kind, 1.0)
            write_random_mapper(options.folder, kind, options.seed, options.tiny)
    bundle = find_bundle(options.folder, models_dir)
    if not options.json:
        print(f"{bundle.title}, {_size(bundle.size_bytes)}, is in {bundle.root}. {bundle.note}")
    return _report(bundle)


def _add(options: argparse.Namespace, models_dir: Path) -> dict[str, Any]:
    from ..server.train.into import add_prior

    source = find_bundle(options.name, models_dir, paths=True)
    add_prior(source, options.folder.expanduser())
    bundle = find_bundle(options.folder, models_dir)
    if not options.json:
        print(f"{bundle.title} has the prior of {source.title} now.")
    return _report(bundle)


_ACTIONS = {"list": _list, "show": _show, "verify": _verify, "pull": _pull, "add": _add, "random": _random}


def _lines(bundle: Bundle) -> list[str]:
    flags = ["random numbers"] if bundle.random else []
    flags += [] if bundle.commercial else ["not for commercial use"]
    return [
        f"{bundle.title} ({bundle.name}) in {bundle.root}",
        f"licence: {bundle.licence}{' (' + ', '.join(flags) + ')' if flags else ''}",
        f"sampling rate: {bundle.sampling_rate} Hz, size: {_size(bundle.size_bytes)}, sha256 {bundle.sha256}",
        f"makes {_makes(bundle)}",
        *(
            f"{name}: {space.name}, {space.sha256}"
            for name, space in (("CLIP", bundle.clip_space), ("CLAP", bundle.clap_space))
            if space.sha256
        ),
        *([f"mappers: {', '.join(bundle.mappers)}"] if bundle.mappers else []),
        *([f"can be asked by: {', '.join(bundle.queries)}"] if bundle.queries else []),
        *([bundle.note] if bundle.note else []),
        *(f"  {path}  {entry.size}  sha256 {entry.sha256}" for path, entry in sorted(bundle.files.items())),
    ]


def _report(bundle: Bundle) -> dict[str, Any]:
    return {
        "name": bundle.name,
        "title": bundle.title,
        "installed": True,
        "folder": str(bundle.root),
        "licence": bundle.licence,
        "commercial": bundle.commercial,
        "random": bundle.random,
        "sha256": bundle.sha256,
        "sampling_rate": bundle.sampling_rate,
        "size_bytes": bundle.size_bytes,
        "mappers": list(bundle.mappers),
        "makes": list(bundle.makes),
        "queries": list(bundle.queries),
        "paints_sounds": bundle.has(EMBEDDER),
        "files": {path: {"size": entry.size, "sha256": entry.sha256} for path, entry in bundle.files.items()},
    }


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
