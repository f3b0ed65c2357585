# SPDX-License-Identifier: GPL-3.0-or-later
"""S8: each bound of limits.py passes at its maximum and is refused, with its code, one beyond."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire import codec, limits, messages
from footfall.addon.wire.errors import LimitExceeded, Malformed

JOB = "0" * 32
Make = Callable[..., Any]


def frames_of(count: int, height: int = 8, width: int = 8) -> dict[str, np.ndarray]:
    # np.zeros: the operating system hands out no memory until somebody writes.
    return {
        "frames": np.zeros((count, height, width, 3), np.uint8),
        "times_s": np.arange(count) * (1 / 4),
    }


def failed(**changes: str) -> messages.Failed:
    return messages.Failed(**{"job_id": JOB, "code": "wire", "sentence": "", "detail": ""} | changes)


def padded(size: int) -> bytes:
    return b'{"type":"Shutdown","body":{}}'.ljust(size)


def nested(depth: int) -> bytes:
    """Brackets as deep as asked: no message, hence Malformed as long as the depth is allowed."""
    return b'{"type":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b',"body":{}}'


class Makers:
    """For each limit: a function from a size to a message (or to frames), made or refused."""

    def __init__(self, request: Make, clip: Make, provenance: Make, paint: Make, picture: Make) -> None:
        self.request, self.clip, self.provenance = request, clip, provenance
        self.paint, self.picture = paint, picture

    def result(self, **changes: Any) -> messages.Result:
        values = {"job_id": JOB, "clips": (), "provenance": self.provenance()}
        return messages.Result(**values | changes)

    def parts(self, count: int) -> messages.PictureRequest:
        return self.paint(starts_s=(Fraction(0),) * count, ends_s=(Fraction(1, 1000),) * count)

    def sized(self, height: int = 8, width: int = 8) -> messages.Picture:
        return self.picture(pixels=np.zeros((height, width, 3), np.uint8))

    def pictures(self, count: int) -> messages.PictureResult:
        return messages.PictureResult(
            job_id=JOB, pictures=(self.picture(),) * count, provenance=self.provenance()
        )

    def table(self) -> dict[str, list[tuple[Callable[[Any], Any], Any, Any]]]:
        """Limit -> (maker, what passes, what is refused)."""
        request, clip = self.request, self.clip
        below, above = (lambda low: low - 1), (lambda high: high + 1)
        side_low, side_high = limits.FRAME_SIDE
        motion_low, motion_high = limits.MOTION_SIDE
        rate_low, rate_high = limits.RATE_HZ
        loud_low, loud_high = limits.LOUDNESS_LUFS
        bundle = messages.BundleInfo(name="starter")
        heard = messages.Heard(words="rain", weight=0.5)
        event = messages.Event(time_s=Fraction(0))

        def most(name: str, make: Callable[[Any], Any]) -> list[tuple[Callable[[Any], Any], Any, Any]]:
            high = getattr(limits, name)
            return [(make, high, above(high))]

        return {
            "HEADER_BYTES": most("HEADER_BYTES", lambda n: [padded(n)]),
            "PROMPT": most("PROMPT", lambda n: request(prompt="a" * n))
            + most("PROMPT", lambda n: request(negative_prompt="☂" * n)),
            "WORDS": most("WORDS", lambda n: messages.Event(time_s=Fraction(0), words="a" * n))
            + most("WORDS", lambda n: messages.Heard(words="a" * n, weight=0)),
            "NAME": most("NAME", lambda n: request(bundle="a" * n))
            + most("NAME", lambda n: clip(label="a" * n)),
            "SENTENCE": most("SENTENCE", lambda n: failed(sentence="a" * n))
            + most("SENTENCE", lambda n: self.result(warnings=("a" * n,))),
            "DETAIL": most("DETAIL", lambda n: failed(detail="a" * n)),
            "JOB_ID": most("JOB_ID", lambda n: messages.Cancel(job_id="a" * n)),
            "FRAMES": most(
                "FRAMES", lambda n: request(**frames_of(n), duration_s=Fraction(limits.DURATION_S))
            ),
            "FRAME_SIDE": [
                (lambda n: request(**frames_of(2, height=n)), side_high, above(side_high)),
                (lambda n: request(**frames_of(2, width=n)), side_high, above(side_high)),
                (lambda n: request(**frames_of(2, height=n)), side_low, below(side_low)),
                (lambda n: request(**frames_of(2, width=n)), side_low, below(side_low)),
            ],
            "FRAME_BYTES": [
                # 256 frames of 1024 x 1024 in three colours are 768 MB exactly.
                (lambda n: request(**frames_of(n, 1024, 1024)), 256, 257),
            ],
            "DURATION_S": [
                (
                    lambda s: request(duration_s=s),
                    Fraction(limits.DURATION_S),
                    limits.DURATION_S + Fraction(1, 10**6),
                ),
                (
                    lambda s: clip(start_s=s),
                    Fraction(limits.DURATION_S),
                    limits.DURATION_S + Fraction(1, 10**6),
                ),
            ],
            "TAKES": most("TAKES", lambda n: request(takes=n))
            + most("TAKES", lambda n: request(takes=2, first_take=n - 2)),
            "TAKE_SECONDS": [
                (lambda s: request(takes=4, duration_s=s), Fraction(600), Fraction(600) + Fraction(1, 10**6))
            ],
            "EVENTS": most("EVENTS", lambda n: request(events=(event,) * n)),
            "CUTS": most("CUTS", lambda n: request(cuts=(Fraction(0),) * n))
            + most("CUTS", lambda n: self.result(cuts=(Fraction(0),) * n)),
            "PULLS": most("PULLS", lambda n: request(pulls=(messages.Pull(words="a", weight=-1.0),) * n)),
            "MOTION": most("MOTION", lambda n: request(motion=np.zeros((n, 8, 8), np.uint8))),
            "MOTION_SIDE": [
                (lambda n: request(motion=np.zeros((1, n, 8), np.uint8)), motion_high, above(motion_high)),
                (lambda n: request(motion=np.zeros((1, 8, n), np.uint8)), motion_low, below(motion_low)),
            ],
            "DUCK_DB": [
                (lambda db: request(duck_db=db), limits.DUCK_DB, np.nextafter(limits.DUCK_DB, 99).item())
            ],
            "SEED": most("SEED", lambda n: request(seed=n)),
            "STEPS": most("STEPS", lambda n: request(steps=n))
            + most("STEPS", lambda n: self.provenance(steps=n)),
            "GUIDANCE": [
                (lambda g: request(guidance=g), limits.GUIDANCE, np.nextafter(limits.GUIDANCE, 99).item())
            ],
            "RATE_HZ": [
                (lambda r: request(rate_hz=r), rate_high, above(rate_high)),
                (lambda r: request(rate_hz=r), rate_low, below(rate_low)),
                (lambda r: clip(rate_hz=r), rate_high, above(rate_high)),
            ],
            "LOUDNESS_LUFS": [
                (lambda db: request(loudness_lufs=db), loud_high, np.nextafter(loud_high, 0).item()),
                (lambda db: request(loudness_lufs=db), loud_low, np.nextafter(loud_low, -99).item()),
            ],
            "SOUND_SAMPLES": most(
                "SOUND_SAMPLES", lambda n: self.paint(waveform=np.zeros(n, "<f4"), rate_hz=96_000)
            ),
            "PICTURES": most("PICTURES", self.parts) + most("PICTURES", self.pictures),
            "PICTURE_SIDE": [
                (lambda n: self.sized(height=n), limits.PICTURE_SIDE[1], above(limits.PICTURE_SIDE[1])),
                (lambda n: self.sized(width=n), limits.PICTURE_SIDE[1], above(limits.PICTURE_SIDE[1])),
                (lambda n: self.sized(height=n), limits.PICTURE_SIDE[0], below(limits.PICTURE_SIDE[0])),
                (lambda n: self.sized(width=n), limits.PICTURE_SIDE[0], below(limits.PICTURE_SIDE[0])),
            ],
            "CLIPS": most("CLIPS", lambda n: self.result(clips=(clip(),) * n)),
            "HEARD": most("HEARD", lambda n: self.result(heard=(heard,) * n)),
            "WARNINGS": most("WARNINGS", lambda n: self.result(warnings=("",) * n)),
            "BUNDLES": most(
                "BUNDLES", lambda n: messages.Ready(version="1", device="", bundles=(bundle,) * n)
            ),
        }


@pytest.fixture
def makers(
    make_request: Make, make_clip: Make, make_provenance: Make, make_picture_request: Make, make_picture: Make
) -> Makers:
    return Makers(make_request, make_clip, make_provenance, make_picture_request, make_picture)


# These bound what no message holds on its own; they have tests of their own below.
ELSEWHERE = {"BUFFERS", "HEADER_DEPTH"}
NAMES = [name for name in vars(limits) if name.isupper()]


def pass_on(made: Any) -> messages.Message:
    """Through both ends of the codec."""
    match made:
        case list():
            return codec.decode(made)
        case messages.FoleyRequest():
            made = messages.Submit(job_id=JOB, request=made)
        case messages.PictureRequest():
            made = messages.SubmitPicture(job_id=JOB, request=made)
        case messages.Message() if type(made).__name__ not in messages.MESSAGES:
            return made
    return codec.decode(codec.encode(made))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ELSEWHERE])
def test_limits(name: str, makers: Makers) -> None:
    for make, good, bad in makers.table()[name]:
        pass_on(make(good))
        with pytest.raises(LimitExceeded) as caught:
            pass_on(make(bad))
        assert caught.value.code == "limit"


def test_a_job_id_may_not_be_shorter_either() -> None:
    with pytest.raises(Malformed):
        messages.Cancel(job_id="a" * (limits.JOB_ID - 1))


def test_header_depth() -> None:
    with pytest.raises(Malformed):  # read, and then not understood
        codec.decode([nested(limits.HEADER_DEPTH)])
    with pytest.raises(LimitExceeded):
        codec.decode([nested(limits.HEADER_DEPTH + 1)])


def test_no_message_is_deeper_than_the_limit(make_request: Make) -> None:
    """Submit, request, events, event, fraction is the deepest; the limit must leave room for it."""
    from footfall.addon.wire import strict_json

    event = messages.Event(time_s=Fraction(1))
    header = codec.encode(messages.Submit(job_id=JOB, request=make_request(events=(event,))))[0]
    assert strict_json.depth(bytes(header)) == 6


def test_number_of_buffers() -> None:
    shutdown = padded(40)
    with pytest.raises(Malformed, match="no field names"):
        codec.decode([shutdown, *[b""] * limits.BUFFERS])
    with pytest.raises(LimitExceeded):
        codec.decode([shutdown, *[b""] * (limits.BUFFERS + 1)])


def test_a_frame_beyond_the_limit_is_refused_on_arrival() -> None:
    huge = memoryview(np.zeros(limits.FRAME_BYTES + 1, np.uint8))
    for frames in ([padded(40), huge], [huge]):
        with pytest.raises(LimitExceeded):
            codec.decode(frames)


def test_more_text_than_a_header_takes_is_refused_before_it_is_sent(make_request: Make) -> None:
    wordy = messages.Event(time_s=Fraction(0), kind="☂" * limits.NAME, words="☂" * limits.WORDS)
    submit = messages.Submit(job_id=JOB, request=make_request(events=(wordy,) * limits.EVENTS))
    with pytest.raises(LimitExceeded, match="fewer events"):
        codec.encode(submit)


def test_the_table_knows_every_limit(makers: Makers) -> None:
    assert {*makers.table(), *ELSEWHERE} == set(NAMES)


@pytest.mark.parametrize(
    "changes",
    [
        {"starts_s": (), "ends_s": ()},
        {"ends_s": (Fraction(1, 1000), Fraction(2, 1000))},
        {"ends_s": (Fraction(1, 48_000),)},  # as soon as it begins
        {"ends_s": (Fraction(3, 1000),)},  # after the sound
        {"waveform": np.zeros((16, 1), "<f4")},
    ],
)
def test_parts_of_a_sound_lie_within_it(changes: dict[str, Any], make_picture_request: Make) -> None:
    with pytest.raises(Malformed):
        make_picture_request(**changes)


def test_a_sound_to_be_pictured_may_not_last_longer_than_one_that_is_made(make_picture_request: Make) -> None:
    most = limits.DURATION_S * 8_000
    make_picture_request(waveform=np.zeros(most, "<f4"))
    with pytest.raises(LimitExceeded, match="choose a part"):
        make_picture_request(waveform=np.zeros(most + 1, "<f4"))


def test_takes_of_all_parts_are_counted(make_picture_request: Make) -> None:
    parts = limits.PICTURES // 4
    spans = {"starts_s": (Fraction(0),) * parts, "ends_s": (Fraction(1, 1000),) * parts}
    make_picture_request(takes=4, **spans)
    with pytest.raises(LimitExceeded, match="fewer"):
        make_picture_request(takes=5, **spans)
