# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch is asked for: its options, and the jobs file that says more about files and single shots.

The values of a jobs file are read by the very parser that reads the command line, so both mean the same and
refuse the same. Whatever is wrong is one BadInput that names the place.
"""

from __future__ import annotations

import argparse
import difflib
import os
import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import options
from ..shots.listed import KINDS, own_words
from ..wire import limits
from ..wire.errors import BadInput, WrongUsage

OUT = "with_sound"  # beside the file
SHOTS = ("auto", *KINDS)
MOST_BYTES = 1_000_000
MOST_FILES = 1_000

_SWITCHES = ("in_sync", "hard_cuts", "loop")
_LISTS = {"layers": ",", "pull": ""}  # and what joins their parts; without: an option for each
_KEYS = (
    *(
        "prompt",
        "negative",
        "background",
        "nudge",
        "takes",
        "rank",
        "seed",
        "quality",
        "mapper",
        "condition",
        "layers",
        "events",
    ),
    *("threshold", "spots_as", "duck", "pull", "vary", "vary_seed", *_SWITCHES, "source", "per_second"),
)
_WORDS_ADD_UP = ("prompt", "negative", "background")
_FILE_ONLY = ("path", "out", "scene", "shots", "playblast")
_SHOT_ONLY = ("name", "skip")

JOBS_EXAMPLE = f"""\
background = "rain outside"   # shared by all files; a file and a shot may say otherwise
layers = ["bed", "spots"]

[[file]]
path = "A.blend"              # as it lies to the jobs file
shots = "markers"             # {", ".join(SHOTS)}
scene = "Edit"                # the scene to look for them (the active one)
out = "A_sound"               # folder for the result ({OUT}, beside the file)
playblast = "A.mp4"           # also write this film with the new sound

[[file.shot]]
name = "sh010"
prompt = "wet gravel"
background = "far thunder"    # words add up: shared, then the file's, then the shot's
seed = 5
[[file.shot]]
name = "sh020"
skip = true
"""
JOBS_HELP = f"""\
the jobs file (TOML):

{JOBS_EXAMPLE}
Wherever a prompt may stand, so may:
{textwrap.fill(", ".join(_KEYS[1:]), 78)}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileJob:
    """One .blend file. ``blend`` None: the one that is open; ``wanted``: what shots are asked for.

    ``by_shot``: the same for shots that have wishes of their own, by name; ``skip``: names to leave out.
    """

    blend: Path | None
    out: Path | None
    wanted: argparse.Namespace
    scene: str = ""
    shots: str = "auto"
    playblast: Path | None = None
    by_shot: Mapping[str, argparse.Namespace] = field(default_factory=dict)
    skip: frozenset[str] = frozenset()

    def asked(self, name: str) -> argparse.Namespace:
        """What the shot of this name is asked for."""
        return self.by_shot.get(name, self.wanted)

    @property
    def named(self) -> frozenset[str]:
        """Shots that the jobs file speaks of; they had better exist."""
        return frozenset(self.by_shot) | self.skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``batch``, in the shell and in Blender."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = JOBS_HELP
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.blend", help="files to give sound to")
    parser.add_argument("--jobs", type=Path, metavar="JOBS.toml", help="files and wishes; see below")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"where results go (default: {OUT}/ beside)")
    parser.add_argument("--shots", choices=SHOTS, default="auto", help="what is a shot (default auto)")
    parser.add_argument("--scene", default="", metavar="NAME", help="scene to find them in (the active one)")
    parser.add_argument(
        "--only",
        choices=("all", "failed", "changed", "again"),
        default="all",
        help="all that are not made yet (default), those that failed, those whose picture has changed "
        "since, or every one again",
    )
    parser.add_argument("--playblast", type=Path, metavar="FILM", help="also write this film with the sound")
    parser.add_argument("--source", choices=options.SOURCES, default="auto", help="where pictures come from")
    options.add_per_second(parser)
    parser.add_argument("--report", type=Path, metavar="FILE.json", help="also write the report here")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, nothing else")
    options.add_sound_options(parser)


def file_jobs(parsed: argparse.Namespace, *, open_file: bool = False) -> list[FileJob]:
    """The files that a command line asks for. ``open_file``: without any, the one that is open.

    Raises BadInput, WrongUsage.
    """
    plain = {} if parsed.jobs is None else _read(parsed.jobs)
    above = {name: value for name, value in plain.items() if name != "file"}
    where = "" if parsed.jobs is None else parsed.jobs.name
    _known(above, _KEYS, where)
    shared = _on_top(parsed, above, where)
    tables = plain.get("file", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"{where}: write files as [[file]], one after another.")
    jobs = [_file_job(table, f"{where}, file {number}", shared) for number, table in enumerate(tables, 1)]
    spoken_of = {job.blend for job in jobs}
    jobs += [_plain_job(path, shared) for path in map(_full, parsed.files) if path not in spoken_of]
    if not jobs and open_file:
        jobs = [_plain_job(None, shared)]
    if not jobs:
        raise WrongUsage("Name .blend files, or a jobs file that does; footfall batch --help shows one.")
    if parsed.playblast is not None and len(jobs) > 1:
        raise WrongUsage("--playblast is for one file; name those of several in a jobs file.")
    check_apart(jobs)
    return jobs


def check_apart(jobs: Sequence[FileJob]) -> None:
    """Raises BadInput where two results, or a result and its own source, would be one file."""
    seen: dict[Path, Path] = {}
    for job in jobs:
        if job.blend is None:
            continue
        result = result_path(job.blend, job.out)
        if result == job.blend:
            raise BadInput(f"The result would overwrite {job.blend}; choose another folder with --out.")
        if result in seen:
            raise BadInput(
                f"{seen[result]} and {job.blend} would both become {result}; choose a folder for each "
                "in a jobs file, or leave --out away."
            )
        seen[result] = job.blend


def result_path(blend: Path, out: Path | None) -> Path:
    """Where the copy of ``blend`` with its sound goes."""
    return (out or blend.parent / OUT) / blend.name


def _plain_job(path: Path | None, shared: argparse.Namespace) -> FileJob:
    return FileJob(
        blend=path,
        out=None if shared.out is None else _full(shared.out),
        wanted=shared,
        scene=shared.scene,
        shots=shared.shots,
        playblast=None if shared.playblast is None else _full(shared.playblast),
    )


def _file_job(table: Mapping[str, Any], where: str, shared: argparse.Namespace) -> FileJob:
    _known(table, (*_KEYS, *_FILE_ONLY, "shot"), where)
    folder = shared.jobs.resolve().parent
    texts = {name: _text(table[name], name, where) for name in _FILE_ONLY if name in table}
    if "path" not in texts:
        raise BadInput(f"{where} has no path; name its .blend file.")
    if texts.get("shots", "auto") not in SHOTS:
        raise BadInput(f"{where}: shots is one of {', '.join(SHOTS)}, not {texts['shots'][:60]!r}.")
    own = _on_top(shared, {name: value for name, value in table.items() if name in _KEYS}, where)
    shots, skip = _shots(table.get("shot", []), where, own)
    out = folder / texts["out"] if "out" in texts else shared.out
    return FileJob(
        blend=_full(folder / texts["path"]),
        out=None if out is None else _full(out),
        wanted=own,
        scene=texts.get("scene", shared.scene),
        shots=texts.get("shots", shared.shots),
        playblast=_full(folder / texts["playblast"]) if "playblast" in texts else None,
        by_shot=shots,
        skip=skip,
    )


def _shots(
    tables: Any, where: str, own: argparse.Namespace
) -> tuple[dict[str, argparse.Namespace], frozenset[str]]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadInput(f"{where}: write shots as [[file.shot]], one after another.")
    found: dict[str, argparse.Namespace] = {}
    skip = set()
    for number, table in enumerate(tables, start=1):
        here = f"{where}, shot {number}"
        _known(table, (*_KEYS, *_SHOT_ONLY), here)
        name = _text(table.get("name", ""), "name", here)
        if not name or name in found or name in skip:
            raise BadInput(f"{here} needs a name of its own.")
        if _switch(table.get("skip", False), "skip", here):
            skip.add(name)
        else:
            found[name] = _on_top(own, {key: value for key, value in table.items() if key in _KEYS}, here)
    return found, frozenset(skip)


def _on_top(below: argparse.Namespace, above: Mapping[str, Any], where: str) -> argparse.Namespace:
    """What is said above counts, words add up; all is read by the command line's parser. Raises BadInput."""
    parser = options.Parser(prog="footfall batch", add_help=False)
    options.add_sound_options(parser)
    options.add_per_second(parser)
    parser.add_argument("--source", choices=options.SOURCES, default="auto")
    switches = {name: _switch(above[name], name, where) for name in _SWITCHES if name in above}
    words = [
        f"--{name.replace('_', '-')}={word}"
        for name, value in above.items()
        if name not in switches
        for word in _words(value, name, where)
    ]
    try:
        merged = parser.parse_args(words, argparse.Namespace(**vars(below)))
    except WrongUsage as error:
        said = error.sentence.partition("; footfall batch --help")[0]
        raise BadInput(f"{where}: {said}.") from error
    for name in _WORDS_ADD_UP:
        if name in above:
            setattr(merged, name, own_words(getattr(below, name), getattr(merged, name))[: limits.PROMPT])
    for name, on in switches.items():
        setattr(merged, name, on)
    if merged.events is not None and not options.hit_source(merged):
        raise BadInput(
            f"{where or 'batch'}: the hits of one file cannot be given to many shots; events is one of "
            f"{', '.join(options.HITS)} here."
        )
    return merged


def _switch(value: Any, name: str, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{where}: {name} is true or false.")
    return value


def _words(value: Any, name: str, where: str) -> list[str]:
    """A value as words of a command line."""
    if name in _LISTS and isinstance(value, list):
        parts = [_words(part, "", where)[0] for part in value]
        return [_LISTS[name].join(parts)] if _LISTS[name] else parts
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"{where}: {name or 'a part of a list'} cannot be {str(value)[:60]!r}.")
    return [str(value)]


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:  # never more than that, whatever it is and says of its size
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadInput(f"{path} is too large for a jobs file; is it another file?")
        plain = tomllib.loads(data.decode("utf-8-sig"))
        _check_digits(plain)
    except OSError as error:
        raise BadInput(f"The jobs file {path} cannot be read; check its name.", str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} is no TOML: {str(error)[:200]}.") from error
    if isinstance(plain.get("file"), list) and len(plain["file"]) > MOST_FILES:
        raise BadInput(f"{path.name} names more than {MOST_FILES} files; make several jobs files of it.")
    return plain


def _check_digits(plain: Any) -> None:
    """Whole numbers are of 64 bits in TOML; Python would read longer ones, and refuse to show them.

    Raises ValueError.
    """
    if isinstance(plain, int) and plain.bit_length() > 63:
        raise ValueError("a number has too many digits")
    for part in plain.values() if isinstance(plain, dict) else plain if isinstance(plain, list) else ():
        _check_digits(part)


def _known(table: Mapping[str, Any], names: Iterable[str], where: str) -> None:
    known = list(names)
    for name in table:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
            raise BadInput(f"{where} knows no {name[:60]!r}; {hint}")


def _text(value: Any, name: str, where: str) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise BadInput(f"{where}: {name} is a text.")
    return value


def _full(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))
