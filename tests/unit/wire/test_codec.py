# SPDX-License-Identifier: GPL-3.0-or-later
"""Round trips, arrays that are never copied, and S8's bomb-like input."""

from __future__ import annotations

import dataclasses
import json
import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire import auth, codec, fields, limits, messages, strict_json
from footfall.addon.wire.errors import LimitExceeded, Malformed, WireError
from footfall.addon.wire.texts import FORBIDDEN
from hypothesis import given
from hypothesis import strategies as st

KEY = bytes(range(32))


def same(left: Any, right: Any) -> bool:
    """Equality of messages, arrays and messages within messages, types included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if dataclasses.is_dataclass(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in dataclasses.fields(left))
    return bool(left == right)


def values_of(spec: fields.Spec) -> st.SearchStrategy[Any]:
    """Anything that a field may hold; arrays and lists are kept short."""
    match spec:
        case fields.Integer():
            return st.integers(spec.low, spec.high)
        case fields.Real():
            return st.floats(spec.low, spec.high) | st.just(round(spec.low))
        case fields.Rational():
            return st.fractions(spec.low, spec.high, max_denominator=spec.denominator)
        case fields.Text(pattern=""):
            return st.text(max_size=min(spec.most, 40)).filter(lambda text: not FORBIDDEN.search(text))
        case fields.Text():
            return st.from_regex(spec.pattern, fullmatch=True).filter(lambda text: len(text) <= spec.most)
        case fields.Choice():
            return st.sampled_from(spec.options)
        case fields.Flag():
            return st.booleans()
        case fields.Maybe():
            return st.none() | values_of(spec.spec)
        case fields.Nested():
            return messages_of(spec.kind)
        case fields.Many():
            return st.lists(values_of(spec.spec), max_size=min(spec.most, 3)).map(tuple)
        case fields.Array(dtype="|u1", shape=((1, _), _, _)):
            return st.builds(lambda count: np.full((count, 8, 9), count, np.uint8), st.integers(1, 3))
        case fields.Array(dtype="|u1", shape=(_, _, (3, 3))):
            return st.builds(lambda value: np.full((8, 9, 3), value, np.uint8), st.integers(0, 255))
        case fields.Array(dtype="<f4"):
            shape = st.tuples(st.integers(1, 9), st.integers(1, 2))
            return st.builds(
                lambda s, seed: np.random.default_rng(seed).uniform(-1, 1, s).astype("<f4"),
                shape,
                st.integers(0, 99),
            )
    raise AssertionError(f"no strategy for {spec}")


@st.composite
def requests(draw: st.DrawFn) -> messages.FoleyRequest:
    specs = {f.name: f.metadata["spec"] for f in dataclasses.fields(messages.FoleyRequest)}
    chosen = {
        name: draw(values_of(spec)) for name, spec in specs.items() if not isinstance(spec, fields.Array)
    }
    chosen["first_take"] = min(chosen["first_take"], limits.TAKES - chosen["takes"])
    chosen["takes"] = min(chosen["takes"], max(1, int(limits.TAKE_SECONDS / chosen["duration_s"])))
    chosen["layers"] = tuple(dict.fromkeys(chosen["layers"])) or ("bed",)
    times = draw(st.lists(st.floats(0, limits.DURATION_S), unique=True, max_size=4).map(sorted))
    times = sorted({time + 0.0 for time in times})  # 0.0 and -0.0 are one moment
    if not times:
        chosen["condition"] = "clap_text"
    shape = (len(times), draw(st.integers(8, 12)), draw(st.integers(8, 12)), 3)
    frames = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 256, shape, np.uint8)
    return messages.FoleyRequest(frames=frames, times_s=np.array(times, "<f8"), **chosen)


@st.composite
def picture_requests(draw: st.DrawFn) -> messages.PictureRequest:
    kind = messages.PictureRequest
    by_hand = {"waveform", "starts_s", "ends_s"}
    chosen = {
        f.name: draw(values_of(f.metadata["spec"])) for f in dataclasses.fields(kind) if f.name not in by_hand
    }
    samples = draw(st.integers(1, 99))
    end = st.integers(1, samples)
    spans = draw(
        st.lists(end.flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))), min_size=1, max_size=9)
    )
    starts_s, ends_s = (
        tuple(Fraction(n, chosen["rate_hz"]) for n in side) for side in zip(*spans, strict=True)
    )
    waveform = np.random.default_rng(samples).uniform(-1, 1, samples).astype("<f4")
    return kind(waveform=waveform, starts_s=starts_s, ends_s=ends_s, **chosen)


def messages_of(kind: type) -> st.SearchStrategy[Any]:
    if kind is messages.FoleyRequest:
        return requests()
    if kind is messages.PictureRequest:
        return picture_requests()
    values = {f.name: values_of(f.metadata["spec"]) for f in dataclasses.fields(kind)}
    if kind is messages.Event:
        values["place"] = st.just(()) | st.tuples(*[st.floats(0.0, 1.0)] * 3)
    return st.builds(kind, **values)


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


def ping(number: str = "7") -> bytes:
    return f'{{"type":"Ping","body":{{"number":{number}}}}}'.encode()


MALFORMED = {
    "nothing": b"",
    "not JSON": b"hello",
    "half": ping()[:-1],
    "two": ping() + ping(),
    "trailing comma": b'{"type":"Ping","body":{"number":7,}}',
    "comment": b'{"type":"Ping"/**/,"body":{"number":7}}',
    "single quotes": b"{'type':'Ping','body':{'number':7}}",
    "byte order mark": b"\xef\xbb\xbf" + ping(),
    "UTF-16": ping().decode().encode("utf-16"),
    "bad UTF-8": b'{"type":"Ping\xff","body":{"number":7}}',
    "overlong UTF-8": b'{"type":"Ping\xc0\x80","body":{"number":7}}',
    "NUL": b'{"type":"Ping","body":{"number":7}}\x00',
    "raw newline in text": b'{"type":"Pi\nng","body":{"number":7}}',
    "NaN": ping("NaN"),
    "Infinity": ping("Infinity"),
    "minus Infinity": ping("-Infinity"),
    "double key": b'{"type":"Ping","body":{"number":7,"number":7}}',
    "double type": b'{"type":"Ping","type":"Ping","body":{"number":7}}',
    "list": b'["Ping",{"number":7}]',
    "text": b'"Ping"',
    "null": b"null",
    "no body": b'{"type":"Ping"}',
    "no type": b'{"body":{"number":7}}',
    "extra key": b'{"type":"Ping","body":{"number":7},"more":1}',
    "body is a list": b'{"type":"Ping","body":[]}',
    "body is null": b'{"type":"Ping","body":null}',
    "text for a number": ping('"7"'),
    "true for a number": ping("true"),
    "float for a whole number": ping("7.0"),
    "exponent": ping("7e0"),
    "null for a number": ping("null"),
    "leading zero": ping("07"),
    "plus": ping("+7"),
    "hexadecimal": ping("0x7"),
    "lone surrogate as a name": b'{"type":"Ping","body":{"\\ud800":7}}',
}
TOO_MUCH = {
    "2^63": ping(str(2**63)),
    "-2^63 - 1": ping(str(-(2**63) - 1)),
    "5,000 digits": ping("9" * 5_000),
    "a million digits": ping("9" * 1_000_000),
    "1e999": ping("1e999"),
    "-1e999": ping("-1e999"),
    "a long float": ping("0." + "3" * 1_000_000),
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep within the body": b'{"type":"Ping","body":{"number":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "deep behind an escaped quote": b'{"\\"":' + b"[" * 100_000,
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_headers_are_refused(what: str) -> None:
    with pytest.raises(Malformed):
        codec.decode([MALFORMED[what]])


@pytest.mark.parametrize("what", TOO_MUCH)
def test_bombs_are_refused(what: str) -> None:
    with pytest.raises(LimitExceeded):
        codec.decode([TOO_MUCH[what]])


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b'{"a":-Infinity}'])
def test_no_field_ever_sees_what_is_not_a_number(raw: bytes) -> None:
    with pytest.raises(Malformed, match="not a number"):
        strict_json.loads(raw, most_bytes=100, most_depth=3)


def test_brackets_inside_texts_are_no_depth() -> None:
    assert strict_json.depth(b'{"a":"[[[[\\"[[[","b":[[]]}') == 3
    assert strict_json.depth(b'"\\\\"[[') == 2
    assert strict_json.depth(b"]]]]") == 0
    assert strict_json.depth(b"") == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('[]{}"\\ab', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\a', max_size=4), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON)
def test_depth_is_right_for_any_json(plain: Any) -> None:
    def deep(value: Any) -> int:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 0 if inside is None else 1 + max(map(deep, inside), default=0)

    assert strict_json.depth(json.dumps(plain).encode()) == deep(plain)


@pytest.mark.parametrize("piece", [b'\\"', b'"', b'"\\', b"\\", b"[]", b'"a",', b'{"a":', b'"\\\\'])
def test_hostile_headers_cost_linear_time(piece: bytes) -> None:
    """Four times the text may take about four times as long, not sixteen; and never seconds."""
    raw = b'"' + piece * (limits.HEADER_BYTES // len(piece) - 1)
    start = time.monotonic()
    with pytest.raises(WireError):
        codec.decode([raw])
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "frames", [[], (), [None], [5], ["text"], [memoryview(ping() * 2)[::2]], [ping(), None]]
)
def test_what_are_no_frames_is_refused(frames: Any) -> None:
    with pytest.raises(WireError):
        codec.decode(frames)


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
