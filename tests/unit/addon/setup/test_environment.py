# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker folder says about itself, and what pip's words become. No process is started."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from footfall.addon.setup.base_python import candidates, unfit
from footfall.addon.setup.environment import (
    FolderLock,
    fingerprint,
    locked,
    look,
    read_state,
    requirements,
    worker_python,
    write_state,
)
from footfall.addon.setup.package_check import findings, package_name
from footfall.addon.setup.progress import PipProgress, failure_sentence
from footfall.addon.wire.errors import WorkerNotInstalled
from footfall.addon.worker.clean_environment import clean_environment
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[4]
NEEDED = ("numpy>=1.26", "torch>=2.6")


def ready_folder(folder: Path, needed: tuple[str, ...] = NEEDED) -> Path:
    python = worker_python(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    write_state(folder, {"state": "ready", "fingerprint": fingerprint(needed), "device": "CPU"})
    return python


def test_an_empty_folder_is_missing(tmp_path: Path) -> None:
    status = look(tmp_path / "nothing", NEEDED)
    assert (status.state, status.python) == ("missing", None)
    assert "Set Up Worker" in status.sentence


def test_a_ready_folder_names_its_python_and_device(tmp_path: Path) -> None:
    python = ready_folder(tmp_path)
    status = look(tmp_path, NEEDED)
    assert (status.state, status.python, status.device) == ("ready", python, "CPU")


def test_other_requirements_make_it_outdated_but_usable(tmp_path: Path) -> None:
    python = ready_folder(tmp_path)
    status = look(tmp_path, (*NEEDED, "rich>=13"))
    assert (status.state, status.python) == ("outdated", python)


def test_the_order_of_requirements_does_not_matter() -> None:
    assert fingerprint(NEEDED) == fingerprint(NEEDED[::-1])


def test_a_python_that_is_gone_makes_it_incomplete(tmp_path: Path) -> None:
    ready_folder(tmp_path).unlink()
    assert look(tmp_path, NEEDED).state == "incomplete"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"ready"', b"\xff\xfe", b'{"state": "incomplete"}'])
def test_a_damaged_state_file_means_incomplete(tmp_path: Path, content: bytes) -> None:
    ready_folder(tmp_path)
    (tmp_path / "state.json").write_bytes(content)
    assert look(tmp_path, NEEDED).state == "incomplete"


def test_the_state_is_replaced_in_one_step(tmp_path: Path) -> None:
    write_state(tmp_path, {"state": "incomplete"})
    write_state(tmp_path, {"state": "ready"})
    assert read_state(tmp_path) == {"state": "ready"}
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_failed_write_leaves_the_old_state(tmp_path: Path) -> None:
    (tmp_path / "state.json").mkdir()  # nothing can replace a folder
    with pytest.raises(IsADirectoryError):
        write_state(tmp_path, {"state": "ready"})
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_two_do_not_hold_the_lock(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    assert not locked(tmp_path)
    assert first.acquire()
    assert not second.acquire()
    assert look(tmp_path, NEEDED).state == "installing"
    first.release()
    first.release()
    assert second.acquire()
    second.release()
    assert not locked(tmp_path)


def test_the_requirements_come_from_the_extension() -> None:
    needed = requirements(ROOT)
    names = [package_name(item) for item in needed]
    assert {"numpy", "pyzmq", "torch", "diffusers", "open_clip_torch"} <= set(names)
    assert "laion_clap" not in names
    assert "bpy" not in names


@pytest.mark.parametrize("content", [None, "", "[project]", "not toml ["])
def test_an_unreadable_list_of_requirements_is_said(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(WorkerNotInstalled, match="install the extension again"):
        requirements(tmp_path)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({}, ""),
        ({"version": [3, 8, 18]}, "is 3.8.18 and too old"),
        ({"version": [2, 7, 18]}, "is 2.7.18 and too old"),
        ({"bits": 32}, "is a 32-bit one"),
        ({"ensurepip": False}, "cannot make environments (venv or ensurepip is missing)"),
        ({"version": "?"}, "does not run"),
    ],
)
def test_which_python_fits(told: dict[str, object], reason: str) -> None:
    fit = {"version": [3, 11, 7], "bits": 64, "venv": True, "ensurepip": True}
    assert unfit(0, "a greeting\n" + json.dumps({**fit, **told}) + "\n") == reason


@pytest.mark.parametrize("output", ["", "Traceback", "{}", "[]", "null", '{"version": null}'])
def test_a_python_that_says_nothing_of_use_does_not_run(output: str) -> None:
    assert unfit(0, output) == "does not run"


def test_a_python_that_fails_does_not_run() -> None:
    assert unfit(1, json.dumps({"version": [3, 11, 7], "bits": 64, "venv": True, "ensurepip": True}))


def test_the_chosen_python_is_the_only_candidate(tmp_path: Path) -> None:
    assert candidates(tmp_path / "python", Path("/own/python")) == [tmp_path / "python"]
    assert candidates(None, Path("/own/python"))[0] == Path("/own/python")


PIP = """\
Collecting torch>=2.6
  Downloading torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl.metadata (28 kB)
Collecting filelock (from torch>=2.6)
  Using cached filelock-3.16.1-py3-none-any.whl (16 kB)
Downloading torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl (766.7 MB)
Progress 0 of 766700000
Progress 383350000 of 766700000
Progress 766700000 of 766700000
Downloading rich-13.9.4-py3-none-any.whl (242 kB)
Processing /mirror/files/mdurl-0.1.2-py3-none-any.whl (from markdown-it-py>=2.2.0->rich>=13)
Installing collected packages: torch, filelock, rich
Successfully installed filelock-3.16.1 rich-13.9.4 torch-2.6.0
"""


def test_pip_becomes_a_rising_fraction_and_words() -> None:
    progress = PipProgress()
    fractions, words = [], []
    for line in PIP.splitlines():
        progress.feed(line)
        fractions.append(progress.fraction)
        words.append(progress.words)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert fractions[-2] < 1.0
    assert fractions[5] < fractions[6] < fractions[7], "half a download is seen"
    assert "Loading torch (767 MB)" in words
    assert "Looking for torch>=2.6" in words
    assert "Loading mdurl" in words
    assert "Unpacking 3 packages; this can take some minutes" in words


@given(st.lists(st.one_of(st.sampled_from(PIP.splitlines()), st.text(max_size=80)), max_size=60))
def test_whatever_is_printed_the_fraction_stays_sane(lines: list[str]) -> None:
    progress = PipProgress()
    before = 0.0
    for line in lines:
        progress.feed(line)
        assert before <= progress.fraction <= 1.0
        assert len(progress.words) < 200
        before = progress.fraction


@pytest.mark.parametrize(
    ("output", "part"),
    [
        ("ERROR: [Errno 28] No space left on device", "disk is full"),
        ("OSError: [Errno 30] Read-only file system: '/x'", "may not write"),
        ("PermissionError: [WinError 5] Access is denied", "may not write"),
        ("Temporary failure in name resolution", "internet connection"),
        ("ERROR: No matching distribution found for torch>=2.6", "choose Python 3.11"),
        ("No module named ensurepip", "another Python"),
        ("Segmentation fault", "copy the details"),
    ],
)
def test_failures_have_sentences(output: str, part: str) -> None:
    assert part in failure_sentence(f"some lines\n{output}\nmore")


def test_findings_are_read_or_empty() -> None:
    assert findings('noise\nFOOTFALL {"problems": {}}\nmore noise') == {"problems": {}}
    for output in ("", "FOOTFALL {", "FOOTFALL []", "nothing"):
        assert findings(output) == {}


def test_only_known_variables_pass() -> None:
    hostile = {
        "PYTHONPATH": "/x",
        "PYTHONHOME": "/x",
        "PYTHONSTARTUP": "/x",
        "LD_PRELOAD": "/x",
        "LD_LIBRARY_PATH": "/x",
        "DYLD_INSERT_LIBRARIES": "/x",
        "VIRTUAL_ENV": "/x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "BLENDER_USER_SCRIPTS": "/x",
        "PATHS": "x",
        "XPATH": "x",
        "PIP_TARGET": "/x",
        "PIP_INDEX_URL": "x",
    }
    wanted = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "C",
        "https_proxy": "http://p",
        "NO_PROXY": "x",
        "CUDA_VISIBLE_DEVICES": "1",
        "TEMP": "t",
        "SystemRoot": "C:\\Windows",
        "HF_HOME": "/models",
    }
    passed = clean_environment({**hostile, **wanted}, {"EXTRA": "1"})
    assert passed == {**wanted, "EXTRA": "1", "PYTHONNOUSERSITE": "1"}
    with_pip = clean_environment({**hostile, **wanted}, pip=True)
    assert with_pip["PIP_INDEX_URL"] == "x"
    assert "PIP_TARGET" not in with_pip
