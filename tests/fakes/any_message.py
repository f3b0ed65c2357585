# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies for every message that the protocol knows, and how two are compared."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
from footfall.addon.wire import fields, limits, messages
from footfall.addon.wire.texts import FORBIDDEN
from hypothesis import strategies as st


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
