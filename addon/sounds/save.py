# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds and pictures onto disk: which folder, which name, and a file that is either whole or not there.

Runs on the IO thread; never touches bpy. A file is written under a temporary name, flushed to the disk and
then renamed, so its final name never stands for half a sound; a name that exists is never reused. When a
folder fails (full, read-only, gone), the next place is tried, and the sentence that comes back says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..wire import limits
from ..wire.errors import SaveError
from ..wire.messages import LAYERS
from . import wav

FOLDER = "footfall"  # beside the .blend
FALLBACK = "sounds"  # below our own folder, for when nothing better can be written
JOB_DIGITS = 12  # of a job's id, in the names of its files
SLUG = 40  # characters of the label that a file name keeps
SAME_NAME = 1_000  # files of one name that are looked past
STALE_S = 24 * 3600.0  # a temporary file older than this was left by a crash

_TEMPORARY = re.compile(r"\.footfall-[0-9a-f]{16}\.part")
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "it may not be written to",
    errno.EPERM: "it may not be written to",
    errno.EROFS: "it is on a read-only disk",
    errno.ENOENT: "the folder is gone",
    errno.ENOTDIR: "it is not a folder",
    errno.ENAMETOOLONG: "the path is too long",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One folder. ``words``: where that is, for a sentence; ``parents``: may its parents be made?

    ``trusted``: named by the user or ours, so it may be a link; what merely lies beside a file may not.
    """

    folder: Path
    words: str = ""
    parents: bool = False
    trusted: bool = True

    def open(self) -> None:
        """Make the folder if need be. Raises OSError."""
        if not self.trusted and self.folder.is_symlink():
            raise OSError(0, "it is a link; if you mean it, name it in the preferences as output folder")
        try:
            self.folder.mkdir(parents=self.parents, exist_ok=True)
        except FileExistsError as error:  # "File exists" tells an artist nothing
            raise NotADirectoryError(errno.ENOTDIR, "it is not a folder") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveTarget:
    """The places that may be written to, best first. ``sentence``: which was chosen, and why not a better."""

    places: tuple[Place, ...]
    sentence: str = ""

    @property
    def folder(self) -> Path:
        return self.places[0].folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A file on disk. ``sentence``: empty, or why it lies in another folder than the one that was chosen."""

    path: Path
    sentence: str = ""


def choose_folder(blend_path: str, preference: str, fallback: Path, what: str = "sound") -> SaveTarget:
    """Where the sound (or ``what``) of a file goes.

    ``blend_path``: the .blend's full path, empty while it is unsaved; ``preference``: a folder that the user
    set, full or relative to the .blend (``//sound``), or empty for ``footfall`` beside the .blend;
    ``fallback``: a folder of our own, for when neither can be written. Raises SaveError when none can be.
    """
    places, doubts = _places(blend_path, preference.strip(), fallback)
    usable: list[Place] = []
    for place in places:
        try:
            _probe(place)
            usable.append(place)
        except OSError as error:
            if not usable:
                doubts.append(f"{place.folder} cannot be used: {_reason(error)}.")
    if not usable:
        raise SaveError(
            f"The {what} could not be saved anywhere. Choose an output folder that can be written to in the "
            "preferences, or make room on the disk.",
            " ".join(doubts),
        )
    chosen = f"The {what} is kept {usable[0].words}."
    return SaveTarget(places=tuple(usable), sentence=" ".join([*doubts, chosen]))


def _places(blend_path: str, preference: str, fallback: Path) -> tuple[list[Place], list[str]]:
    """The folders to try, best first, and what is to be said about those that drop out at once."""
    places: list[Place] = []
    doubts: list[str] = []
    beside = Path(blend_path).parent if blend_path else None
    if preference:
        folder, doubt = _preferred(preference, beside)
        if folder is not None:
            places.append(Place(folder=folder, words=f"in {folder}"))
        doubts += [doubt] if doubt else []
    if beside is not None:
        folder = beside / FOLDER
        places.append(Place(folder=folder, words=f"beside the file, in {folder}", trusted=False))
    elif not places:
        doubts.append("The file has not been saved yet; save it, and later sound is kept beside it.")
    places.append(Place(folder=fallback, words=f"in {fallback}", parents=True))
    return places, doubts


def _preferred(preference: str, beside: Path | None) -> tuple[Path | None, str]:
    if "\0" in preference:
        return None, "The output folder in the preferences is not a path."
    if preference.startswith("//"):
        if beside is None:
            return None, "The output folder is relative to the file, which has not been saved yet."
        return Path(os.path.normpath(beside / preference.lstrip("/\\"))), ""
    folder = Path(preference).expanduser()
    if not folder.is_absolute():
        return None, f"The output folder in the preferences ({preference[:200]}) is not a full path."
    return folder, ""


def _probe(place: Place) -> None:
    """Make the folder if need be and write a byte there. Raises OSError."""
    place.open()
    with _temporary(place.folder) as (path, descriptor):
        try:
            os.write(descriptor, b"\0")
        finally:
            os.close(descriptor)
            path.unlink(missing_ok=True)
    _sweep(place.folder)


def _sweep(folder: Path) -> None:
    """Remove temporary files of ours that a crash left behind long ago."""
    for path in folder.glob(".footfall-*.part"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            old = time.time() - found.st_mtime > STALE_S
            if old and stat.S_ISREG(found.st_mode) and _TEMPORARY.fullmatch(path.name):
                path.unlink()


def file_name(job_id: str, take: int, layer: str, index: int = 0, label: str = "") -> str:
    """``1f0c…-take1-spots-003-glass.wav``, from nothing but checked parts. Raises SaveError.

    job_id: 32 hexadecimal digits (12 are kept, enough to tell jobs apart and short enough for long paths);
    take and index from 0; label: any text, reduced to a few plain letters.
    """
    plain = isinstance(job_id, str) and re.fullmatch(r"[0-9a-f]{32}", job_id, re.ASCII)
    counted = (
        type(take) is int and 0 <= take < limits.TAKES and type(index) is int and 0 <= index < limits.CLIPS
    )
    if not plain or not counted or layer not in LAYERS:
        raise SaveError("A sound with an unusable name was refused. Generate it again.", repr(job_id)[:200])
    parts = [job_id[:JOB_DIGITS], f"take{take + 1}", layer]
    parts += [f"{index + 1:03}"] if layer != "bed" or index else []
    slug = _slug(label)
    return "-".join([*parts, slug] if slug and slug != layer else parts) + ".wav"


def picture_name(job_id: str, span: int, take: int, label: str = "") -> str:
    """``1f0c…-picture-003-take2-glass.png``; as ``file_name``. Raises SaveError."""
    plain = isinstance(job_id, str) and re.fullmatch(r"[0-9a-f]{32}", job_id, re.ASCII)
    counted = (
        type(take) is int and 0 <= take < limits.TAKES and type(span) is int and 0 <= span < limits.PICTURES
    )
    if not plain or not counted:
        raise SaveError("A picture with an unusable name was refused. Make it again.", repr(job_id)[:200])
    parts = [job_id[:JOB_DIGITS], "picture", f"{span + 1:03}", *([f"take{take + 1}"] if take else [])]
    slug = _slug(label)
    return "-".join([*parts, slug] if slug else parts) + ".png"


def _slug(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label[: 4 * SLUG]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:SLUG].strip("-")


def write_clip(
    target: SaveTarget, name: str, waveform: np.ndarray, rate_hz: int, *, lead: int = 0, samples: int = 0
) -> Saved:
    """Write ``waveform`` as 24-bit PCM into the first folder of ``target`` that takes it.

    waveform: (n, channels) float32 within [-1, 1]; ``lead``: samples of silence before; ``samples``: length
    of the file, filled up with silence (0: lead + n). ``name`` comes from ``file_name``. Raises SaveError.
    """
    if not re.fullmatch(r"[0-9a-z-]{1,120}\.wav", name, re.ASCII):
        raise SaveError("A sound with an unusable name was refused. Generate it again.", repr(name)[:200])
    samples = samples or lead + len(waveform)
    if not len(waveform) or lead < 0 or samples < lead + len(waveform):
        raise ValueError("lead and samples must hold the waveform")
    if samples * waveform.shape[1] * wav.SAMPLE_BYTES > wav.MOST_BYTES:
        raise SaveError("The sound is too long for a WAV file. Generate it in shorter pieces.")

    def fill(file: BinaryIO) -> None:
        wav.write(file, waveform, rate_hz, lead=lead, samples=samples)

    return _keep(target, name, fill, "sound")


def write_picture(target: SaveTarget, name: str, octets: bytes) -> Saved:
    """Write a PNG into the first folder of ``target`` that takes it. ``name``: of ``picture_name``.

    Raises SaveError.
    """
    if not re.fullmatch(r"[0-9a-z-]{1,120}\.png", name, re.ASCII):
        raise SaveError("A picture with an unusable name was refused. Make it again.", repr(name)[:200])

    def fill(file: BinaryIO) -> None:
        file.write(octets)

    return _keep(target, name, fill, "picture")


def _keep(target: SaveTarget, name: str, fill: Callable[[BinaryIO], None], what: str) -> Saved:
    """Try one place after the other. Raises SaveError when none takes it."""
    failures: list[str] = []
    for place in target.places:
        try:
            path = _write(place, name, fill)
        except OSError as error:
            failures.append(f"{place.folder} cannot be used: {_reason(error)}.")
            continue
        said = [*failures, f"The {what} is kept in {place.folder}."] if failures else []
        return Saved(path=path, sentence=" ".join(said))
    raise SaveError(
        f"The {what} could not be saved. Make room on the disk, or choose another output folder in the "
        "preferences, and place it again.",
        " ".join(failures),
    )


def _write(place: Place, name: str, fill: Callable[[BinaryIO], None]) -> Path:
    """One attempt in one folder; leaves either the whole file or nothing. Raises OSError."""
    place.open()
    with _temporary(place.folder) as (temporary, descriptor):
        with os.fdopen(descriptor, "wb") as file:
            try:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.close()  # its buffer may not fit either; the error that counts is on its way
                raise
        final = _free_name(place.folder, name)
        os.replace(temporary, final)
    return final


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, int]]:
    """A new file of our own, open for writing; removed when the block fails. The caller closes it."""
    path = folder / f".footfall-{secrets.token_hex(8)}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(
        path, flags, 0o666
    )  # the user's umask decides; a private file would be useless on a share
    try:
        yield path, descriptor
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _free_name(folder: Path, name: str) -> Path:
    """``name``, or with a number where that exists already, be it a dangling link. Raises FileExistsError."""
    stem, dot, ending = name.rpartition(".")
    for number in range(1, SAME_NAME):
        path = folder / (name if number == 1 else f"{stem}-{number}{dot}{ending}")
        if not os.path.lexists(path):
            return path
    raise FileExistsError(errno.EEXIST, "too many files of one name", str(folder / name))


def _reason(error: OSError) -> str:
    return _REASONS.get(error.errno or 0, error.strerror or str(error))
