# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job's end looks like: only sound to be believed is sent (S11), all else is said in words."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput, Cancelled, ModelError, OutOfMemory, WireError
from footfall.addon.wire.messages import Clip, Event
from footfall.server.worker.outcome import (
    OUT_OF_MEMORY,
    check_painting,
    check_rendering,
    failure,
    is_out_of_memory,
)
from footfall.tests.fakes.fake_pipeline import CLICK, flashes, paint, render
from footfall.tests.fakes.misbehaviour import PAINTING_SPOILERS, SPOILERS
from footfall.tests.fakes.peer import new_job, picture_request, request
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "wanted",
    [
        request(),
        request(takes=3, layers=("bed", "spots"), events=(Event(time_s=Fraction(1, 3)),)),
        request(layers=("spots",)),
        request(seconds=Fraction(1001, 24_000), rate_hz=44_100),
    ],
)
def test_a_good_rendering_passes(wanted: object) -> None:
    rendering = render(wanted)  # type: ignore[arg-type]
    assert check_rendering(rendering, wanted) is rendering  # type: ignore[arg-type]


@pytest.mark.parametrize("what", SPOILERS)
def test_a_rendering_that_cannot_be_believed_is_refused(what: str) -> None:
    wanted = request()
    with pytest.raises(ModelError, match="cannot be used"):
        check_rendering(SPOILERS[what](render(wanted)), wanted)


def test_a_good_painting_passes() -> None:
    wanted = picture_request(parts=3, takes=2)
    painting = paint(wanted)
    assert check_painting(painting, wanted) is painting


@pytest.mark.parametrize("what", PAINTING_SPOILERS)
def test_a_painting_that_cannot_be_believed_is_refused(what: str) -> None:
    wanted = picture_request()
    with pytest.raises(ModelError, match="cannot be used"):
        check_painting(PAINTING_SPOILERS[what](paint(wanted)), wanted)


def test_more_pictures_than_a_message_may_weigh_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = picture_request()
    monkeypatch.setattr(limits, "FRAME_BYTES", 2 * 16 * 16 * 3 - 1)
    with pytest.raises(BadInput, match="fewer"):
        check_painting(paint(wanted), wanted)


def test_a_bed_is_exactly_as_long_as_its_shot_and_starts_with_it() -> None:
    wanted = request(seconds=Fraction(1001, 240))
    (bed,) = render(wanted).clips
    assert len(bed.waveform) == round(Fraction(1001, 240) * 48_000)
    object.__setattr__(bed, "start_s", Fraction(1, 10))
    with pytest.raises(ModelError, match="wrong length"):
        check_rendering(_only(bed, wanted), wanted)


def test_a_sound_that_no_frame_can_carry_is_refused_before_it_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = request()
    monkeypatch.setattr(limits, "FRAME_BYTES", 4 * 48_000 - 1)
    with pytest.raises(BadInput, match="too large"):
        check_rendering(render(wanted), wanted)


def test_a_spot_may_not_begin_after_the_shot() -> None:
    wanted = request(layers=("spots",))
    spot = Clip(
        take=0, layer="spots", start_s=Fraction(2), rate_hz=48_000, waveform=np.zeros((10, 1), np.float32)
    )
    with pytest.raises(ModelError, match="outlasts"):
        check_rendering(_only(spot, wanted), wanted)


def _only(clip: Clip, wanted: object) -> object:
    rendering = render(request())
    return type(rendering)(clips=(clip,), provenance=rendering.provenance)


class OutOfMemoryError(RuntimeError):
    """As torch names it."""


class AcceleratorError(RuntimeError):
    """Some other error of torch."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemory("Not enough memory for this model."),
        OutOfMemoryError("whatever it says"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)
def test_every_wording_of_no_memory_is_understood(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert failure(new_job(), error).code == "out_of_memory"


def test_the_advice_of_the_pipeline_is_kept_and_ours_is_given_otherwise() -> None:
    own = failure(new_job(), OutOfMemory("Shorten the shot below 20 s."))
    assert own.sentence == "Shorten the shot below 20 s."
    foreign = failure(new_job(), MemoryError())
    assert foreign.sentence == OUT_OF_MEMORY
    assert "shorten" in foreign.sentence


@pytest.mark.parametrize(
    "error", [AcceleratorError("device-side assert"), ValueError("out of memory"), BadInput("out of memory")]
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)


def test_our_own_errors_keep_code_and_sentence() -> None:
    said = failure(new_job(), BadInput("Nothing moves here.", "range 1..1"))
    assert (said.code, said.sentence) == ("bad_input", "Nothing moves here.")
    assert said.detail == "range 1..1"


def test_anything_else_is_told_with_its_traceback() -> None:
    try:
        raise ZeroDivisionError("by the way")
    except ZeroDivisionError as error:
        said = failure(new_job(), error)
    assert said.code == "error"
    assert "copy the details" in said.sentence
    assert said.detail.rstrip().endswith("ZeroDivisionError: by the way")


def test_a_cancel_is_no_story() -> None:
    assert failure(new_job(), Cancelled()).detail == ""


@given(st.text(st.characters(), max_size=300).map(lambda text: text * 300), st.booleans())
def test_telling_of_a_failure_never_fails(text: str, ours: bool) -> None:
    said = failure(new_job(), WireError(text, text) if ours else RuntimeError(text))
    assert len(said.sentence) <= limits.SENTENCE
    assert len(said.detail) <= limits.DETAIL


def test_the_fake_clicks_where_it_flashes() -> None:
    wanted = request(seconds=2, frames=8)
    assert flashes(wanted) == [0.5, 0.75]
    waveform = render(wanted).clips[0].waveform[:, 0]
    assert list(np.flatnonzero(np.diff((waveform == np.float32(CLICK)).astype(int)) == 1) + 1) == [
        24_000,
        36_000,
    ]
