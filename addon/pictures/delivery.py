# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the IO thread when pictures of a sound arrive: written to disk, and their story told.

What comes out holds names, numbers and paths only, so it can wait as long as it must for its place.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from ..sounds import save
from ..sounds.save import SaveTarget
from ..timeline import Rate, nearest
from ..wire.errors import SaveError
from ..wire.messages import PictureResult
from . import files as picture_files
from .story import AskedPictures, story

STRIPS, IMAGES = "strips", "images"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """Where pictures go. ``start_frame``: of the pictured sound's first sample; ``end``: the first frame
    after the strip; ``channel``: above which they go; ``kind``: STRIPS or IMAGES.
    """

    start_frame: Fraction
    end: int
    rate: Rate
    channel: int
    name: str
    kind: str = STRIPS


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPicture:
    """A PNG on disk and the strip that it is to be: from frame ``start`` up to ``end``."""

    path: Path
    name: str
    start: int
    end: int
    take: int
    uuid: str
    story: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPictures:
    """A finished job's pictures. ``sentence``: where they were saved; ``warnings``: what else to know."""

    job_id: str
    board: Board
    strips: tuple[StoredPicture, ...]
    sentence: str = ""
    warnings: tuple[str, ...] = ()


def deliver(result: PictureResult, board: Board, what: AskedPictures, target: SaveTarget) -> StoredPictures:
    """Write every picture of ``result``. Raises SaveError after removing what it had written."""
    written: list[StoredPicture] = []
    sentences = [target.sentence] if target.sentence else []
    edges = frames(board, what)
    try:
        for picture in result.pictures:
            uuid = _uuid(result.job_id, picture.span, picture.take)
            told = story(what, result, picture, uuid)
            name = save.picture_name(result.job_id, picture.span, picture.take, board.name)
            saved = save.write_picture(target, name, picture_files.octets(picture.pixels, told))
            start, end = edges[picture.span]
            written.append(
                StoredPicture(
                    path=saved.path,
                    name=_name(board.name, picture.span, len(edges), picture.take),
                    start=start,
                    end=end,
                    take=picture.take,
                    uuid=uuid,
                    story=told,
                )
            )
            if saved.sentence and saved.sentence not in sentences:
                sentences.append(saved.sentence)
    except SaveError:
        _remove(written)
        raise
    return StoredPictures(
        job_id=result.job_id,
        board=board,
        strips=tuple(written),
        sentence=" ".join(sentences),
        warnings=result.warnings,
    )


def frames(board: Board, what: AskedPictures) -> list[tuple[int, int]]:
    """(first frame, first frame after) of each part; they follow each other, each at least a frame long."""
    found = []
    before = None
    for number, (start_s, end_s) in enumerate(zip(what.starts_s, what.ends_s, strict=True)):
        start = nearest(board.start_frame + board.rate.frames(start_s)) if before is None else before
        last = number == len(what.starts_s) - 1
        end = board.end if last else nearest(board.start_frame + board.rate.frames(end_s))
        before = max(start + 1, end)
        found.append((start, before))
    return found


def _name(name: str, span: int, spans: int, take: int) -> str:
    number = f" {span + 1}" if spans > 1 else ""
    return f"{name}{number}" + (f" take {take + 1}" if take else "")


def _uuid(job_id: str, span: int, take: int) -> str:
    """The same for the same picture, so that placing a job twice adds nothing."""
    return hashlib.sha256(f"{job_id} {span} {take}".encode()).hexdigest()[:32]


def _remove(stored: list[StoredPicture]) -> None:
    for item in stored:
        try:
            item.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", item.path, error)
