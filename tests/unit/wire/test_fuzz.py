# SPDX-License-Identifier: GPL-3.0-or-later
"""S9: whatever is done to the golden bytes, nothing but WireError ever leaves ``decode``."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire import codec, messages
from footfall.addon.wire.errors import WireError
from hypothesis import given
from hypothesis import strategies as st

GOLDEN = Path(__file__).parent / "golden"
Frames = list[bytes]

TOKENS = [
    *(
        b"{}",
        b"[]",
        b"null",
        b"true",
        b'""',
        b'"',
        b"\\",
        b",",
        b":",
        b"[",
        b"]",
        b"{",
        b"}",
        b"\x00",
        b"\xff",
    ),
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"-0",
        b"0",
        b"-1",
        b"1e999",
        b"1e-999",
        b"9223372036854775808",
        b"1.5",
    ),
    *(b'"\\ud800"', b'"\\u0000"', b'"type"', b'"body"', b'"shape":[0,0]', b'"buffer":0', b"[[[[[[[[[[[[[["),
]
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 0.5, -0.0, 1e308, 5e-324),
    *("", "a", "\x00", "\ud800", "☂" * 300, "../../x", [], {}, [0], [[]], {"": 0}, [1, 0], [0, 1], [2, 4]),
    *(
        {"shape": [1, 1], "buffer": 0},
        {"shape": [0, 8, 8, 3], "buffer": 1},
        {"shape": [2**62, 4], "buffer": 0},
    ),
]


def golden() -> list[Frames]:
    found = []
    for name in messages.MESSAGES:
        plain = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
        found.append([plain["header"].encode(), *(bytes.fromhex(buffer) for buffer in plain["buffers"])])
    return found


def bytes_changed(frames: Frames, chance: random.Random) -> Frames:
    index = chance.randrange(len(frames))
    data = bytearray(frames[index])
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice([0, 0, 1, 1, 2, 8]))
        data[start:end] = chance.choice(
            [chance.choice(TOKENS), chance.randbytes(1), b"", bytes(data[start:end]) * 2]
        )
    return [*frames[:index], bytes(data), *frames[index + 1 :]]


def frames_changed(frames: Frames, chance: random.Random) -> Frames:
    changed = list(frames)
    match chance.randrange(4):
        case 0:
            del changed[chance.randrange(len(changed))]
        case 1:
            changed.insert(chance.randint(0, len(changed)), chance.choice([b"", b"x", chance.choice(frames)]))
        case 2:
            chance.shuffle(changed)
        case _:
            index = chance.randrange(len(changed))
            changed[index] = changed[index][: chance.randint(0, len(changed[index]))]
    return changed


def values_changed(frames: Frames, chance: random.Random) -> Frames:
    """The header stays JSON, but one value or name in it becomes another."""
    try:
        plain = json.loads(frames[0])
    except ValueError:
        return frames
    nodes: list[tuple[Any, Any]] = []
    waiting = [plain]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            keys = list(node) if isinstance(node, dict) else range(len(node))
            nodes += [(node, key) for key in keys]
            waiting += [node[key] for key in keys]
    if not nodes:
        return frames
    node, key = chance.choice(nodes)
    value = chance.choice([*VALUES, node[key], [node[key]] * 2, plain])
    try:
        if isinstance(node, dict) and chance.random() < 0.2:
            node[chance.choice(["", "type", "body", "later", "seed", "buffer"])] = node.pop(key)
        else:
            node[key] = value
        return [json.dumps(plain).encode(), *frames[1:]]
    except ValueError:  # a cycle
        return frames


MUTATIONS: list[Callable[[Frames, random.Random], Frames]] = [bytes_changed, frames_changed, values_changed]


def throw(frames: Frames) -> bool:
    """True when ``frames`` were a message after all; it can then be sent on."""
    try:
        message = codec.decode(frames)
    except WireError as error:
        error.sentence.encode("utf-8")  # it can be logged and shown
        return False
    codec.encode(message)
    return True


def fuzz(seed: int, stop: Callable[[int], bool]) -> tuple[int, int]:
    chance = random.Random(seed)
    seeds = golden()
    accepted = 0
    for thrown in itertools.count():
        if stop(thrown):
            return thrown, accepted
        frames = chance.choice(seeds)
        for _ in range(chance.choice([1, 1, 1, 2, 3])):
            if frames:
                frames = chance.choice(MUTATIONS)(frames, chance)
        accepted += throw(frames)
    raise AssertionError


def test_fuzz_codec() -> None:
    thrown, accepted = fuzz(5, lambda count: count >= 30_000)
    # Were nearly all or nearly none refused, the mutations would not be reaching the interesting places.
    assert 0.01 < accepted / thrown < 0.5


@pytest.mark.slow
def test_fuzz_codec_for_a_minute() -> None:
    end = time.monotonic() + 60
    seed = time.time_ns()
    print(f"seed {seed}")
    thrown, _ = fuzz(seed, lambda _: time.monotonic() > end)
    assert thrown > 50_000


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_random_bytes_are_refused(frames: Frames) -> None:
    assert not throw(frames)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from([*messages.MESSAGES]), st.dictionaries(st.text(max_size=8), JSON, max_size=4), JSON)
def test_any_json_for_a_body(name: str, body: dict[str, Any], value: Any) -> None:
    for plain in (body, {**body, "job_id": value}, {"number": value}, value):
        throw([json.dumps({"type": name, "body": plain}).encode(), b"12345678"])
