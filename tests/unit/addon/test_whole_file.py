# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are whole or not there, and a place that takes none is told before the work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from footfall.addon.whole_file import check_place, whole_file
from footfall.addon.wire.errors import SaveError

LONGEST = 255  # bytes of a name, on every system that we know


def test_it_takes_its_place_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / ("x" * (LONGEST - 4) + ".wav")  # no room for a longer name beside it
    check_place(target)
    with whole_file(target, ".wav") as temporary:
        temporary.write_bytes(b"all of it")
        assert temporary.suffix == ".wav"
        assert not target.exists()
    assert target.read_bytes() == b"all of it"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_half_of_it_is_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "sound.wav"
    target.write_bytes(b"old")

    def write() -> None:
        with whole_file(target) as temporary:
            temporary.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_places_that_take_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for bad in (tmp_path, tmp_path / "file" / "x.wav", tmp_path / ("x" * (LONGEST + 1)), Path("/proc/x.wav")):
        if bad.parent.exists():
            with pytest.raises(SaveError, match="--mux"):
                check_place(bad, option="--mux")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_full_disk_is_told_before_the_work(tmp_path: Path) -> None:
    from footfall.tests.fakes.small_disk import small_disk

    with small_disk(0), pytest.raises(SaveError, match="choose another place"):
        check_place(tmp_path / "sound.wav")
    assert not list(tmp_path.iterdir())


def test_the_longest_of_several_names_must_fit(tmp_path: Path) -> None:
    output = tmp_path / ("x" * (LONGEST - 10) + ".wav")
    check_place(output, ".take2")
    with pytest.raises(SaveError):
        check_place(output, ".take2.spots")
    check_place(output)
