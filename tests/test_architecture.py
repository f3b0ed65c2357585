# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom: read from the syntax tree.

Imports inside functions count too. Every rule is shown a planted violation below, so none can go blind.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from footfall.tests.sources import BLENDER, HEAD, PARTS, ROOT, Rule, Source, files, foreign_imports, source

OURS = {"footfall", "bl_ext", *PARTS}
# Heavy: seconds to load, and not to be had in Blender's Python.
HEAVY = {
    *("accelerate", "diffusers", "laion_clap", "open_clip"),
    *("torch", "torchaudio", "torchvision", "transformers"),
}
IN_BLENDERS_PYTHON = {"numpy", "zmq"}  # what the extension brings or finds; nothing else is there
NOT_ON_THE_WIRE = {  # the protocol knows no clocks, threads or sockets
    *("asyncio", "concurrent", "datetime", "multiprocessing", "os", "pathlib", "queue", "select"),
    *("selectors", "signal", "socket", "ssl", "subprocess", "threading", "time"),
}
# The parts of the worker that answer while a model works, and so must live without it.
PLAIN = {"__main__", "control", "launch", "worker"}


def own_imports(file: Source) -> Iterator[tuple[tuple[str, ...], ast.stmt]]:
    """What relative imports reach, below the root; a name may be a module or only something in one."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.package[: len(file.package) - (node.level - 1)]
            base += tuple(node.module.split(".")) if node.module else ()
            yield from (((*base, alias.name), node) for alias in node.names)


def under(target: tuple[str, ...], *parents: tuple[str, ...]) -> bool:
    return any(target[: len(parent)] == parent for parent in parents)


WIRE, HOST = ("addon", "wire"), ("addon", "host")
# The synthetic pictures: Blender in a process of its own, without the models.
STAGE = ("server", "train", "synth", "stage")


def within_server(module: tuple[str, ...], target: tuple[str, ...]) -> bool:
    """The worker's own walls. ``module`` and ``target`` lie below server/."""
    here, there = module[1:2] or ("",), target[1:2] or ("",)
    to = there[0]
    if to == "__main__" and here[0] != to:
        return False
    if to == "train":
        return here[0] in {"train", "evaluation"}
    if to == "evaluation":
        return here[0] == "evaluation"
    if here[0] in {"sampling", "sound"}:
        return to == here[0]
    if here[0] == "models":
        return to in {"models", "sampling", "control"}
    if here[0] == "train":
        return to in {"models", "sampling", "sound", "control"}
    if here[0] in PLAIN:
        return to in PLAIN or (here[0], to) == ("__main__", "making")
    return to not in PLAIN or to == "control"


def allowed(module: tuple[str, ...], target: tuple[str, ...]) -> bool:
    """May ``module`` import ``target``? Both below the root package, which is ()."""
    if under(module, WIRE):
        return under(target, WIRE)
    if not under(target, *((part,) for part in PARTS)):
        return True  # the version, in the root
    if module == ():
        return target == ("addon",)
    if under(module, ("addon",)):
        to_host = under(target, HOST)
        return under(target, ("addon",)) and (not to_host or under(module, HOST) or module == ("addon",))
    if under(module, ("server",)):
        return under(target, WIRE) or (under(target, ("server",)) and within_server(module, target))
    return not under(target, HOST)  # cli


def import_walls(file: Source) -> Iterator[str]:
    for target, node in own_imports(file):
        if not allowed(file.module, target):
            yield f"{file.path}:{node.lineno} reaches into {'/'.join(target)}"


def imports_of_ours_are_relative(file: Source) -> Iterator[str]:
    for name, node in foreign_imports(file):
        if name.split(".")[0] in OURS:
            yield f"{file.path}:{node.lineno} imports {name} by its absolute name"


def third_parties(file: Source) -> Iterator[str]:
    in_host, in_wire = under(file.module, HOST), under(file.module, WIRE)
    plain = file.module[:1] == ("server",) and file.module[1:2] != () and file.module[1] in PLAIN
    for name, node in foreign_imports(file):
        top = name.split(".")[0]
        here = f"{file.path}:{node.lineno}"
        on_stage = under(file.module, STAGE)
        if top in BLENDER and not (in_host or on_stage):
            yield f"{here} imports {name} outside addon/host and the stage"
        if top in HEAVY and (file.module[:1] != ("server",) or plain or on_stage):
            yield f"{here} imports {name}, which belongs to the worker's models"
        known = top in sys.stdlib_module_names or top in BLENDER | HEAVY | OURS
        if in_wire and (top in NOT_ON_THE_WIRE or not (known or top == "numpy")):
            yield f"{here} imports {name} on the wire"
        if file.module[:1] in {("addon",), ()} and not (known or top in IN_BLENDERS_PYTHON):
            yield f"{here} imports {name}, which Blender's Python may not have"


def when_imported(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Statements that run when the module is imported; not those under ``if TYPE_CHECKING``."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from when_imported(node.orelse)
            continue
        yield node
        yield from when_imported(ast.iter_child_nodes(node))


def zmq_is_loaded_late(file: Source) -> Iterator[str]:
    """Loaded on enabling, its library could not be replaced by an update on Windows (R20)."""
    if file.module[:1] not in {("addon",), ()}:
        return
    at_import = {id(node) for node in when_imported(file.tree.body)}
    for name, node in foreign_imports(file):
        if name.split(".")[0] == "zmq" and id(node) in at_import:
            yield f"{file.path}:{node.lineno} imports zmq when it is imported itself"


RULES: list[Rule] = [import_walls, imports_of_ours_are_relative, third_parties, zmq_is_loaded_late]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    assert not [violation for file in files() for violation in rule(file)]


def test_jobs_hold_nothing_of_blender() -> None:
    """R13: jobs outlive undo and file loads, which references into Blender do not."""
    jobs = next(file for file in files() if file.path == "addon/jobs.py")
    assert not {name for name, _ in foreign_imports(jobs)} & BLENDER
    assert "bpy" not in {node.id for node in ast.walk(jobs.tree) if isinstance(node, ast.Name)}


def packages_in_the_tree() -> set[str]:
    folders = {Path(file.path).parent for file in files()}
    return {".".join(("footfall", *folder.parts)) for folder in folders}


def test_pyproject_lists_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == packages_in_the_tree()


def test_every_folder_with_code_is_a_package() -> None:
    folders = {Path(file.path).parent for file in files()}
    assert not [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()]


# Each rule meets what it is for, and something close by that is fine. --------------------------------------

PLANTED: list[tuple[Rule, str, str]] = [
    (import_walls, "addon/wire/codec.py", "from .. import jobs"),
    (import_walls, "addon/wire/codec.py", "from ... import __version__"),
    (import_walls, "addon/wire/__init__.py", "from ..host import pump"),
    (import_walls, "addon/worker/client.py", "from ..host import pump"),
    (import_walls, "addon/jobs.py", "from . import host"),
    (import_walls, "addon/worker/client.py", "def f():\n    from ...server import engine"),
    (import_walls, "addon/host/pump.py", "from ...server import control"),
    (import_walls, "addon/host/pump.py", "from ...cli import demo"),
    (import_walls, "server/worker/engine.py", "from ...addon import client"),
    (import_walls, "server/worker/engine.py", "from ...addon.host import pump"),
    (import_walls, "server/worker/engine.py", "from ...cli import demo"),
    (import_walls, "server/worker/engine.py", "from ..making.pipeline import FoleyPipeline"),
    (import_walls, "server/worker/engine.py", "from .. import models"),
    (import_walls, "server/worker/transport.py", "from ..sampling import solvers"),
    (import_walls, "server/making/pipeline.py", "from ..worker.engine import Engine"),
    (import_walls, "server/models/clip.py", "from ..making.pipeline import FoleyPipeline"),
    (import_walls, "server/models/clip.py", "from .. import sound"),
    (import_walls, "server/sampling/solvers.py", "from ..models import clip"),
    (import_walls, "server/sampling/solvers.py", "from ..control import JobControl"),
    (import_walls, "server/sound/layers.py", "from ..sampling import windows"),
    (import_walls, "server/making/pipeline.py", "from ..train import loops"),
    (import_walls, "cli/demo.py", "from ..addon.host import pump"),
    (import_walls, "__init__.py", "from . import server"),
    (imports_of_ours_are_relative, "server/worker/engine.py", "import footfall.addon.wire"),
    (imports_of_ours_are_relative, "server/worker/engine.py", "from footfall import addon"),
    (imports_of_ours_are_relative, "addon/worker/client.py", "from addon.wire import codec"),
    (imports_of_ours_are_relative, "addon/worker/client.py", "import bl_ext.user_default.footfall"),
    (third_parties, "addon/worker/client.py", "import bpy"),
    (third_parties, "addon/worker/client.py", "def f():\n    from bpy.app import timers"),
    (third_parties, "addon/__init__.py", "import mathutils"),
    (third_parties, "server/making/pipeline.py", "import bpy"),
    (third_parties, "cli/demo.py", "import bpy"),
    (third_parties, "cli/demo.py", "import torch.nn as nn"),
    (third_parties, "addon/host/pump.py", "from torch import nn"),
    (third_parties, "addon/shots/frames.py", "import transformers"),
    (third_parties, "server/worker/engine.py", "import torch"),
    (third_parties, "server/__main__.py", "def f():\n    import diffusers"),
    (third_parties, "addon/wire/codec.py", "import zmq"),
    (third_parties, "addon/wire/codec.py", "import msgpack"),
    (third_parties, "addon/wire/liveness.py", "import time"),
    (third_parties, "addon/wire/auth.py", "from threading import Lock"),
    (third_parties, "addon/folders.py", "import platformdirs"),
    (third_parties, "__init__.py", "import rich"),
    (zmq_is_loaded_late, "addon/worker/client.py", "import zmq"),
    (
        zmq_is_loaded_late,
        "addon/worker/client.py",
        "try:\n    from zmq import Context\nexcept ImportError:\n    raise",
    ),
    (zmq_is_loaded_late, "addon/host/pump.py", "class A:\n    import zmq.auth"),
]
FINE: list[tuple[str, str]] = [
    (
        "addon/wire/codec.py",
        "import json\nimport numpy as np\nfrom . import limits\nfrom .errors import WireError",
    ),
    ("addon/worker/client.py", "def f():\n    import zmq"),
    ("addon/worker/client.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import zmq"),
    ("addon/worker/client.py", "from ..wire import codec\nfrom ... import __version__"),
    ("addon/__init__.py", "def register():\n    from .host import registration"),
    ("addon/host/pump.py", "import bpy\nfrom mathutils import Vector\nfrom ..client import JobClient"),
    ("server/worker/transport.py", "import zmq\nfrom ...addon.wire import codec\nfrom .engine import Engine"),
    ("server/__main__.py", "def f():\n    from .making.pipeline import FoleyPipeline"),
    (
        "server/making/pipeline.py",
        "import torch\nfrom ..control import JobControl\nfrom ..models import clip\nfrom .. import sound",
    ),
    ("server/train/loops.py", "from ..models import clip\nfrom ..sound import layers"),
    ("cli/demo.py", "from ..addon import options\nfrom ..server.models import registry\nimport rich"),
    ("__init__.py", "def register():\n    from . import addon"),
]


@pytest.mark.parametrize(
    ("rule", "path", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_planted_violation_is_found(rule: Rule, path: str, text: str) -> None:
    assert list(rule(source(path, HEAD + text)))


@pytest.mark.parametrize(("path", "text"), FINE)
def test_what_is_fine_passes_every_rule(path: str, text: str) -> None:
    assert not [violation for rule in RULES for violation in rule(source(path, HEAD + text + "\n"))]


def test_every_rule_meets_a_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)


def test_the_walk_sees_the_tree() -> None:
    """Guards the rules against an empty list of files."""
    paths = {file.path for file in files()}
    assert {"__init__.py", "addon/wire/codec.py", "addon/host/__init__.py", "server/control.py"} <= paths


def test_the_wire_names_its_modules() -> None:
    from footfall.addon import wire

    modules = {file.module[-1] for file in files() if file.module[:2] == WIRE and file.module != WIRE}
    assert list(wire.__all__) == sorted(modules)


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, footfall.addon.wire; print(*{'numpy', 'bpy', 'zmq', 'json'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == ""
