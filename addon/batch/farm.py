# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm job's folder on a shared disk: the list of its shots, and for each a request and later a result.

::

    farm.json          which shots of which file, in order
    0001.request       what the worker is asked, pictures included (message_file.py)
    0001.result        what it answered

Capture writes the list and the requests, generate a result for each request, place reads the results. Every
file appears whole, so any step can be done again at any time, and a shot that has its result is done. No bpy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..whole_file import whole_file
from ..wire.errors import BadInput, SaveError
from ..wire.messages import Result, Submit
from . import message_file

LIST = "farm.json"
VERSION = 1
MOST_BYTES = 16 * 1024**2
LONGEST_FACT = 300  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmShot:
    """One shot, from 1. ``job_id`` names its request: a result of an older one is no result.

    ``facts``: what its strips' stories are to say of where its pictures and hits came from, so that another
    take is made in the same way.
    """

    number: int
    key: str
    name: str
    job_id: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Farm:
    """``file``: name of the .blend; ``shots`` in the order of the file."""

    folder: Path
    file: str
    shots: tuple[FarmShot, ...]

    def request_path(self, shot: FarmShot) -> Path:
        return self.folder / f"{shot.number:04}.request"

    def result_path(self, shot: FarmShot) -> Path:
        return self.folder / f"{shot.number:04}.result"

    def request(self, shot: FarmShot) -> Submit:
        """Raises BadInput."""
        message = message_file.read(self.request_path(shot))
        if not isinstance(message, Submit) or message.job_id != shot.job_id:
            raise BadInput(
                f"The request of shot {shot.number} ({shot.name}) is another one's; capture again."
            )
        return message

    def result(self, shot: FarmShot) -> Result | None:
        """None when there is none for this request. Raises BadInput for a damaged one."""
        if not self.result_path(shot).is_file():
            return None
        message = message_file.read(self.result_path(shot))
        return message if isinstance(message, Result) and message.job_id == shot.job_id else None


def write_list(folder: Path, file: str, shots: Sequence[FarmShot]) -> Farm:
    """The list, in place of any older one. Raises SaveError."""
    plain = {"footfall": VERSION, "file": file, "shots": [asdict(shot) for shot in shots]}
    try:
        with whole_file(folder / LIST) as temporary:
            temporary.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    except OSError as error:
        sentence = f"{folder / LIST} could not be written; is its folder there, and not full?"
        raise SaveError(sentence, str(error)) from error
    return Farm(folder, file, tuple(shots))


def read_list(folder: Path) -> Farm:
    """Raises BadInput."""
    path = folder / LIST
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise BadInput(f"{path} is too large for a list of shots; capture the file again.")
        plain = json.loads(data.decode())
    except OSError as error:
        raise BadInput(
            f"{folder} holds no farm job; make one with footfall farm capture FILE.blend --to {folder}.",
            str(error),
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is damaged; capture the file again.", str(error)) from error
    try:
        return _farm(folder, plain)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is no list of this version; capture the file again.", str(error)) from error


def _farm(folder: Path, plain: Any) -> Farm:
    if plain["footfall"] != VERSION or not isinstance(plain["file"], str):
        raise ValueError("another version")
    shots = tuple(FarmShot(**shot) for shot in plain["shots"])
    for number, shot in enumerate(shots, start=1):
        if shot.number != number or not all(isinstance(t, str) for t in (shot.key, shot.name, shot.job_id)):
            raise ValueError(f"shot {number}")
        if not isinstance(shot.facts, dict) or not all(map(_is_fact, shot.facts.values())):
            raise ValueError(f"facts of shot {number}")
    return Farm(folder, plain["file"], shots)


def _is_fact(value: Any) -> bool:
    """Whether a strip's story can hold it."""
    finite = isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return finite and len(str(value)) <= LONGEST_FACT


def chosen(farm: Farm, numbers: str) -> list[FarmShot]:
    """The shots of ``numbers`` ("3", "2-5,9"; "" for all); numbers beyond the last are none.

    Raises BadInput.
    """
    if not numbers:
        return list(farm.shots)
    wanted: set[int] = set()
    for part in numbers.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 20:
            raise BadInput(f"--shot takes numbers, as 3 or 2-5,9, not {part[:40]!r}.")
        low, high = int(first), int(last or first)
        wanted.update(shot.number for shot in farm.shots if low <= shot.number <= high)
    return [shot for shot in farm.shots if shot.number in wanted]
