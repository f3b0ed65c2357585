# SPDX-License-Identifier: GPL-3.0-or-later
"""``log.jsonl``: one JSON object for each logged step. After a kill it is cut back to where the state is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checkpoints import full_disk

NAME = "log.jsonl"
_KEPT = "The training's state is whole."


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``folder``/log.jsonl that can be read; a line cut short by a kill is left out."""
    path = folder / NAME
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


class Journal:
    """Writes the log of one training. Raises SaveError."""

    def __init__(self, folder: Path, step: int) -> None:
        """``step``: where the training goes on; what the log says of later steps will be done again."""
        self._path = folder / NAME
        rows = [row for row in read_log(folder) if row["step"] <= step]
        part = self._path.with_suffix(".part")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            part.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
            os.replace(part, self._path)
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise full_disk(self._path, error, _KEPT) from error

    def add(self, row: Mapping[str, Any]) -> None:
        try:
            self._file.write(f"{json.dumps(row)}\n")
            self._file.flush()
        except OSError as error:
            raise full_disk(self._path, error, _KEPT) from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:  # what was left in its buffer
            raise full_disk(self._path, error, _KEPT) from error
