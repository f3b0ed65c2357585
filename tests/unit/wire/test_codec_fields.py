# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays, numbers and requests that cannot be: refused when they arrive, and never sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire import codec, messages
from footfall.addon.wire.errors import LimitExceeded, Malformed, WireError


def submit_frames(make_request: Callable, **changes: Any) -> tuple[dict[str, Any], list[bytes]]:
    header, *buffers = codec.encode(messages.Submit(job_id="0" * 32, request=make_request()))
    plain = json.loads(bytes(header))
    plain["body"]["request"] |= changes
    return plain, [bytes(buffer) for buffer in buffers]


@pytest.mark.parametrize(
    "frames",
    [
        {"shape": [2, 8, 8, 3], "buffer": 1},
        {"shape": [2, 8, 8, 3], "buffer": 2},
        {"shape": [2, 8, 8, 3], "buffer": -1},
        {"shape": [2, 8, 8, 3], "buffer": True},
        {"shape": [2, 8, 8, 3], "buffer": 0.0},
        {"shape": [2, 8, 8, 3], "buffer": None},
        {"shape": [2, 8, 8, 3]},
        {"shape": [2, 8, 8, 3], "buffer": 0, "dtype": "O"},
        {"shape": [1, 8, 8, 3], "buffer": 0},
        {"shape": [2, 8, 16, 3], "buffer": 0},
        {"shape": [2, 8, 24], "buffer": 0},
        {"shape": [2, 8, 8, 3, 1], "buffer": 0},
        {"shape": [2.0, 8, 8, 3], "buffer": 0},
        {"shape": [-2, 8, -8, 3], "buffer": 0},
        {"shape": [-1, 8, 8, 3], "buffer": 0},
        {"shape": "2883", "buffer": 0},
        {"shape": None, "buffer": 0},
        [[0]],
        None,
    ],
)
def test_wrong_array_headers_are_refused(frames: Any, make_request: Callable) -> None:
    plain, buffers = submit_frames(make_request, frames=frames)
    with pytest.raises(WireError):
        codec.decode([json.dumps(plain).encode(), *buffers])


def test_each_buffer_is_used_exactly_once(make_request: Callable) -> None:
    plain, buffers = submit_frames(make_request)
    header = json.dumps(plain).encode()
    codec.decode([header, *buffers])
    for wrong in (buffers[:1], [*buffers, b""], [*buffers, buffers[0]], buffers[::-1], []):
        with pytest.raises(Malformed):
            codec.decode([header, *wrong])


def test_two_clips_cannot_share_a_buffer(make_clip: Callable, make_provenance: Callable) -> None:
    result = messages.Result(job_id="0" * 32, clips=(make_clip(), make_clip()), provenance=make_provenance())
    header, first, _ = codec.encode(result)
    shared = bytes(header).replace(b'"buffer":1', b'"buffer":0')
    assert shared != bytes(header)
    with pytest.raises(Malformed, match="another field"):
        codec.decode([shared, first])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.0000001, -1.0000001, 3e38])
def test_hostile_samples_are_refused_at_both_ends(
    value: float, make_clip: Callable, make_provenance: Callable
) -> None:
    waveform = np.zeros((6, 2), np.float32)
    waveform[3, 1] = value
    with pytest.raises(LimitExceeded):
        make_clip(waveform=waveform)
    result = messages.Result(job_id="0" * 32, clips=(make_clip(),), provenance=make_provenance())
    header, _ = codec.encode(result)
    with pytest.raises(LimitExceeded):
        codec.decode([header, waveform.tobytes()])


@pytest.mark.parametrize(
    "times",
    [
        [0.25, 0.25],
        [0.5, 0.25],
        [-0.1, 0.25],
        [np.nan, 1],
        [0, np.nan],
        [0, np.inf],
        [0, 1e308],
        [1e308, -1e308],
        [0, 1200.001],
    ],
)
def test_hostile_times_are_refused_at_both_ends(times: list[float], make_request: Callable) -> None:
    array = np.array(times, "<f8")
    with pytest.raises(WireError):
        make_request(times_s=array)
    plain, buffers = submit_frames(make_request)
    with pytest.raises(WireError):
        codec.decode([json.dumps(plain).encode(), buffers[0], array.tobytes()])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 8, 8, 3), np.int8),
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 8, 8, 3), object),
        np.zeros((2, 8, 8, 4), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((4, 8, 8, 3), np.uint8)[::2],
        np.zeros((2, 8, 8, 3), np.uint8).tolist(),
        None,
    ],
)
def test_wrong_arrays_never_leave(array: Any, make_request: Callable) -> None:
    with pytest.raises(WireError):
        make_request(frames=array)


@pytest.mark.parametrize(
    "changes",
    [
        {"times_s": np.array([0.0])},
        {"frames": np.zeros((0, 8, 8, 3), np.uint8), "times_s": np.zeros(0)},
        {"layers": (), "motion": None},
        {"motion": np.zeros((0, 8, 8), np.uint8)},
        {"motion": np.zeros((1, 8, 8, 3), np.uint8)},
        {"cuts": (0.5,)},
        {"pulls": ("music",)},
        {"layers": ("bed", "bed")},
        {"layers": ["bed"]},
        {"events": [1]},
        {"prompt": "\x00"},
        {"prompt": "\ud800"},
        {"prompt": b"bytes"},
        {"quality": "superb"},
        {"quality": ["good"]},
        {"seed": 1.0},
        {"seed": True},
        {"seed": np.int64(1)},
        {"duration_s": 2.0},
        {"duration_s": 2},
    ],
)
def test_wrong_requests_are_never_made(changes: dict[str, Any], make_request: Callable) -> None:
    with pytest.raises(WireError):
        make_request(**changes)


def test_a_fraction_has_one_spelling(make_request: Callable) -> None:
    plain, buffers = submit_frames(make_request, duration_s=[4, 2])
    with pytest.raises(Malformed, match="lowest terms"):
        codec.decode([json.dumps(plain).encode(), *buffers])
