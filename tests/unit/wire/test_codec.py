# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips, and arrays that are never copied."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire import auth, codec, messages
from footfall.tests.fakes.any_message import messages_of, same
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))


@given(st.sampled_from([*messages.MESSAGES.values()]).flatmap(messages_of))
def test_round_trip(message: messages.Message) -> None:
    frames = [bytes(frame) for frame in codec.encode(message)]
    decoded = codec.decode(frames)
    assert same(decoded, message)
    assert [bytes(frame) for frame in codec.encode(decoded)] == frames


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda frame: memoryview(bytearray(frame))])
def test_decoded_arrays_are_read_only_views(wrap: Callable, make_request: Callable) -> None:
    frames = [wrap(bytes(f)) for f in codec.encode(messages.Submit(job_id="0" * 32, request=make_request()))]
    request = codec.decode(frames).request  # type: ignore[attr-defined]
    for array, frame in ((request.frames, frames[1]), (request.times_s, frames[2])):
        assert not array.flags.writeable
        assert np.shares_memory(array, np.frombuffer(frame, np.uint8))


def test_a_shot_is_never_copied(make_request: Callable) -> None:
    """40 frames of 224 x 224: signing, opening and decoding need far less than one more copy of the shot."""
    shot = np.zeros((40, 224, 224, 3), np.uint8)
    request = make_request(frames=shot, times_s=np.arange(40) / 4, duration_s=Fraction(10))
    submit = messages.Submit(job_id="0" * 32, request=request)
    run = auth.run_nonce(KEY)
    seal, verifier = auth.Seal(KEY, run, "to_worker"), auth.Verifier(KEY, run, "to_worker")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    sent = seal.sign(codec.encode(submit))
    got = codec.decode(verifier.open(sent))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < shot.nbytes / 50
    assert np.shares_memory(got.request.frames, shot)  # type: ignore[attr-defined]


def test_checking_a_long_sound_needs_no_memory(make_clip: Callable) -> None:
    waveform = np.zeros((48_000 * 60, 2), np.float32)
    tracemalloc.start()
    make_clip(waveform=waveform)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < waveform.nbytes / 50
