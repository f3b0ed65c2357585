# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulling a public bundle, over huggingface_hub: resumed, verified, and usable only once it is whole.

Files arrive in ``models_dir/.incomplete/NAME``, each as ``*.part`` until its sha256 was right. The folder
gets its ``bundle.toml`` last and then moves into place in one step; so whenever the power goes, there is
either the whole bundle or none, and the next pull goes on where this one stopped. No token is ever sent.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...addon.wire.errors import Cancelled, ModelError, ModelMissing, ModelRefused
from . import bundle as bundles
from . import configurations, manifest, registry
from .bundle import Bundle
from .manifest import FileEntry
from .registry import RemoteFile, Row, Source

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]  # file, bytes of it that are here, its size (-1: not known)
Consent = Callable[[Row], bool]

INCOMPLETE = ".incomplete"
PINS = ".pins"
_ROOM = 64 * 1024 * 1024  # kept free beside the files
_ETAG_TIMEOUT_S = 15.0
_NEWEST = "main"  # the hub's name for the newest revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """How to pull. ``consent`` is asked for a licence that forbids commerce, unless ``accept_licence`` says
    yes.

    ``pin_on_first_use``: take files whose sha256 is not on record, and hold them to what arrived ever after.
    ``endpoint``: another hub than the library's own (which also honours HF_ENDPOINT).
    """

    online: bool
    accept_licence: bool = False
    pin_on_first_use: bool = False
    consent: Consent | None = None
    progress: Progress | None = None
    endpoint: str | None = None


def pull(name: str, models_dir: Path, how: Pull) -> Bundle:
    """The public bundle ``name``; see ``pull_row``. An unknown name is ModelMissing."""
    row = registry.find(name)
    if row is None:
        known = ", ".join(known.name for known in registry.rows())
        raise ModelMissing(f"There is no public model named {name[:80]!r}; choose one of {known}.")
    return pull_row(row, models_dir, how)


def pull_row(row: Row, models_dir: Path, how: Pull) -> Bundle:
    """The bundle of a row, from ``models_dir`` if it is there already, else from the hub.

    Raises ModelMissing (offline, no network), ModelRefused (licence, not pinned, wrong content), ModelError
    (disk full), Cancelled.
    """
    target = models_dir / row.name
    if (target / manifest.FILE).is_file():
        return bundles.open_bundle(target)
    _check_allowed(row, how)
    if target.exists():
        raise ModelRefused(f"{target} is in the way and is not a model; move it elsewhere, then pull again.")
    staging = models_dir / INCOMPLETE / row.name
    with _trouble(row, models_dir), _alone(staging):
        _check_room(row, staging)
        pins = _read_pins(models_dir, row)
        entries = {
            file.to: _fetch(source, file, staging, pins, how)
            for source in row.sources
            for file in source.files
        }
        _finish(row, staging, entries)
        if not row.pinned:
            _write_pins(models_dir, row, entries)
        os.replace(staging, target)
    return bundles.open_bundle(target)


def pins(models_dir: Path, name: str) -> dict[str, FileEntry]:
    """What ``pin_on_first_use`` recorded of a bundle: bundle path -> size and sha256."""
    row = registry.find(name)
    return _read_pins(models_dir, row) if row else {}


def _check_allowed(row: Row, how: Pull) -> None:
    if not how.online:
        raise ModelMissing(
            f"The model {row.title} is not on this machine, and Footfall may not use the internet; allow "
            f"online access, or copy the folder {row.name} from a machine that has it."
        )
    if not row.pinned and not how.pin_on_first_use:
        raise ModelRefused(
            f"The model {row.title} cannot be verified: {row.why_unpinned}. To take what arrives and hold it "
            f"to that ever after: footfall models pull {row.name} --pin-on-first-use"
        )
    if row.commercial or how.accept_licence:
        return
    if how.consent is None or not how.consent(row):
        raise ModelRefused(
            f"The licence of {row.title} ({row.licence}) was not accepted; read it and agree with: "
            f"footfall models pull {row.name} --accept-licence"
        )


def _check_room(row: Row, staging: Path) -> None:
    here = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    needed = row.size_bytes - here + _ROOM
    free = shutil.disk_usage(staging).free
    if free < needed:
        raise ModelError(
            f"{row.title} needs {needed / 1e9:.1f} GB; {staging.parents[1]} has {free / 1e9:.1f} GB free; "
            "make room, or choose another folder for models."
        )


def _fetch(
    source: Source, file: RemoteFile, staging: Path, pins: dict[str, FileEntry], how: Pull
) -> FileEntry:
    """One file, verified and in its place in ``staging``."""
    target, part = staging / file.to, staging / f"{file.to}.part"
    target.parent.mkdir(parents=True, exist_ok=True)
    pin = pins.get(file.to)
    wanted = replace(file, size=pin.size, sha256=pin.sha256) if pin and not file.pinned else file
    if not target.is_file():
        where = _locate(source, wanted, how.endpoint)
        wanted = replace(wanted, size=where.size if wanted.size < 0 else wanted.size)
        _download(where, part, wanted, how.progress)
        _judge(part, wanted)
        os.replace(part, target)
    return _judge(target, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    url: str
    size: int


def _locate(source: Source, file: RemoteFile, endpoint: str | None) -> _Place:
    """Where the hub has the file now; refused early if it says itself that the content is another."""
    import huggingface_hub

    newest = source.revision == registry.UNPINNED
    revision = _NEWEST if newest else source.revision
    url = huggingface_hub.hf_hub_url(source.repo, file.path, revision=revision, endpoint=endpoint)
    found = huggingface_hub.get_hf_file_metadata(url, token=False, timeout=_ETAG_TIMEOUT_S, endpoint=endpoint)
    etag, size = found.etag or "", found.size if found.size is not None else -1
    if not newest and found.commit_hash != source.revision:
        raise ModelRefused(f"The hub answered for another version of {source.repo}; nothing was taken.")
    if file.pinned and manifest.SHA256.fullmatch(etag) and etag != file.sha256:
        raise _wrong(file, f"the hub says {etag}")
    if 0 <= file.size != size >= 0:
        raise _wrong(file, f"the hub says {size} bytes, {file.size} expected")
    return _Place(url=found.location, size=size)


def _download(where: _Place, part: Path, file: RemoteFile, progress: Progress | None) -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    here = part.stat().st_size if part.is_file() else 0
    if here > file.size >= 0:
        part.unlink()
        here = 0
    if progress:
        progress(file.to, here, file.size)
    with part.open("r+b" if here else "wb") as stream:
        stream.seek(here)
        http_get(
            where.url,
            stream,
            resume_size=here,
            headers=build_hf_headers(token=False),
            expected_size=file.size if file.size >= 0 else None,
            tqdm_class=_meter(file, progress),
        )
        stream.flush()
        os.fsync(stream.fileno())


def _judge(path: Path, file: RemoteFile) -> FileEntry:
    """Size and sha256 of what arrived; a wrong file is deleted. Raises ModelRefused."""
    entry = FileEntry(size=path.stat().st_size, sha256=manifest.sha256_file(path))
    if 0 <= file.size != entry.size or (file.pinned and file.sha256 != entry.sha256):
        path.unlink()
        raise _wrong(file, f"got {entry.size} bytes, sha256 {entry.sha256}")
    return entry


def _wrong(file: RemoteFile, detail: str) -> ModelRefused:
    return ModelRefused(
        f"{file.path} is not the file that Footfall knows and was not kept; pull again, and if it happens "
        "again tell the project.",
        detail,
    )


def _finish(row: Row, staging: Path, entries: dict[str, FileEntry]) -> None:
    """Configurations, then ``bundle.toml``: from then on the folder is a bundle."""
    for path in staging.rglob("*.part"):
        path.unlink()
    for name, config in configurations.of_row(row, entries).items():
        path = staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        entries |= manifest.describe(staging, [name])
    said = manifest.Manifest(
        name=row.name,
        title=row.title,
        licence=row.licence,
        commercial=row.commercial,
        sampling_rate=row.sampling_rate,
        clip=row.clip,
        clap=row.clap,
        note="" if row.pinned else f"Pinned on first use: {row.why_unpinned}.",
        source=", ".join(f"{source.repo}@{source.revision}" for source in row.sources),
        files=entries,
    )
    manifest.write(staging, said)


def _pins_path(models_dir: Path, row: Row) -> Path:
    return models_dir / PINS / f"{row.name}.json"


def _read_pins(models_dir: Path, row: Row) -> dict[str, FileEntry]:
    path = _pins_path(models_dir, row)
    if not path.is_file():
        return {}
    try:
        plain: dict[str, Any] = json.loads(path.read_bytes())
        return {name: FileEntry(size=int(size), sha256=str(digest)) for name, (size, digest) in plain.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelRefused(f"{path} is damaged; delete it to pin {row.title} anew.", repr(error)) from error


def _write_pins(models_dir: Path, row: Row, entries: dict[str, FileEntry]) -> None:
    path = _pins_path(models_dir, row)
    path.parent.mkdir(parents=True, exist_ok=True)
    remote = {file.to for source in row.sources for file in source.files}
    plain = {name: (entry.size, entry.sha256) for name, entry in entries.items() if name in remote}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, path)


@contextmanager
def _alone(staging: Path) -> Iterator[None]:
    """Two pulls of one bundle would write into the same files."""
    from filelock import FileLock, Timeout

    staging.mkdir(parents=True, exist_ok=True)
    lock = FileLock(staging.with_name(f"{staging.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ModelError(f"{staging.name} is being pulled already; wait for that to end.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _trouble(row: Row, models_dir: Path) -> Iterator[None]:
    """What may go wrong with disk and network, as a sentence."""
    from huggingface_hub import errors

    # The root of what its HTTP library raises, whichever library that is in this version.
    http_error: type[BaseException] = errors.HfHubHTTPError.__mro__[1]
    gone = (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError)
    try:
        yield
    except gone as error:
        raise ModelMissing(
            f"The hub no longer has {row.title} as Footfall knows it; update Footfall, or use another model.",
            str(error),
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelMissing(
            f"{row.title} is not on this machine, and HF_HUB_OFFLINE forbids the network; unset it to pull.",
            str(error),
        ) from error
    except (http_error, ConnectionError, TimeoutError) as error:
        raise ModelMissing(
            f"The hub could not be reached for {row.title}; check the network and pull again. {_GOES_ON}",
            repr(error),
        ) from error
    except OSError as error:
        raise _disk_trouble(row, models_dir, error) from error
    except KeyboardInterrupt as error:
        raise Cancelled(f"Stopped. {_GOES_ON}") from error


_GOES_ON = "It goes on where it stopped."


def _disk_trouble(row: Row, models_dir: Path, error: OSError) -> ModelError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        sentence = f"The disk is full under {models_dir}; make room and pull {row.title} again. {_GOES_ON}"
        return ModelError(sentence, str(error))
    if "Consistency check failed" in str(error):  # huggingface_hub: the connection ended too early
        return ModelMissing(f"The connection broke; pull {row.title} again. {_GOES_ON}", str(error))
    sentence = f"{row.title} could not be written to {models_dir}: {error.strerror}; see to that folder"
    return ModelError(f"{sentence}, or choose another one for models.", str(error))


def _meter(file: RemoteFile, progress: Progress | None) -> type:
    """What http_get wants in place of a tqdm bar."""
    from huggingface_hub.utils.tqdm import tqdm

    class Meter(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]
            self._here = int(kwargs.get("initial") or 0)

        def update(self, count: float | None = 1) -> None:
            self._here += int(count or 0)
            if progress:
                progress(file.to, self._here, file.size)

    return Meter
