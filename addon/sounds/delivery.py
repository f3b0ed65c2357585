# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the IO thread when sound arrives: planned, written to disk, and its story told.

What comes out holds names, numbers and paths only, so it can wait as long as it must for its place.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..takes import joining, provenance
from ..takes.joining import Aim
from ..takes.provenance import Asked
from ..wire.errors import SaveError
from ..wire.messages import Result
from . import placement, save
from .placement import PlannedStrip, Shot
from .save import SaveTarget

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStrip:
    """A WAV on disk, the strip that it is to be, and that strip's story as JSON.

    aim: the strip whose takes it is to join, None for a strip of its own.
    """

    path: Path
    strip: PlannedStrip
    story: str
    aim: Aim | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A finished job's sound, every take of it. ``sentence``: where it was saved; ``warnings``: what else is
    to be known.
    """

    job_id: str
    shot: Shot
    strips: tuple[StoredStrip, ...]
    sentence: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def sounds(self) -> tuple[tuple[StoredStrip, ...], ...]:
        """The takes of each sound: together they are one strip, which plays the first."""
        takes: dict[tuple[str, int], list[StoredStrip]] = {}
        for item in self.strips:
            takes.setdefault(item.strip.sound, []).append(item)
        return tuple(tuple(items) for items in takes.values())


def deliver(result: Result, shot: Shot, asked: Asked, target: SaveTarget, aims: Sequence[Aim] = ()) -> Stored:
    """Write every clip of ``result``; those that are for strips which are there already (``aims``) so that
    they fit them. Raises BadInput, or SaveError after removing what it had written.
    """
    strips = joining.fitted(placement.plan(result, shot), aims, result, shot)
    written: list[StoredStrip] = []
    sentences = [target.sentence] if target.sentence else []
    try:
        for strip, aim in strips:
            clip = result.clips[strip.clip]
            name = save.file_name(result.job_id, strip.take, strip.layer, strip.index, clip.label)
            waveform = clip.waveform[strip.skip :]
            saved = save.write_clip(
                target, name, waveform, clip.rate_hz, lead=strip.lead, samples=strip.samples
            )
            story = provenance.story(strip.uuid, result, strip.clip, strip.index, asked)
            written.append(StoredStrip(path=saved.path, strip=strip, story=story.text(), aim=aim))
            if saved.sentence and saved.sentence not in sentences:
                sentences.append(saved.sentence)
    except SaveError:
        _remove(written)  # half a job helps nobody, and the sound itself is still in memory
        raise
    return Stored(
        job_id=result.job_id,
        shot=shot,
        strips=tuple(written),
        sentence=" ".join(sentences),
        warnings=result.warnings,
    )


def _remove(stored: list[StoredStrip]) -> None:
    for item in stored:
        try:
            item.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", item.path, error)
