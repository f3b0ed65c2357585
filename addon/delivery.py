# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the IO thread when sound arrives: planned, written to disk, and its story told.

What comes out holds names, numbers and paths only, so it can wait as long as it must for its place.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from . import placement, provenance, save
from .placement import PlannedStrip, Shot
from .provenance import Asked
from .save import SaveTarget
from .wire.errors import SaveError
from .wire.messages import Result

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStrip:
    """A WAV on disk, the strip that it is to be, and that strip's story as JSON."""

    path: Path
    strip: PlannedStrip
    story: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A finished job's sound. ``sentence``: where it was saved; ``warnings``: what else is to be known."""

    job_id: str
    shot: Shot
    strips: tuple[StoredStrip, ...]
    sentence: str = ""
    warnings: tuple[str, ...] = ()


def deliver(result: Result, shot: Shot, asked: Asked, target: SaveTarget) -> Stored:
    """Write every clip of ``result``. Raises BadInput, or SaveError after removing what it had written."""
    strips = placement.plan(result, shot)
    stored: list[StoredStrip] = []
    sentences = [target.sentence] if target.sentence else []
    try:
        for strip in strips:
            clip = result.clips[strip.clip]
            name = save.file_name(result.job_id, strip.take, strip.layer, strip.index, clip.label)
            saved = save.write_clip(
                target, name, clip.waveform, clip.rate_hz, lead=strip.lead, samples=strip.samples
            )
            story = provenance.story(strip.uuid, result, strip.clip, strip.index, asked)
            stored.append(StoredStrip(path=saved.path, strip=strip, story=story.text()))
            if saved.sentence and saved.sentence not in sentences:
                sentences.append(saved.sentence)
    except SaveError:
        _remove(stored)  # half a job helps nobody, and the sound itself is still in memory
        raise
    return Stored(
        job_id=result.job_id,
        shot=shot,
        strips=tuple(stored),
        sentence=" ".join(sentences),
        warnings=result.warnings,
    )


def _remove(stored: list[StoredStrip]) -> None:
    for item in stored:
        try:
            item.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", item.path, error)
