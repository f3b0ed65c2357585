# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the synthetic world: shards of sounds first, pictures beside them, in processes side by side.

Every shard is a pure function of its split and its number, so what exists is kept and only the rest is made:
a build that was killed goes on, and a larger world takes in the smaller one.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from ....addon.wire.errors import BadInput
from ..shards import shard_name, write_frames
from ..tar_walk import members
from .families import family
from .shard_process import Crew, Line
from .shot import SECONDS, SPLITS, Shot
from .shot_json import shot_fields
from .shots import make_shot

log = logging.getLogger(__name__)

FULL: Mapping[str, int] = {"train": 46 * 150, "judge": 46 * 40, "scene": 46 * 8, "combo": 200}
TINY: Mapping[str, int] = {"train": 12, "judge": 12, "scene": 6, "combo": 4}
PER_SHARD = 230
FRAMES = {"train": 4, "scene": 8, "combo": 8}  # of each shot that can be seen; the judge only listens
KINDS = ("sounds", "pictures")
_PACKAGE = __package__ or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldProgress:
    """``done`` of ``total`` shots of this run, all kinds together; ``seconds_left``: None until known."""

    kind: str
    done: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSummary:
    """``made``: shots of each kind; ``failed``: what was left out and why; ``done``: nothing is missing."""

    made: Mapping[str, int]
    failed: tuple[str, ...]
    seconds: float
    done: bool


@dataclass(frozen=True, slots=True)
class _Shard:
    """``numbers`` of ``split`` in the file ``path``, sounds or pictures."""

    kind: str
    split: str
    numbers: range
    path: Path


def shot_key(split: str, number: int) -> str:
    """The key that ``make_shot`` gives, without making the shot."""
    return f"{split}-{number:06d}"


def frame_times(shot: Shot) -> tuple[float, ...]:
    """Seconds at which a shot is pictured: the middles of equal spans; () if it cannot be seen."""
    count = FRAMES.get(shot.split, 0) if family(shot.family).seen else 0
    return tuple(round((n + 0.5) / count * SECONDS, 6) for n in range(count))


def build_world(
    folder: Path,
    counts: Mapping[str, int] = FULL,
    *,
    workers: int = 2,
    kinds: Sequence[str] = KINDS,
    per_shard: int = PER_SHARD,
    progress: Callable[[WorldProgress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> WorldSummary:
    """Makes the shards that ``folder`` lacks, of ``counts`` shots of each split; every kind in turn.

    Raises BadInput (numbers that make no world, or pictures without Blender's module), SaveError (a full
    disk). ``stop``: asked several times a second; true ends the processes and returns with ``done`` false.
    """
    if not set(counts) <= set(SPLITS) or not set(kinds) <= set(KINDS) or per_shard < 1 or workers < 1:
        raise BadInput("Such a world cannot be built; name known splits and kinds, and count from 1.")
    wanted = [shard for kind in KINDS if kind in kinds for shard in _plan(folder, kind, counts, per_shard)]
    build = _Build([shard for shard in wanted if not _is_there(shard)], progress)
    began = time.monotonic()
    halt = stop or (lambda: False)
    done = True
    for kind in KINDS:
        crew = Crew(workers, halt)
        jobs = [_job(build, crew, shard) for shard in build.shards if shard.kind == kind]
        done = done and not halt() and crew.run(jobs)
    return WorldSummary(
        made=dict(build.made), failed=tuple(build.failed), seconds=time.monotonic() - began, done=done
    )


def _plan(folder: Path, kind: str, counts: Mapping[str, int], per_shard: int) -> list[_Shard]:
    frames = kind == "pictures"
    return [
        _Shard(
            kind, split, range(first, min(first + per_shard, count)),
            folder / shard_name(split, first // per_shard, frames),
        )
        for split, count in counts.items()
        if not frames or split in FRAMES
        for first in range(0, count, per_shard)
    ]  # fmt: skip


def _expected(shard: _Shard) -> set[str]:
    """The names of all files that a shard should hold."""
    if shard.kind == "sounds":
        keys = (shot_key(shard.split, number) for number in shard.numbers)
        return {f"{key}.{end}" for key in keys for end in ("json", "flac")}
    shots = [make_shot(shard.split, number) for number in shard.numbers]
    return {f"{shot.key}.{n}.jpg" for shot in shots for n in range(len(frame_times(shot)))}


def _is_there(shard: _Shard) -> bool:
    """Whether the shard is whole. Shots that failed when it was made are tried again."""
    found: set[str] = set()
    damage: list[str] = []
    try:
        found.update(member.name for member in members(shard.path, damage.append))
    except FileNotFoundError:
        return False
    for sentence in damage:
        log.warning("%s; it is made again", sentence)
    return not damage and _expected(shard) <= found


def _shots(shard: _Shard) -> int:
    """How many shots a shard will hold if none fails."""
    if shard.kind == "sounds":
        return len(shard.numbers)
    return sum(bool(frame_times(make_shot(shard.split, number))) for number in shard.numbers)


def _job(build: _Build, crew: Crew, shard: _Shard) -> Callable[[], None]:
    return lambda: build.make(crew, shard)


@dataclass(slots=True)
class _Build:
    """What one run makes; its methods may be called from several threads."""

    shards: list[_Shard]
    progress: Callable[[WorldProgress], None] | None
    made: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    failed: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _began: dict[str, float] = field(default_factory=dict)
    _total: dict[str, int] = field(default_factory=dict)

    def make(self, crew: Crew, shard: _Shard) -> None:
        """Makes one shard. Raises SaveError, BadInput."""
        with self._lock:
            self._began.setdefault(shard.kind, time.monotonic())
        if shard.kind == "sounds":
            first, count = shard.numbers.start, len(shard.numbers)
            words = ["--split", shard.split, "--first", str(first), "--count", str(count)]
            self._run(crew, shard, "sound_shard", [*words, "--out", str(shard.path)])
        else:
            self._pictures(crew, shard)

    def _run(self, crew: Crew, shard: _Shard, module: str, words: Sequence[str]) -> None:
        command = [sys.executable, "-m", f"{_PACKAGE}.{module}", *words]
        crew.command(command, lambda line: self._said(shard, line), str(shard.path))

    def _pictures(self, crew: Crew, shard: _Shard) -> None:
        """The stage puts its pictures into a folder, which outlives a kill; then they become a shard."""
        folder = shard.path.with_suffix(".pictures")
        shots = [shot for n in shard.numbers if frame_times(shot := make_shot(shard.split, n))]
        jobs = [{"shot": shot_fields(shot), "times_s": frame_times(shot)} for shot in shots]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jobs.json").write_text(json.dumps(jobs), "utf-8")
        if jobs:
            self._run(crew, shard, "stage", ["--jobs", str(folder / "jobs.json"), "--out", str(folder)])
        rows = []
        for shot in shots:
            paths = [folder / f"{shot.key}.{n}.jpg" for n in range(len(frame_times(shot)))]
            if all(path.is_file() for path in paths):
                rows.append((shot.key, [path.read_bytes() for path in paths]))
        write_frames(shard.path, rows)
        shutil.rmtree(folder, ignore_errors=True)

    def _said(self, shard: _Shard, line: Line) -> None:
        """A line of a process: one more shot."""
        if not isinstance(line.get("key"), str):
            return
        with self._lock:
            if line.get("failed"):
                self.failed.append(f"{line['key']} ({shard.kind}): {line['failed']}")
                log.warning("left out: %s", self.failed[-1])
            self.made[shard.kind] += not line.get("failed")
            if self.progress is not None:
                self.progress(self._told(shard.kind))

    def _told(self, kind: str) -> WorldProgress:
        if kind not in self._total:
            self._total[kind] = sum(_shots(shard) for shard in self.shards if shard.kind == kind)
        total = self._total[kind]
        done = self.made[kind] + sum(f"({kind})" in words for words in self.failed)
        spent = time.monotonic() - self._began[kind]
        left = spent / done * (total - done) if done else None
        return WorldProgress(kind=kind, done=done, total=total, seconds_left=left)
