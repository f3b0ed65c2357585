# SPDX-License-Identifier: GPL-3.0-or-later
"""The model bundles that the interface offers: what the worker says it has, or what lies in the models
folder.

The chosen bundle is stored by name, so a file keeps its choice on a machine that lacks the bundle.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...wire import limits
from .. import texts

STARTER = "starter"
SHIPPED = Path(__file__).resolve().parents[3] / "server" / STARTER / "bundle.toml"
FRESH_S = 5.0
HEAD_CHARACTERS = 64 * 1024
Item = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One bundle as the menu shows it."""

    name: str
    title: str
    licence: str = ""
    commercial: bool = False
    installed: bool = True
    makes: tuple[str, ...] = ("sound",)
    paints_sounds: bool = False
    queries: tuple[str, ...] = ()  # messages.CONDITIONS that it can be asked by; none: not known

    @property
    def note(self) -> str:
        """What an artist must know about the licence; "" if nothing."""
        if not self.licence:
            return ""
        return self.licence if self.commercial else f"{self.licence}, not for commercial work"


class _Memory:
    """Blender does not keep the texts of a dynamic enum alive; this does, for the current and the last
    list.
    """

    reported: tuple[Row, ...] = ()
    scanned: tuple[Row, ...] = ()
    folder: Path | None = None
    looked = 0.0
    items: list[Item] = []
    previous: list[Item] = []


_memory = _Memory()


def report(bundles: Sequence[Any]) -> None:
    """Take over the list of a worker's Ready (messages.BundleInfo)."""
    _memory.reported = tuple(
        Row(
            name=info.name,
            title=texts.clean(info.title or info.name, 60),
            licence=texts.clean(info.licence, 60),
            commercial=info.commercial,
            installed=info.installed,
            makes=info.makes,
            queries=info.queries,
            paints_sounds=info.paints_sounds,
        )
        for info in bundles
    )


def look_into(folder: Path) -> None:
    """Note now and then which bundles lie in ``folder``, so that one can be chosen before the worker runs."""
    now = time.monotonic()
    fresh = _memory.folder == folder and now - _memory.looked < FRESH_S
    if _memory.reported or fresh:
        return
    _memory.folder, _memory.looked = folder, now
    try:
        files = [SHIPPED, *sorted(folder.glob("*/bundle.toml"))][: limits.BUNDLES]
    except OSError:
        files = [SHIPPED]
    _memory.scanned = tuple(row for row in map(_read, files) if row is not None)


def forget() -> None:
    """Drop everything; the add-on is being disabled."""
    _memory.reported = _memory.scanned = ()
    _memory.folder = None
    _memory.items, _memory.previous = [], []


def rows() -> tuple[Row, ...]:
    """Every bundle known now; the starter comes first and is always there."""
    found = {row.name: row for row in (*_memory.scanned, *_memory.reported)}
    starter = found.pop(STARTER, Row(name=STARTER, title="Starter", licence="", commercial=True))
    return (starter, *found.values())


def find(name: str) -> Row:
    """The bundle ``name``, or a row that says it is not on this machine."""
    for row in rows():
        if row.name == name:
            return row
    return Row(name=name, title=texts.clean(name, 60), installed=False, commercial=True)


def queries_of(name: str, folder: Path | None = None) -> tuple[str, ...]:
    """What the bundle ``name`` can be asked by; nothing if that is not known. ``folder``: where it lies, if
    not in the models folder.
    """
    row = find(name) if folder is None else _read(folder / name / "bundle.toml")
    return () if row is None else row.queries


def enum_items(settings: Any, _context: Any) -> list[Item]:
    """Items of the bundle menu: what makes sound, and the chosen one even if it is not on this machine."""
    listed = [row for row in rows() if "sound" in row.makes]
    if settings.bundle_name and settings.bundle_name not in {row.name for row in listed}:
        listed.append(find(settings.bundle_name))
    items = [(row.name, _label(row), row.note or row.title, number) for number, row in enumerate(listed)]
    if items != _memory.items:
        _memory.previous, _memory.items = _memory.items, items
    return _memory.items


def get_selected(settings: Any) -> int:
    """Getter of the bundle enum: the position of the stored name."""
    names = [item[0] for item in enum_items(settings, None)]
    return names.index(settings.bundle_name) if settings.bundle_name in names else 0


def set_selected(settings: Any, number: int) -> None:
    """Setter of the bundle enum: stores the name."""
    items = enum_items(settings, None)
    settings.bundle_name = items[number][0] if 0 <= number < len(items) else STARTER


def _label(row: Row) -> str:
    return row.title if row.installed else f"{row.title} (not on this machine)"


def _read(file: Path) -> Row | None:
    try:
        with file.open(encoding="utf-8") as stream:
            head, _, files = stream.read(HEAD_CHARACTERS).partition("\n[")  # what follows lists every file
        card = tomllib.loads(head)
    except (OSError, ValueError):
        return None  # a damaged bundle: the worker names the fault when it is used
    made = {"sound": '"unet/', "pictures": '"pictures/unet/'}
    makes = tuple(kind for kind, part in made.items() if part in files)
    return Row(
        name=file.parent.name,
        title=texts.clean(str(card.get("title", file.parent.name)), 60),
        licence=texts.clean(str(card.get("licence", "")), 60),
        commercial=card.get("commercial") is True,
        makes=makes,
        paints_sounds='"pictures/embedder/' in files,
        queries=_queries(str(card.get("condition", "clap")), files) if "sound" in makes else (),
    )


def _queries(condition: str, files: str) -> tuple[str, ...]:
    """As the worker will say it once it runs."""
    ways = ("picture", "clap_text", "clip_text") if condition == "clap" else ("picture", "clip_text")
    return (*ways, "clip_text_prior") if '"text_prior/' in files else ways
