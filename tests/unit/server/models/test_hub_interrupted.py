# SPDX-License-Identifier: GPL-3.0-or-later
"""A pull that breaks, is killed or finds no room leaves nothing usable, and goes on where it was."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import Cancelled, ModelError, ModelRefused
from footfall.server.models import hub
from footfall.server.models.registry import Row

from .fake_hub import FakeHub
from .hub_rows import NAME, UNET, assert_nothing_usable, how, make_row

pytestmark = pytest.mark.usefixtures("own_hugging_face_home")


def test_a_pull_goes_on_where_the_last_one_stopped(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    key = f"cvssp/audioldm/{UNET}"
    half = len(fake.files[key]) // 2
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(fake.files[key][:half])
    hub.pull_row(row, tmp_path, how(fake)).verify()
    assert fake.ranges(key) == [f"bytes={half}-"]


def test_a_part_that_went_bad_is_not_continued_for_ever(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * 1000)
    with pytest.raises(ModelRefused):
        hub.pull_row(row, tmp_path, how(fake))
    hub.pull_row(row, tmp_path, how(fake)).verify()


def test_a_part_longer_than_the_file_is_begun_anew(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\0" * (len(fake.files[f"cvssp/audioldm/{UNET}"]) + 1))
    hub.pull_row(row, tmp_path, how(fake)).verify()


def test_a_connection_that_breaks_once_is_taken_up_again(fake: FakeHub, tmp_path: Path) -> None:
    key = f"cvssp/audioldm/{UNET}"
    fake.cut_once[key] = 100_000
    hub.pull_row(make_row(fake), tmp_path, how(fake)).verify()
    assert len(fake.ranges(key)) == 2


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from footfall.server.models import hub, registry
import json
plain = json.loads(Path(sys.argv[2]).read_text())
row = registry.parse({"bundle": [plain]})[0]
hub.pull_row(row, Path(sys.argv[3]), hub.Pull(online=True, accept_licence=True))
"""


def _plain(row: Row) -> dict[str, Any]:
    plain = {field: getattr(row, field) for field in row.__dataclass_fields__ if field != "sources"}
    plain["source"] = [
        {
            "repo": source.repo,
            "revision": source.revision,
            "licence": source.licence,
            "files": [{"path": f.path, "to": f.to, "size": f.size, "sha256": f.sha256} for f in source.files],
        }
        for source in row.sources
    ]
    return plain


def test_kill_9_at_half_leaves_nothing_usable_and_the_next_pull_goes_on(
    fake: FakeHub, tmp_path: Path
) -> None:
    key = f"cvssp/audioldm/{UNET}"
    fake.files[key] = bytes(24_000_000)  # the library hands over 10 MB at a time
    row = make_row(fake)
    half = len(fake.files[key]) // 2
    fake.hold_at[key] = half
    models = tmp_path / "models"
    (tmp_path / "row.json").write_text(json.dumps(_plain(row)))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), str(tmp_path / "row.json"), str(models)],
        env={**os.environ, "HF_ENDPOINT": fake.endpoint},
    )
    try:
        assert fake.held.wait(60)
        part = models / hub.INCOMPLETE / NAME / f"{UNET}.part"
        deadline, pause = time.monotonic() + 30, threading.Event()
        while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
            pause.wait(0.01)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert_nothing_usable(models)
    stopped_at = part.stat().st_size
    assert 0 < stopped_at <= half
    hub.pull_row(row, models, how(fake)).verify()
    assert fake.ranges(key)[1:] == [f"bytes={stopped_at}-"]


def test_a_full_disk_is_foreseen(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
    with pytest.raises(ModelError, match="make room"):
        hub.pull_row(make_row(fake), tmp_path, how(fake))
    assert not fake.requests


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_disk_that_fills_up_meanwhile_is_said(fake: FakeHub, tmp_path: Path) -> None:
    part = tmp_path / hub.INCOMPLETE / NAME / f"{UNET}.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(ModelError, match=re.escape(f"full under {tmp_path}")):
        hub.pull_row(make_row(fake), tmp_path, how(fake))
    assert_nothing_usable(tmp_path)
    part.unlink()
    hub.pull_row(make_row(fake), tmp_path, how(fake)).verify()


def test_a_folder_that_takes_no_files_is_named(fake: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=re.escape(f"{tmp_path / 'file'}: ")):
        hub.pull_row(make_row(fake), tmp_path / "file", how(fake))


def test_ctrl_c_is_a_cancel(fake: FakeHub, tmp_path: Path) -> None:
    def stop(file: str, count: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        hub.pull_row(make_row(fake), tmp_path, how(fake, progress=stop))
    assert_nothing_usable(tmp_path)
    hub.pull_row(make_row(fake), tmp_path, how(fake)).verify()


def test_two_pulls_of_one_bundle_do_not_mix(fake: FakeHub, tmp_path: Path) -> None:
    row = make_row(fake)
    refused: list[ModelError] = []

    def second(file: str, count: int, size: int) -> None:
        if not refused:
            with pytest.raises(ModelError, match="being pulled already") as caught:
                hub.pull_row(row, tmp_path, how(fake))
            refused.append(caught.value)

    hub.pull_row(row, tmp_path, how(fake, progress=second)).verify()
    assert refused
