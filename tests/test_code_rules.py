# SPDX-License-Identifier: GPL-3.0-or-later
"""What is never called, where everything may be caught, and how every file begins: read from the syntax tree.

Every rule is shown a planted violation below, so none can go blind.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from footfall.tests.sources import HEAD, Rule, Source, files, foreign_imports, source

BANNED_MODULES = {"_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
BANNED_CALLS = {
    *("numpy.load", "torch.load", "torch.hub.load", "torch.jit.load", "torch.serialization.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("os.system", "os.popen", "builtins.eval", "builtins.exec"),
}
BANNED_ATTRIBUTES = {"recv_pyobj", "send_pyobj"}
BY_NAME = {
    *("__import__", "importlib.__import__", "importlib.import_module"),
    *("runpy.run_module", "runpy.run_path"),
}
# The library's own files are private to who made them: save_weights, which calls it, is for all others.
SAVES, MAY_SAVE = "safetensors.torch.save_file", {"server/models/weights.py"}
# Names put together at run time: the launcher's own package, and the doctor's list of packages.
MAY_IMPORT_BY_NAME = {"server/launch.py", "addon/host/commands/bootstrap.py", "cli/doctor.py"}

# The roots of threads, of the timer, of a job and of the process. A broad handler anywhere else hides a bug.
ROOTS = {
    "addon/worker/client.py:_IoThread._run",
    "addon/worker/client.py:_IoThread._serve",
    "addon/host/commands/run.py:run",
    "addon/host/pump.py:tick",
    "cli/__main__.py:main",
    "server/__main__.py:main",
    "server/worker/engine.py:Engine._main",
    "server/worker/engine.py:Engine._run",
}


# Calls --------------------------------------------------------------------------------------------------


def known_as(file: Source) -> dict[str, str]:
    """Local names of imported things: {"np": "numpy", "read": "torch.load"}."""
    names = {"eval": "builtins.eval", "exec": "builtins.exec"}
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """The full name of ``a.b.c``, through the file's imports; empty for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def banned_calls(file: Source) -> Iterator[str]:
    names = known_as(file)
    for name, node in foreign_imports(file):
        if name.split(".")[0] in BANNED_MODULES:
            yield f"{file.path}:{node.lineno} imports {name}"
    for node in ast.walk(file.tree):
        found = ""
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted(node, names)
            by_name = name in BY_NAME and file.path not in MAY_IMPORT_BY_NAME
            private = name == SAVES and file.path not in MAY_SAVE
            if name in BANNED_CALLS or by_name or private or getattr(node, "attr", "") in BANNED_ATTRIBUTES:
                found = name or node.attr  # type: ignore[union-attr]
        elif isinstance(node, ast.keyword):
            value = node.value.value if isinstance(node.value, ast.Constant) else "something"
            if node.arg == "trust_remote_code" or (
                node.arg in {"shell", "allow_pickle"} and value is not False
            ):
                found = node.arg
        elif isinstance(node, ast.Constant) and node.value == "trust_remote_code":
            found = str(node.value)
        if found:
            yield f"{file.path}:{node.lineno} uses {found}"  # type: ignore[attr-defined]


MAY_OVERRIDE = {"addon/host/override.py", "addon/host/sounds/strips.py"}  # the latter calls no operator


def overrides_alone(file: Source) -> Iterator[str]:
    """Operators under temp_override crash Blender while another thread runs Python; ``alone`` prevents it."""
    for node in ast.walk(file.tree):
        if getattr(node, "attr", "") == "temp_override" and file.path not in MAY_OVERRIDE:
            yield f"{file.path}:{node.lineno} overrides the context without override.alone"  # type: ignore[attr-defined]


# Exceptions ---------------------------------------------------------------------------------------------

BROAD = {"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"}


def with_names(tree: ast.AST, around: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """Every node with the qualified name of the function around it."""
    for node in ast.iter_child_nodes(tree):
        yield ".".join(around), node
        inner = (
            (*around, node.name)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            else around
        )
        yield from with_names(node, inner)


def is_broad(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(k is None or dotted(k, {}) in BROAD for k in kinds)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """It only tidies up: the last statement lets the exception go on."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def logs_a_traceback(handler: ast.ExceptHandler) -> bool:
    calls = [node.func for node in ast.walk(handler) if isinstance(node, ast.Call)]
    return any(
        isinstance(f, ast.Attribute) and f.attr in {"exception", "format_exc", "print_exc"} for f in calls
    )


def suppresses_everything(call: ast.Call) -> bool:
    return dotted(call.func, {}).split(".")[-1] == "suppress" and any(map(is_broad, call.args))


def broad_handlers(file: Source) -> Iterator[str]:
    for around, node in with_names(file.tree):
        if isinstance(node, ast.Call) and suppresses_everything(node):
            yield f"{file.path}:{node.lineno} suppresses everything"
        if not isinstance(node, ast.ExceptHandler):
            continue
        here = f"{file.path}:{node.lineno}"
        if all(isinstance(s, ast.Pass) or ast.unparse(s) == "..." for s in node.body):
            yield f"{here} swallows an error; contextlib.suppress says it on purpose"
        if node.type is None:
            yield f"{here} has a bare except"
        elif is_broad(node.type) and not raises_again(node):
            if f"{file.path}:{around}" not in ROOTS:
                yield f"{here} catches everything in {around or 'the module'}, which is no root"
            elif not logs_a_traceback(node):
                yield f"{here} catches everything without logging the traceback"


def has_the_licence_line(file: Source) -> Iterator[str]:
    if not file.text.startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n"):
        yield f"{file.path} does not begin with the SPDX line"


def says_what_it_owns(file: Source) -> Iterator[str]:
    if not ast.get_docstring(file.tree):
        yield f"{file.path} has no docstring"


RULES: list[Rule] = [banned_calls, broad_handlers, overrides_alone, has_the_licence_line, says_what_it_owns]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Rule) -> None:
    assert not [violation for file in files() for violation in rule(file)]


def test_the_roots_exist() -> None:
    """A name that is gone would let a new broad handler in under it."""
    handlers = {
        f"{file.path}:{around}"
        for file in files()
        for around, node in with_names(file.tree)
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type)
    }
    assert handlers >= ROOTS


# Each rule meets what it is for, and something close by that is fine. --------------------------------------

PLANTED: list[tuple[Rule, str, str]] = [
    (banned_calls, "server/worker/engine.py", "import pickle"),
    (banned_calls, "server/worker/engine.py", "def f():\n    from pickle import loads"),
    (banned_calls, "server/worker/engine.py", "import marshal as m"),
    (banned_calls, "server/worker/engine.py", "import shelve"),
    (banned_calls, "server/worker/engine.py", "socket.recv_pyobj()"),
    (banned_calls, "server/worker/engine.py", "self.sockets[0].send_pyobj(1)"),
    (banned_calls, "server/worker/engine.py", "eval('1')"),
    (banned_calls, "server/worker/engine.py", "run = exec"),
    (banned_calls, "server/worker/engine.py", "import builtins\nbuiltins.eval('1')"),
    (banned_calls, "server/worker/engine.py", "import numpy as np\nnp.load('x')"),
    (banned_calls, "server/worker/engine.py", "from numpy import load as read\nread('x')"),
    (banned_calls, "server/models/clip.py", "import torch\ntorch.load('x', weights_only=True)"),
    (banned_calls, "server/models/clip.py", "from torch import hub\nhub.load('x')"),
    (banned_calls, "server/models/clip.py", "from safetensors.torch import save_file\nsave_file(t, 'x')"),
    (banned_calls, "server/models/clip.py", "import yaml\nyaml.load(f)"),
    (banned_calls, "server/models/clip.py", "f(trust_remote_code=False)"),
    (banned_calls, "server/models/clip.py", "options = {'trust_remote_code': True}"),
    (banned_calls, "server/models/clip.py", "f(allow_pickle=flag)"),
    (banned_calls, "addon/worker/client.py", "import subprocess\nsubprocess.run('ls', shell=True)"),
    (banned_calls, "addon/worker/client.py", "import os\nos.system('ls')"),
    (banned_calls, "addon/worker/client.py", "__import__('bpy')"),
    (banned_calls, "addon/worker/client.py", "from importlib import import_module\nimport_module('bpy')"),
    (broad_handlers, "addon/jobs.py", "try:\n    f()\nexcept Exception:\n    log.exception('x')"),
    (broad_handlers, "addon/jobs.py", "try:\n    f()\nexcept (ValueError, BaseException):\n    g()"),
    (broad_handlers, "addon/jobs.py", "try:\n    f()\nexcept:\n    raise"),
    (broad_handlers, "addon/jobs.py", "try:\n    f()\nexcept ValueError:\n    pass"),
    (broad_handlers, "addon/jobs.py", "try:\n    f()\nexcept ValueError:\n    ..."),
    (broad_handlers, "addon/jobs.py", "import contextlib\nwith contextlib.suppress(Exception):\n    f()"),
    (
        overrides_alone,
        "addon/host/sounds/mixdown.py",
        "import bpy\nwith bpy.context.temp_override(scene=s):\n    f()",
    ),
    (
        broad_handlers,
        "addon/jobs.py",
        "from contextlib import suppress\nwith suppress(OSError, Exception):\n    f()",
    ),
    (
        broad_handlers,
        "addon/host/pump.py",
        "def tick():\n    try:\n        f()\n    except Exception:\n        g()",
    ),
    (
        broad_handlers,
        "addon/host/pump.py",
        "def other():\n    try:\n        f()\n    except Exception:\n        log.exception('x')",
    ),
    (has_the_licence_line, "addon/jobs.py", ""),
    (says_what_it_owns, "addon/jobs.py", "x = 1"),
]
FINE: list[tuple[str, str]] = [
    ("server/models/clip.py", "import torch\nmodel.eval()\nnet.load(x)\nfrom .bundle import Bundle"),
    ("addon/jobs.py", "try:\n    f()\nexcept BaseException:\n    g()\n    raise"),
    ("addon/jobs.py", "import contextlib\nwith contextlib.suppress(OSError):\n    f()"),
    (
        "addon/host/pump.py",
        "def tick():\n    try:\n        f()\n    except Exception:\n        log.exception('x')",
    ),
    ("addon/worker/client.py", "import subprocess\nsubprocess.run(['ls'], shell=False)"),
]


@pytest.mark.parametrize(
    ("rule", "path", "text"), PLANTED, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_planted_violation_is_found(rule: Rule, path: str, text: str) -> None:
    head = {has_the_licence_line: "", says_what_it_owns: HEAD.splitlines()[0] + "\n"}.get(rule, HEAD)
    assert list(rule(source(path, head + text)))


@pytest.mark.parametrize(("path", "text"), FINE)
def test_what_is_fine_passes_every_rule(path: str, text: str) -> None:
    assert not [violation for rule in RULES for violation in rule(source(path, HEAD + text + "\n"))]


def test_every_rule_meets_a_violation() -> None:
    assert {rule for rule, _, _ in PLANTED} == set(RULES)
