# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that ``footfall embed`` fills: configuration, shards, and the list of what was skipped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...addon.wire.errors import BadInput
from .checkpoints import differences, full_disk
from .films import Unusable
from .pairs import CONFIG, SHARD, SHARDS, Row, read_config, read_shard, write_shard, write_whole

SKIPPED = "skipped.jsonl"
SHARD_ROWS = 2048
SHARD_EVERY_S = 120.0  # what a kill may cost
KEPT = "The shards written before are whole; run it again to go on."


class Store:
    """The folder of shards: what is in it, and what is to go into the next."""

    def __init__(self, out: Path, config: dict[str, Any], again: bool) -> None:
        self._out = out
        self.files: set[str] = set()
        self.pairs = 0
        self.skipped: dict[str, dict[str, Any]] = {}
        self._rows: list[Row] = []
        self._clip: list[Tensor] = []
        self._clap: list[Tensor] = []
        self._begin(config)
        numbers = [self._read(path) for path in sorted(out.glob(SHARDS))]
        self._next = max(numbers, default=-1) + 1
        self._due = time.monotonic() + SHARD_EVERY_S
        if not again:
            self._read_skipped()

    def _begin(self, config: dict[str, Any]) -> None:
        """Raises BadInput if the folder holds embeddings of another kind."""
        if (self._out / CONFIG).exists():
            found = differences(read_config(self._out), config)
            if found:
                raise BadInput(
                    f"{self._out} holds embeddings of another kind ({'; '.join(found[:2])}); "
                    "choose another folder for --out.",
                    "\n".join(found),
                )
            return
        try:
            write_whole(self._out / CONFIG, (json.dumps(config, indent=2) + "\n").encode())
        except OSError as error:
            raise full_disk(self._out, error, "Nothing had been embedded yet.") from error

    def _read(self, path: Path) -> int:
        _, rows = read_shard(path)
        self.files |= {row.file for row in rows}
        self.pairs += len(rows)
        digits = path.stem.rpartition("-")[2]
        return int(digits) if digits.isdecimal() else -1

    def _read_skipped(self) -> None:
        path = self._out / SKIPPED
        if not path.is_file():
            return
        for line in path.read_text("utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # cut short by a kill: that file is tried again
                continue
            whole = isinstance(row, dict) and {"file", "reason", "said", "stamp"} <= row.keys()
            if whole and row["file"] not in self.files:  # embedded since, when it had changed
                self.skipped[row["file"]] = row

    def knows(self, name: str, stamp: list[int]) -> bool:
        """Whether the file is embedded, or was skipped and is still the same."""
        return name in self.files or self.skipped.get(name, {}).get("stamp") == stamp

    def skip(self, name: str, why: Unusable, stamp: list[int]) -> None:
        row = {"file": name, "reason": why.reason, "said": why.sentence, "detail": why.detail, "stamp": stamp}
        self.skipped[name] = row
        try:
            with (self._out / SKIPPED).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise full_disk(self._out / SKIPPED, error, KEPT) from error

    def add(self, clip: Tensor, clap: Tensor, rows: list[Row]) -> None:
        self._clip.append(clip.half())
        self._clap.append(clap.half())
        self._rows += rows
        self.skipped.pop(rows[0].file, None)
        if len(self._rows) >= SHARD_ROWS or time.monotonic() >= self._due:
            self.flush()

    def flush(self) -> None:
        """Writes the rows that wait. Raises SaveError."""
        if self._rows:
            path = self._out / SHARD.format(self._next)
            try:
                write_shard(path, torch.cat(self._clip), torch.cat(self._clap), self._rows)
            except OSError as error:
                raise full_disk(path, error, KEPT) from error
            self.files |= {row.file for row in self._rows}
            self.pairs += len(self._rows)
            self._next += 1
        self._rows, self._clip, self._clap = [], [], []
        self._due = time.monotonic() + SHARD_EVERY_S
