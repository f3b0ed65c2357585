# SPDX-License-Identifier: GPL-3.0-or-later
"""A farm job's folder: the list survives, nonsense does not; a result belongs to one request."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footfall.addon.batch import farm, message_file
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.addon.wire.messages import FoleyRequest, Result, Submit
from footfall.tests.fakes.stories import MODEL
from hypothesis import given
from hypothesis import strategies as st


def shot(number: int, job_id: str = "ab" * 16) -> farm.FarmShot:
    return farm.FarmShot(number=number, key=f"markers/Scene/sh{number}", name=f"sh{number}", job_id=job_id)


def submit(job_id: str) -> Submit:
    request = FoleyRequest(
        frames=np.zeros((1, 8, 8, 3), np.uint8), times_s=np.zeros(1), duration_s=Fraction(1)
    )
    return Submit(job_id=job_id, request=request)


def result(job_id: str) -> Result:
    return Result(job_id=job_id, clips=(), provenance=MODEL)


def test_the_list_comes_back(tmp_path: Path) -> None:
    written = farm.write_list(tmp_path, "a.blend", [shot(1), shot(2)])
    assert farm.read_list(tmp_path) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps({"footfall": 2, "file": "a", "shots": []}),
        json.dumps({"footfall": 1, "file": "a", "shots": [{"number": 1}]}),
        json.dumps(
            {"footfall": 1, "file": "a", "shots": [{"number": 2, "key": "", "name": "", "job_id": ""}]}
        ),
        json.dumps(
            {"footfall": 1, "file": "a", "shots": [{"number": 1, "key": "", "name": "", "job_id": 1}]}
        ),
    ],
)
def test_lists_of_nonsense(tmp_path: Path, text: str) -> None:
    (tmp_path / farm.LIST).write_text(text)
    with pytest.raises(BadInput, match="capture the file again"):
        farm.read_list(tmp_path)


def test_what_a_list_says_of_where_pictures_came_from(tmp_path: Path) -> None:
    facts = {"source": "words", "per_second": 4.0, "hidden": False}
    written = farm.write_list(tmp_path, "a.blend", [dataclasses.replace(shot(1), facts=facts)])
    assert farm.read_list(tmp_path) == written
    plain = json.loads((tmp_path / farm.LIST).read_text())
    del plain["shots"][0]["facts"]  # as lists were written before there were any
    (tmp_path / farm.LIST).write_text(json.dumps(plain))
    assert farm.read_list(tmp_path).shots == (shot(1),)
    for nonsense in (
        None,
        "words",
        ["source"],
        {"source": ["words"]},
        {"source": {}},
        {"x": math.nan},
        {"x": "y" * 400},
    ):
        plain["shots"][0]["facts"] = nonsense
        (tmp_path / farm.LIST).write_text(json.dumps(plain))
        with pytest.raises(BadInput, match="capture the file again"):
            farm.read_list(tmp_path)


def test_a_request_without_a_picture_comes_back(tmp_path: Path) -> None:
    job = farm.write_list(tmp_path, "a.blend", [shot(1)])
    nothing = {"frames": np.zeros((0, 8, 8, 3), np.uint8), "times_s": np.zeros(0)}
    asked = FoleyRequest(duration_s=Fraction(1), prompt="thunder", condition="clap_text", **nothing)
    message_file.write(job.request_path(job.shots[0]), Submit(job_id=job.shots[0].job_id, request=asked))
    found = job.request(job.shots[0]).request
    assert (found.prompt, found.condition, found.frames.shape) == ("thunder", "clap_text", (0, 8, 8, 3))


def test_a_folder_that_is_no_job(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="footfall farm capture"):
        farm.read_list(tmp_path)


def test_a_result_counts_only_for_the_request_that_it_answers(tmp_path: Path) -> None:
    job = farm.write_list(tmp_path, "a.blend", [shot(1)])
    (only,) = job.shots
    assert job.result(only) is None
    message_file.write(job.request_path(only), submit(only.job_id))
    assert job.request(only).job_id == only.job_id
    message_file.write(job.result_path(only), result("cd" * 16))
    assert job.result(only) is None, "of a request that was captured before"
    message_file.write(job.result_path(only), result(only.job_id))
    assert job.result(only) is not None
    message_file.write(job.request_path(only), submit("cd" * 16))
    with pytest.raises(BadInput, match="capture again"):
        job.request(only)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=5))
def test_chosen_shots(ranges: list[tuple[int, int]]) -> None:
    job = farm.Farm(Path(), "a", tuple(shot(number) for number in range(1, 21)))
    words = ",".join(f"{low}-{high}" if low != high else str(low) for low, high in ranges)
    wanted = {number for low, high in ranges for number in range(low, high + 1)}
    assert [one.number for one in farm.chosen(job, words)] == [n for n in range(1, 21) if n in wanted]
    assert farm.chosen(job, "") == list(job.shots)


@pytest.mark.parametrize("words", ["x", "1-", "-1", "1,,2", "1.5", "٣-x", "9" * 50])
def test_numbers_that_are_none(words: str) -> None:
    with pytest.raises(BadInput, match="--shot"):
        farm.chosen(farm.Farm(Path(), "a", (shot(1),)), words)


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match=re.escape(str(tmp_path / "file" / farm.LIST))):
        farm.write_list(tmp_path / "file", "a.blend", [shot(1)])
