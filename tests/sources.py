# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree's Python files with their syntax trees, and what every rule about them needs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("addon", "cli", "server")
BLENDER = {
    *("aud", "bgl", "bl_operators", "bl_ui", "blf", "bmesh", "bpy", "bpy_extras", "bpy_types", "freestyle"),
    *("gpu", "gpu_extras", "idprop", "imbuf", "mathutils"),
}
HEAD = '# SPDX-License-Identifier: GPL-3.0-or-later\n"""Planted."""\n'


class Source(NamedTuple):
    """One Python file: its place below the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> tuple[str, ...]:
        """("addon", "wire", "codec"); a package is its folder, the root package is ()."""
        parts = Path(self.path).with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    @property
    def package(self) -> tuple[str, ...]:
        return self.module if self.path.endswith("__init__.py") else self.module[:-1]


def source(path: str, text: str) -> Source:
    return Source(path, text, ast.parse(text))


def files() -> list[Source]:
    paths = [ROOT / "__init__.py", *(p for part in PARTS for p in sorted((ROOT / part).rglob("*.py")))]
    return [source(p.relative_to(ROOT).as_posix(), p.read_text("utf-8")) for p in paths]


Rule = Callable[[Source], Iterable[str]]


def foreign_imports(file: Source) -> Iterator[tuple[str, ast.stmt]]:
    """Dotted names of absolute imports, wherever they stand."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)
