# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: settings of the sound under a name, as JSON files that people read, write and share. No bpy.

    {"footfall_preset": 1, "name": "Exterior rain", "about": "...", "settings": {"background": "rain"}}

A preset holds what a sound is to be like, never the shot, the seed or the model. What it does not name stays,
but for the background: a prompt without one, as in files of before there was any, leaves none. Reading is
strict, and says in one sentence what is wrong and where: people write these by hand.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .whole_file import whole_file
from .wire import strict_json
from .wire.errors import BadInput, SaveError, WireError
from .wire.fields import Incoming
from .wire.limits import NAME
from .wire.messages import FoleyRequest

KEY = "footfall_preset"
VERSION = 1
MOST_BYTES = 64 * 1024
MOST_FILES = 500
SHIPPED = Path(__file__).parent / "presets"
# Fields of FoleyRequest, in the order in which a file lists them.
SETTINGS = (
    *("prompt", "negative_prompt", "background", "nudge", "condition", "quality", "mapper", "layers"),
    *("spots_as", "least_strength", "duck_db", "in_sync", "hard_cuts", "loop", "pulls"),
)
_SPECS = {f.name: f.metadata["spec"] for f in dataclasses.fields(FoleyRequest) if f.name in SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """``settings``: fields of FoleyRequest, those of SETTINGS that it names. ``path``: "" while unsaved."""

    name: str
    about: str = ""
    settings: Mapping[str, Any]
    path: Path | None = None

    def text(self) -> str:
        """As a file, to be read by people too."""
        settings = {n: _SPECS[n].pack(self.settings[n], []) for n in SETTINGS if n in self.settings}
        plain = {KEY: VERSION, "name": self.name, "about": self.about, "settings": settings}
        return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"


def read(text: bytes, where: str, path: Path | None = None) -> Preset:
    """The preset in ``text``; ``where`` names it in sentences. Raises BadInput."""
    try:
        plain = strict_json.loads(text, most_bytes=MOST_BYTES, most_depth=8)
    except WireError as error:
        raise BadInput(
            f"{where} is not readable as JSON; check its commas and quotes.", error.detail
        ) from error
    if not isinstance(plain, dict) or type(plain.get(KEY)) is not int:
        raise BadInput(f"{where} is no preset: it has to begin with “{KEY}”: {VERSION}.")
    if plain[KEY] > VERSION:
        raise BadInput(f"{where} was written for a later Footfall; update Footfall to use it.")
    _only(plain, (KEY, "name", "about", "settings"), where)
    name, about, settings = plain.get("name"), plain.get("about", ""), plain.get("settings")
    if not isinstance(name, str) or not name.strip() or len(name) > NAME:
        raise BadInput(f"{where} needs a “name” of at most {NAME} characters.")
    if not isinstance(about, str) or len(about) > 1_000:
        raise BadInput(f"“about” in {where} has to be a text of at most 1000 characters.")
    if not isinstance(settings, dict) or not settings:
        raise BadInput(f"{where} needs “settings” with at least one of: {', '.join(SETTINGS)}.")
    _only(settings, SETTINGS, where)
    return Preset(name=name.strip(), about=about.strip(), settings=_checked(settings, where), path=path)


def _only(plain: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    unknown = [name for name in plain if name not in known]
    if unknown:
        raise BadInput(
            f"“{unknown[0][:60]}” in {where} is nothing that a preset has; it knows {', '.join(known)}."
        )


def _checked(settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    found = {}
    for name, value in settings.items():
        try:
            found[name] = _SPECS[name].unpack(name, value, Incoming())
            _SPECS[name].check(name, found[name])
        except WireError as error:
            raise BadInput(f"In {where}: {error.sentence}") from error
    if "prompt" in found:  # words for all that is heard; a background of before would keep the bed from them
        found.setdefault("background", "")
    if "layers" in found and (not found["layers"] or len(set(found["layers"])) != len(found["layers"])):
        raise BadInput(f"“layers” in {where} needs bed, spots or both, each once.")
    return found


def load(folder: Path) -> tuple[list[Preset], list[str]]:
    """The presets of a folder by name, and a sentence for each file that is none. No folder is no problem."""
    found, problems = [], []
    for path in sorted(folder.glob("*.json"))[:MOST_FILES]:
        try:
            found.append(load_file(path))
        except BadInput as error:
            problems.append(error.sentence)
    return sorted(found, key=lambda preset: preset.name.casefold()), problems


def load_file(path: Path) -> Preset:
    """The preset in a file. Raises BadInput."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadInput(f"{path.name} is too long for a preset.")
        return read(path.read_bytes(), path.name, path)
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read: {error.strerror or error}.") from error


def save(folder: Path, preset: Preset) -> Path:
    """Write ``preset`` as a file of its own name; one of that name is replaced. Raises SaveError."""
    path = _place(folder, preset.name)
    try:
        with whole_file(path) as temporary:
            temporary.write_text(preset.text(), "utf-8")
    except OSError as error:
        raise SaveError(f"The preset could not be written to {folder}: {error.strerror or error}.") from error
    return path


def _place(folder: Path, name: str) -> Path:
    """Names that differ in what a plain file name leaves out, such as all of 雨 and 風, are two presets."""
    plain = folder / file_name(name)
    own = plain.with_stem(f"{plain.stem}_{hashlib.sha256(name.encode()).hexdigest()[:8]}")
    if not own.is_file():
        try:
            if not plain.exists() or load_file(plain).name == name:
                return plain
        except BadInput:  # whatever it is, it is not ours to replace
            return own
    return own


def file_name(name: str) -> str:
    """``exterior_rain.json``: plain letters only, whatever the name is."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return (re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:60] or "preset") + ".json"


def of_settings(name: str, settings: Mapping[str, Any], about: str = "") -> Preset:
    """A preset from the settings of a request. Raises BadInput for a name that cannot be one."""
    if not name.strip() or len(name) > NAME:
        raise BadInput(f"A preset needs a name of at most {NAME} characters.")
    kept = {n: settings[n] for n in SETTINGS if n in settings}
    return Preset(name=name.strip(), about=about, settings=kept)
