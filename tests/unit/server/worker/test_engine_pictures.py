# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of sounds: the same queue as sounds, the same ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from footfall.addon.wire.errors import LimitExceeded
from footfall.addon.wire.messages import Failed, PictureResult, Result
from footfall.tests.fakes.engine_bench import WAIT_S, Bench, Stepped
from footfall.tests.fakes.peer import new_job, picture_request, request, wait_until


def test_pictures_and_sounds_share_the_queue(bench: Callable[..., Bench]) -> None:
    table = bench()
    sound, pictures = new_job(), new_job()
    table.engine.submit(sound, request("slow 2 1"))
    table.engine.submit(pictures, picture_request(parts=3, takes=2))
    first, second = table.ending(), table.ending()
    assert isinstance(first, Result)
    assert first.job_id == sound
    assert isinstance(second, PictureResult)
    assert second.job_id == pictures
    assert [(one.span, one.take) for one in second.pictures] == [(n, t) for n in range(3) for t in range(2)]
    assert second.warnings == ("These pictures are flat.",)


@pytest.mark.parametrize(
    ("words", "code"), [("fail", "error"), ("oom", "out_of_memory"), ("bad none", "model")]
)
def test_pictures_that_fail_are_told_and_the_next_are_painted(
    bench: Callable[..., Bench], words: str, code: str
) -> None:
    table = bench()
    ending = table.paint(picture_request(words))
    assert isinstance(ending, Failed)
    assert ending.code == code
    assert isinstance(table.paint(picture_request()), PictureResult)


def test_pictures_can_be_cancelled(bench: Callable[..., Bench]) -> None:
    table, job_id = bench(), new_job()
    table.engine.submit(job_id, picture_request("wait"))
    wait_until(lambda: table.engine.steps_done > 0 or None)
    assert table.engine.cancel(job_id)
    ending = table.ending()
    assert isinstance(ending, Failed)
    assert ending.code == "cancelled"


def test_a_waiting_sound_counts_its_bytes(bench: Callable[..., Bench]) -> None:
    table = bench(Stepped(), queue_bytes=picture_request().waveform.nbytes)
    table.engine.submit(new_job(), request())
    table.pipeline.entered.get(timeout=WAIT_S)
    table.engine.submit(new_job(), picture_request())
    with pytest.raises(LimitExceeded):
        table.engine.submit(new_job(), picture_request())
