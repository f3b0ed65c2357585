# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards of the synthetic world: written whole or not at all, read as far as they are sound.

WebDataset's layout: ``SPLIT-0000.tar`` holds ``KEY.json`` (the shot, with a checksum of its sound) and
``KEY.flac`` (48 kHz); ``frames-SPLIT-0000.tar`` holds ``KEY.0.jpg`` and so on for the same shots, so pictures
can come later and leave the sounds alone. What is damaged is reported by name and skipped.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import psutil
import soundfile

from ...addon.wire.errors import BadInput, SaveError
from .synth.shot import RATE_HZ, SAMPLES, Shot
from .synth.shot_json import KEY, shot_fields, shot_of
from .tar_walk import Member, Report, add, members, read

log = logging.getLogger(__name__)

SIDE = 112  # pixels of a frame
_JSON_BYTES, _FLAC_BYTES, _JPEG_BYTES = 1 << 20, 1 << 24, 1 << 22  # a file beyond is not ours


def _warn(sentence: str) -> None:
    log.warning("%s", sentence)


# Writing ------------------------------------------------------------------------------------------------


def shard_name(split: str, index: int, frames: bool = False) -> str:
    return f"{'frames-' if frames else ''}{split}-{index:04d}.tar"


def write_sounds(path: Path, rows: Iterable[tuple[Shot, np.ndarray]]) -> int:
    """A shard of shots and their (122880,) float32 sounds. Returns how many. Raises SaveError."""

    def files() -> Iterator[tuple[str, bytes]]:
        for shot, sound in rows:
            buffer = io.BytesIO()
            soundfile.write(buffer, sound, RATE_HZ, format="FLAC", subtype="PCM_16")
            flac = buffer.getvalue()
            fields = shot_fields(shot) | {"crc32": zlib.crc32(flac)}
            yield f"{shot.key}.json", json.dumps(fields).encode()
            yield f"{shot.key}.flac", flac

    return _write(path, files()) // 2


def write_frames(path: Path, rows: Iterable[tuple[str, Sequence[bytes]]]) -> int:
    """A shard of keys and their JPEGs in order of time. Returns how many pictures. Raises SaveError."""
    return _write(path, ((f"{key}.{n}.jpg", data) for key, jpegs in rows for n, data in enumerate(jpegs)))


def _write(path: Path, files: Iterable[tuple[str, bytes]]) -> int:
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    _clear_away(path)
    count = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as raw:
            with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for name, data in files:
                    add(tar, name, data)
                    count += 1
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(part, path)
    except OSError as error:
        raise SaveError(
            f"{path} could not be written: {error.strerror or error}. What was made before is whole; "
            "make room and run it again.",
            repr(error),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return count


def _clear_away(path: Path) -> None:
    """What writers of ``path`` that were killed left behind."""
    for left in path.parent.glob(f"{path.name}.part*"):
        pid = left.name.rpartition(".part")[2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            left.unlink(missing_ok=True)


# Reading ------------------------------------------------------------------------------------------------


class Sample:
    """One shot of the world. Its sound and its pictures are decoded each time they are asked for."""

    def __init__(self, shot: Shot, flac: tuple[Path, Member], pictures: Pictures) -> None:
        self.shot = shot
        self._flac = flac
        self._pictures = pictures

    @property
    def sound_48k(self) -> np.ndarray:
        """(N,) float32, mono. Raises BadInput if it is damaged, which ``read_shards`` has looked at."""
        path, member = self._flac
        with path.open("rb") as file:
            return decode(read(file, member), f"{member.name} in {path.name}")

    @property
    def jpegs(self) -> tuple[bytes, ...]:
        """The pictures as they are stored; () if the shot has none."""
        return self._pictures.jpegs(self.shot.key)

    @property
    def frames(self) -> np.ndarray:
        """(T, 112, 112, 3) uint8 sRGB in order of time; T is 0 without any. Damaged ones are left out."""
        return self._pictures.frames(self.shot.key)


def decode(flac: bytes, name: str) -> np.ndarray:
    """(N,) float32, mono at 48 kHz. Raises BadInput, naming ``name``."""
    try:
        sound, rate = soundfile.read(io.BytesIO(flac), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise BadInput(f"{name} cannot be decoded; make the world again.", repr(error)) from error
    if rate != RATE_HZ or not len(sound):
        raise BadInput(f"{name} is no sound at 48 kHz; make the world again.")
    return np.ascontiguousarray(sound.mean(axis=1))


class Pictures:
    """All pictures of a split, found when the first one is asked for. May be asked from many threads."""

    def __init__(self, folder: Path, split: str, report: Report) -> None:
        self._paths = sorted(folder.glob(f"frames-{split}-[0-9]*.tar"))
        self._report = report
        self._lock = Lock()
        self._found: dict[str, dict[int, tuple[Path, Member]]] | None = None

    def jpegs(self, key: str) -> tuple[bytes, ...]:
        found = self._index().get(key, {})
        return tuple(self._bytes(*found[number]) for number in sorted(found))

    def frames(self, key: str) -> np.ndarray:
        found = self._index().get(key, {})
        images = []
        for number in sorted(found):
            image = self._image(*found[number])
            if image is not None:
                images.append(image)
        return np.stack(images) if images else np.zeros((0, SIDE, SIDE, 3), np.uint8)

    def _index(self) -> dict[str, dict[int, tuple[Path, Member]]]:
        with self._lock:
            if self._found is None:
                self._found = {}
                for path, member in _walk(self._paths, self._report):
                    key, _, rest = member.name.partition(".")
                    number, _, kind = rest.partition(".")
                    ours = kind == "jpg" and number.isdecimal() and member.size <= _JPEG_BYTES
                    if ours and KEY.fullmatch(key):
                        self._found.setdefault(key, {})[int(number[:6])] = (path, member)
            return self._found

    @staticmethod
    def _bytes(path: Path, member: Member) -> bytes:
        with path.open("rb") as file:
            return read(file, member)

    def _image(self, path: Path, member: Member) -> np.ndarray | None:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(self._bytes(path, member)), formats=("JPEG",)) as image:
                if image.size == (SIDE, SIDE):
                    return np.asarray(image.convert("RGB"))
                why = f"it has {image.width} x {image.height} pixels"
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            why = str(error)[:100]
        self._report(f"{member.name} in {path.name} cannot be decoded: {why}")
        return None


def read_shards(folder: Path, split: str, report: Report = _warn) -> Iterator[Sample]:
    """All sound shots of a split, in order of their shards. ``report``: told, by name, what is skipped.

    Whether a sound is whole is known before it is handed out; it is decoded when asked for.
    """
    pictures = Pictures(folder, split, report)
    seen: set[str] = set()
    for path in sorted(folder.glob(f"{split}-[0-9]*.tar")):
        for shot, member in _shots(path, report):
            if shot.split != split or shot.key in seen:
                report(f"{shot.key} in {path.name} is there twice, or belongs to another split")
                continue
            seen.add(shot.key)
            yield Sample(shot, (path, member), pictures)


def _walk(paths: Iterable[Path], report: Report) -> Iterator[tuple[Path, Member]]:
    for path in paths:
        try:
            for member in members(path, report):
                yield path, member
        except OSError as error:
            report(f"{path.name} cannot be read: {error.strerror or error}")


def _shots(path: Path, report: Report) -> Iterator[tuple[Shot, Member]]:
    """The shots in one shard whose words and sound are whole."""
    waiting: dict[str, tuple[Shot, int | None]] = {}
    flacs: dict[str, Member] = {}
    with contextlib.ExitStack() as stack:
        file = None
        for _, member in _walk([path], report):
            file = file or stack.enter_context(path.open("rb"))
            key, _, kind = member.name.partition(".")
            if kind == "json" and member.size <= _JSON_BYTES:
                try:
                    fields = json.loads(read(file, member))
                    shot = shot_of(fields)
                    if shot.key != key:
                        raise ValueError(f"it is about {shot.key}")
                    waiting[key] = shot, fields.get("crc32")
                except (ValueError, RecursionError) as error:
                    report(f"{member.name[:120]} in {path.name} cannot be read: {str(error)[:120]}")
            elif kind == "flac" and member.size <= _FLAC_BYTES:
                flacs[key] = member
            if key in waiting and key in flacs:
                shot, checksum = waiting.pop(key)
                member = flacs.pop(key)
                if _whole_flac(read(file, member), checksum):
                    yield shot, member
                else:
                    report(f"{member.name} in {path.name} is damaged")
        for key in waiting.keys() | flacs.keys():
            report(f"{key[:100]} in {path.name} is not complete")


def _whole_flac(flac: bytes, checksum: int | None) -> bool:
    """By its checksum, or by decoding it where there is none, as in shards from elsewhere."""
    if checksum is not None:
        return zlib.crc32(flac) == checksum
    try:
        return len(decode(flac, "a sound")) > 0
    except BadInput:
        return False


def fingerprint(folder: Path, split: str, frames: bool = False) -> str:
    """Changes when the shards of a split change; ``frames``: its pictures instead of its sounds."""
    pattern = f"frames-{split}-[0-9]*.tar" if frames else f"{split}-[0-9]*.tar"
    names = sorted((path.name, path.stat().st_size) for path in folder.glob(pattern))
    return hashlib.sha256(json.dumps([SAMPLES, names]).encode()).hexdigest()
