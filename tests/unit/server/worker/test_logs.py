# SPDX-License-Identifier: GPL-3.0-or-later
"""The log keeps its bounds whatever is written, and never costs the worker its work (R15)."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from footfall.server.worker.log_keeper import FILE_BYTES, OLDER, RotatedLog, keep
from footfall.server.worker.logs import TolerantOutput, _text
from hypothesis import given
from hypothesis import strategies as st


def files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def test_all_logs_together_stay_under_20_mb() -> None:
    assert FILE_BYTES * (OLDER + 1) <= 20_000_000


@given(st.lists(st.binary(max_size=300), max_size=40))
def test_bounds_hold_and_the_newest_words_are_kept(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    log = RotatedLog(folder, file_bytes=100, older=2)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    sizes = files(folder)
    assert set(sizes) <= {"worker.log", "worker.1.log", "worker.2.log"}
    assert all(size <= 100 for size in sizes.values())
    names = ("worker.2.log", "worker.1.log", "worker.log")
    kept = b"".join((folder / name).read_bytes() for name in names if name in sizes)
    written = b"".join(chunks)
    assert written.endswith(kept)
    assert len(kept) >= min(len(written), 100)


def test_two_workers_in_one_folder_keep_the_bounds(tmp_path: Path) -> None:
    one, other = (RotatedLog(tmp_path, file_bytes=1000, older=1) for _ in range(2))
    for number in range(300):
        one.write(b"one %03d\n" % number)
        other.write(b"other %03d\n" % number)
    assert sum(files(tmp_path).values()) <= 2000
    newest = (tmp_path / "worker.1.log").read_bytes() + (tmp_path / "worker.log").read_bytes()
    assert b"one 299" in newest
    assert b"other 299" in newest
    one.close()
    other.close()


def test_a_folder_that_cannot_be_made_costs_only_the_log(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    log = RotatedLog(tmp_path / "file" / "logs")
    log.write(b"lost")
    log.close()
    assert (tmp_path / "file").read_bytes() == b"in the way"


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs O_NOFOLLOW")
def test_a_link_in_the_log_s_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "worker.log").symlink_to(victim)
    log = RotatedLog(tmp_path)
    log.write(b"words")
    assert victim.read_bytes() == b"precious"


@pytest.mark.parametrize("with_lifeline", [False, True])
def test_the_keeper_copies_until_the_end(tmp_path: Path, with_lifeline: bool) -> None:
    source, writing = os.pipe()
    lifeline, held = os.pipe()
    log = RotatedLog(tmp_path)
    keeper = threading.Thread(target=keep, args=(source, log, 1, lifeline if with_lifeline else None))
    keeper.start()
    words = b"w" * 200_000
    assert os.write(writing, words[:1000]) == 1000
    with open(writing, "wb") as rest:
        rest.write(words[1000:])
    keeper.join(30)
    assert not keeper.is_alive()
    assert (tmp_path / "worker.log").read_bytes() == words
    for descriptor in (source, lifeline, held):
        os.close(descriptor)
    log.close()


def test_output_that_nobody_reads_any_more_is_lost_without_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = _text(writing)
    stream.write("into the void\n" * 10_000)
    stream.flush()
    assert TolerantOutput(writing).write(b"more") == 4
    os.close(writing)


def test_any_text_can_be_written() -> None:
    reading, writing = os.pipe()
    stream = _text(writing)
    stream.write("lone \ud800 surrogate\n")
    os.close(writing)
    assert os.read(reading, 100) == b"lone \\ud800 surrogate\n"
    os.close(reading)
