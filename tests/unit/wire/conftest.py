# SPDX-License-Identifier: GPL-3.0-or-later
"""One small example of every message, and a signed line between two ends."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire import auth, messages

JOB = "0123456789abcdef" * 2
KEY = bytes(range(32))


def small_request(**changes: Any) -> messages.FoleyRequest:
    """Two frames of 8 x 8; ``changes`` replace fields."""
    values: dict[str, Any] = {
        "frames": np.arange(2 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 8, 8, 3),
        "times_s": np.array([0.0, 0.25]),
        "duration_s": Fraction(1001, 480),
        "prompt": "boots on wet gravel ☂",
        "events": (
            messages.Event(
                time_s=Fraction(1, 24), words="heel", strength=0.5, pan=-0.25, place=(0.5, 0.75, 0.25)
            ),
        ),
        "pulls": (messages.Pull(words="music", weight=-1.0),),
        "motion": np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8),
        "cuts": (Fraction(3, 4),),
    }
    return messages.FoleyRequest(**values | changes)


def small_clip(**changes: Any) -> messages.Clip:
    values: dict[str, Any] = {
        "take": 0,
        "layer": "bed",
        "start_s": Fraction(0),
        "rate_hz": 48_000,
        "waveform": np.array([-1, 1, 0.5, -0.5, 0, 0.25, 0, 0, 0.125, -0.125, 0, 0], "<f4").reshape(6, 2),
    }
    return messages.Clip(**values | changes)


def small_picture_request(**changes: Any) -> messages.PictureRequest:
    """Two milliseconds, one picture of a part that is there at every rate; ``changes`` replace fields."""
    values: dict[str, Any] = {
        "waveform": np.resize(np.array([0.5, -0.25, 0, 1], "<f4"), 16),
        "rate_hz": 8_000,
        "starts_s": (Fraction(1, 48_000),),
        "ends_s": (Fraction(1, 16_000),),
        "words": "a painting of a",
    }
    return messages.PictureRequest(**values | changes)


def small_picture(**changes: Any) -> messages.Picture:
    values: dict[str, Any] = {
        "span": 0,
        "take": 1,
        "pixels": np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3),
        "score": 0.25,
    }
    return messages.Picture(**values | changes)


def small_provenance(**changes: Any) -> messages.Provenance:
    values: dict[str, Any] = {
        "bundle": "starter",
        "bundle_sha256": "ab" * 32,
        "licence": "CC0-1.0",
        "commercial": True,
        "mapper": "bridge",
        "version": "0.1.0",
        "device": "CPU",
        "dtype": "float32",
        "steps": 20,
        "guidance": 2.5,
    }
    return messages.Provenance(**values | changes)


EXAMPLES: dict[str, Callable[[], messages.Message]] = {
    "Hello": lambda: messages.Hello(version="0.1.0"),
    "Submit": lambda: messages.Submit(job_id=JOB, request=small_request()),
    "SubmitPicture": lambda: messages.SubmitPicture(job_id=JOB, request=small_picture_request()),
    "Cancel": lambda: messages.Cancel(job_id=JOB),
    "Received": lambda: messages.Received(job_id=JOB),
    "Ping": lambda: messages.Ping(number=7),
    "Shutdown": lambda: messages.Shutdown(),
    "Ready": lambda: messages.Ready(
        version="0.1.0",
        device="CPU",
        bundles=(
            messages.BundleInfo(name="starter", title="Starter", size_bytes=12_345),
            messages.BundleInfo(
                name="painter", mappers=(), makes=("pictures",), queries=(), paints_sounds=True
            ),
        ),
    ),
    "Accepted": lambda: messages.Accepted(job_id=JOB),
    "Progress": lambda: messages.Progress(job_id=JOB, phase="sampling", fraction=0.25, left_s=12.5),
    "Result": lambda: messages.Result(
        job_id=JOB,
        clips=(
            small_clip(),
            small_clip(take=1, layer="spots", start_s=Fraction(1, 24), label="heel", event=0, group=0),
        ),
        provenance=small_provenance(),
        heard=(messages.Heard(words="footsteps", weight=0.75),),
        warnings=("One frame was black.",),
        events=(messages.Event(time_s=Fraction(1, 24), words="heel"),),
        cuts=(Fraction(3, 4),),
    ),
    "PictureResult": lambda: messages.PictureResult(
        job_id=JOB,
        pictures=(small_picture(),),
        provenance=small_provenance(mapper="none"),
        warnings=("One part of the sound is silent.",),
    ),
    "Failed": lambda: messages.Failed(job_id=JOB, code="timeout", sentence="Try again.", detail="step 3"),
    "CancelReply": lambda: messages.CancelReply(job_id=JOB, outcome="cancelled"),
    "Pong": lambda: messages.Pong(number=7, state="busy", steps_done=41, memory_bytes=2**31),
}


@pytest.fixture
def example() -> Callable[[str], messages.Message]:
    """``example(name)``: a small message of that kind."""
    return lambda name: EXAMPLES[name]()


@pytest.fixture
def make_request() -> Callable[..., messages.FoleyRequest]:
    return small_request


@pytest.fixture
def make_picture_request() -> Callable[..., messages.PictureRequest]:
    return small_picture_request


@pytest.fixture
def make_picture() -> Callable[..., messages.Picture]:
    return small_picture


@pytest.fixture
def make_clip() -> Callable[..., messages.Clip]:
    return small_clip


@pytest.fixture
def make_provenance() -> Callable[..., messages.Provenance]:
    return small_provenance


@pytest.fixture
def seal() -> auth.Seal:
    """The add-on's end of a line."""
    return auth.Seal(KEY, auth.run_nonce(KEY), "to_worker")


@pytest.fixture
def verifier() -> auth.Verifier:
    """The worker's end of the same line."""
    return auth.Verifier(KEY, auth.run_nonce(KEY), "to_worker")
