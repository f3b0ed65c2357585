# SPDX-License-Identifier: GPL-3.0-or-later
"""S1 forged or altered messages, S2 replay and reflection, S3 no parsing before authentication."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire import auth, codec, messages
from footfall.addon.wire.errors import Forged, Malformed

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
Frames = list[bytes]
Example = Callable[[str], messages.Message]


def signed(seal: auth.Seal, message: messages.Message) -> Frames:
    """What the socket of the other side would hand over: plain bytes."""
    return [bytes(frame) for frame in seal.sign(codec.encode(message))]


def full_size(
    name: str, make_request: Callable, make_clip: Callable, make_provenance: Callable
) -> messages.Message:
    """A shot of 32 frames at 224 x 224 and 8 s of stereo sound."""
    noise = np.random.default_rng(1)
    if name == "Submit":
        frames = noise.integers(0, 256, (32, 224, 224, 3), np.uint8)
        request = make_request(frames=frames, times_s=np.arange(32) / 4, duration_s=Fraction(8))
        return messages.Submit(job_id="0" * 32, request=request)
    clip = make_clip(waveform=noise.uniform(-1, 1, (8 * 48_000, 2)).astype("<f4"))
    return messages.Result(job_id="0" * 32, clips=(clip,), provenance=make_provenance())


def refused(verifier: auth.Verifier, frames: Frames) -> None:
    before = verifier.last
    with pytest.raises(Forged):
        verifier.open(frames)
    assert verifier.last == before


def reshaped(frames: Frames) -> Iterator[Frames]:
    """Every frame dropped, doubled and swapped, and every border between frames moved by one byte."""
    for i in range(len(frames)):
        yield frames[:i] + frames[i + 1 :]
        yield frames[: i + 1] + frames[i:]
        yield [*frames[: i + 1], b"", *frames[i + 1 :]]
    for i, j in itertools.combinations(range(len(frames)), 2):
        if frames[i] != frames[j]:
            swapped = list(frames)
            swapped[i], swapped[j] = frames[j], frames[i]
            yield swapped
    for i in range(len(frames) - 1):
        left, right = frames[i], frames[i + 1]
        yield [*frames[:i], left + right[:1], right[1:], *frames[i + 2 :]]
        yield [*frames[:i], left[:-1], left[-1:] + right, *frames[i + 2 :]]
        yield [*frames[:i], left + right, *frames[i + 2 :]]
    yield []


@pytest.mark.parametrize("name", ["Submit", "Result"])
def test_flip_every_byte(name: str, example: Example, seal: auth.Seal, verifier: auth.Verifier) -> None:
    frames = signed(seal, example(name))
    assert len(frames) >= 4, "a message with buffers is needed"
    chance = random.Random(2)
    for index, frame in enumerate(frames):
        for offset in range(len(frame)):
            altered = bytearray(frame)
            altered[offset] ^= 1 << chance.randrange(8)
            refused(verifier, [*frames[:index], bytes(altered), *frames[index + 1 :]])
    for altered_frames in reshaped(frames):
        refused(verifier, altered_frames)
    assert verifier.open(frames) == frames[1:], "the true message must still be welcome"


@pytest.mark.parametrize("flips", [100, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["Submit", "Result"])
def test_flip_bytes_of_a_full_size_message(
    name: str,
    flips: int,
    make_request: Callable,
    make_clip: Callable,
    make_provenance: Callable,
    seal: auth.Seal,
    verifier: auth.Verifier,
) -> None:
    message = full_size(name, make_request, make_clip, make_provenance)
    frames = [bytearray(frame) for frame in signed(seal, message)]
    ends = list(itertools.accumulate(len(frame) for frame in frames))
    chance = random.Random(3)
    for _ in range(flips):
        place = chance.randrange(ends[-1])
        index = next(i for i, end in enumerate(ends) if place < end)
        offset, bit = place - ends[index], 1 << chance.randrange(8)
        frames[index][offset] ^= bit
        refused(verifier, frames)
        frames[index][offset] ^= bit
    assert len(verifier.open(frames)) == len(frames) - 1


@pytest.mark.parametrize("junk", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_replay_after_flood(junk: int, example: Example, seal: auth.Seal, verifier: auth.Verifier) -> None:
    recorded = signed(seal, example("Ping"))
    verifier.open(recorded)
    chance = random.Random(4)
    header = recorded[1]
    variants: list[Frames] = [
        [chance.randbytes(40), header],
        [(2**64 - 1).to_bytes(8, "big") + chance.randbytes(32), header],
        [recorded[0][:8] + chance.randbytes(32), header],
        [(2).to_bytes(8, "big") + recorded[0][8:], header],
        [chance.randbytes(39), header],
        [b"", chance.randbytes(16)],
        [header],
        recorded,
    ]

    def flood(count: int) -> None:
        for frames in itertools.islice(itertools.cycle(variants), count):
            try:
                verifier.open(frames)
            except Forged:
                continue
            raise AssertionError("junk was believed")

    flood(1000)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    flood(junk)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 1_000_000
    refused(verifier, recorded)
    verifier.open(signed(seal, example("Ping")))


def test_an_echoed_message_is_refused(example: Example) -> None:
    run = auth.run_nonce(KEY)
    from_worker = signed(auth.Seal(KEY, run, "to_addon"), example("Pong"))
    refused(auth.Verifier(KEY, run, "to_worker"), from_worker)
    auth.Verifier(KEY, run, "to_addon").open(from_worker)


@pytest.mark.parametrize(
    ("key", "run"),
    [
        (OTHER_KEY, auth.run_nonce(OTHER_KEY)),
        (OTHER_KEY, auth.run_nonce(KEY)),
        (KEY, auth.run_nonce(OTHER_KEY)),
    ],
)
def test_a_message_of_another_run_is_refused(
    key: bytes, run: bytes, example: Example, seal: auth.Seal
) -> None:
    refused(auth.Verifier(key, run, "to_worker"), signed(seal, example("Ping")))


def test_the_sequence_must_rise(example: Example, seal: auth.Seal, verifier: auth.Verifier) -> None:
    first, second, third = (signed(seal, example("Ping")) for _ in range(3))
    verifier.open(first)
    verifier.open(third)  # a gap is no forgery: the line may have been made anew
    for old in (first, second, third):
        refused(verifier, old)


def test_nothing_parsed_unauthenticated(
    example: Example, seal: auth.Seal, verifier: auth.Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Parsed(Exception):
        pass

    def explode(*arguments: object, **options: object) -> None:
        raise Parsed

    good = signed(seal, example("Submit"))
    monkeypatch.setattr(json, "loads", explode)
    monkeypatch.setattr(json.JSONDecoder, "decode", explode)
    monkeypatch.setattr(json.JSONDecoder, "raw_decode", explode)
    bad = [good[0][:-1] + bytes([good[0][-1] ^ 1]), *good[1:]]
    for frames in (bad, good[1:], [b"", *good], [good[0], b"{}", *good[2:]]):
        with pytest.raises(Forged):
            codec.decode(verifier.open(frames))
    with pytest.raises(Parsed):
        codec.decode(verifier.open(good))


def test_the_signature_is_the_one_that_is_written_down() -> None:
    """A second opinion, put together by hand from the module's docstring; the digest is pinned besides."""
    frames = [b'{"type":"Ping"}', b"", b"\x00\x01\x02"]
    run = hmac.new(KEY, b"footfall run", hashlib.sha256).digest()[:16]
    seal = auth.Seal(KEY, auth.run_nonce(KEY), "to_addon")
    seal.sign(frames)
    got = seal.sign(frames)
    covered = b"\x08to_addon" + run + (2).to_bytes(8, "big") + (3).to_bytes(4, "big")
    for frame in frames:
        covered += len(frame).to_bytes(8, "big") + frame
    assert got[0] == (2).to_bytes(8, "big") + hmac.new(KEY, covered, hashlib.sha256).digest()
    assert got[1:] == frames
    assert bytes(got[0]).hex() == (
        "000000000000000260311fd8f14b816fb8b1475d8f916fa3076bec6a093bd2a0808aaa59d16f43cf"
    )


def test_signing_and_opening_pass_the_frames_on_uncopied(seal: auth.Seal, verifier: auth.Verifier) -> None:
    big = memoryview(bytearray(1_000_000))
    sent = seal.sign([b"{}", big])
    assert sent[2] is big
    assert verifier.open(sent)[1] is big


@pytest.mark.parametrize("wrong", [None, 5, "text", memoryview(b"abcdef")[::2]])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_no_frame_is_refused(
    wrong: object, place: int, seal: auth.Seal, verifier: auth.Verifier
) -> None:
    frames: list = list(seal.sign([b"{}"]))
    frames[place] = wrong
    refused(verifier, frames)


@pytest.mark.parametrize("text", ["", "00", "0" * 63, "zz" * 32, "00" * 33, "00" * 31])
def test_a_wrong_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        auth.key_bytes(text)
    assert not text or text not in f"{caught.value} {caught.value.detail} {caught.value.__cause__}"


def test_keys_are_new_and_long() -> None:
    keys = {auth.new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(auth.key_bytes(key)) for key in keys} == {32}


@pytest.mark.parametrize(
    ("key", "run", "direction"),
    [
        (b"", bytes(16), "to_worker"),
        (KEY, b"", "to_worker"),
        (KEY, bytes(16), "sideways"),
        (KEY[:31], bytes(16), "to_addon"),
    ],
)
def test_an_empty_key_never_turns_the_checks_off(key: bytes, run: bytes, direction: str) -> None:
    for end in (auth.Seal, auth.Verifier):
        with pytest.raises(ValueError, match="wrong length"):
            end(key, run, direction)


def test_the_word_at_the_door_tells_nothing_of_the_key() -> None:
    word = auth.door_word(KEY)
    assert len(word) == 64
    assert word != auth.door_word(bytes(32))
    assert bytes.fromhex(word) != KEY
    assert not bytes.fromhex(word).startswith(auth.run_nonce(KEY))
