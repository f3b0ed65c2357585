# SPDX-License-Identifier: GPL-3.0-or-later
"""R21: golden bytes of every message, and the gate between versions.

A change here means that an older half of Footfall would be misunderstood: raise PROTOCOL_MAJOR with it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from footfall.addon.wire import codec, messages
from footfall.addon.wire.errors import Malformed, VersionMismatch, WireError
from footfall.addon.wire.version import check_version

GOLDEN = Path(__file__).parent / "golden"
Example = Callable[[str], messages.Message]


def golden_frames(name: str) -> list[bytes]:
    plain = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return [plain["header"].encode(), *(bytes.fromhex(buffer) for buffer in plain["buffers"])]


def test_every_message_has_its_golden_bytes() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == {*messages.MESSAGES, "defaults"}


@pytest.mark.parametrize("name", messages.MESSAGES)
def test_encode_gives_the_golden_bytes(name: str, example: Example) -> None:
    assert [bytes(frame) for frame in codec.encode(example(name))] == golden_frames(name)


@pytest.mark.parametrize("name", messages.MESSAGES)
def test_decode_understands_the_golden_bytes(name: str) -> None:
    message = codec.decode(golden_frames(name))
    assert type(message) is messages.MESSAGES[name]
    assert [bytes(frame) for frame in codec.encode(message)] == golden_frames(name)


def test_defaults_are_pinned_because_they_do_not_travel() -> None:
    known = [kind for kind in vars(messages).values() if isinstance(kind, type)]
    kinds = {kind for kind in known if dataclasses.is_dataclass(kind) and issubclass(kind, messages.Message)}
    defaults = {
        kind.__name__: {
            item.name: repr(item.default)
            for item in dataclasses.fields(kind)
            if item.default is not dataclasses.MISSING
        }
        for kind in kinds
    }
    pinned = json.loads((GOLDEN / "defaults.json").read_text("utf-8"))
    assert {name: values for name, values in defaults.items() if values} == pinned


@pytest.mark.parametrize("name", ["Hello", "Ready"])
def test_a_greeting_always_says_its_version(name: str) -> None:
    """Left out as a default, another major version would look like our own."""
    body = json.loads(golden_frames(name)[0])["body"]
    assert (body["major"], body["minor"]) == (messages.PROTOCOL_MAJOR, messages.PROTOCOL_MINOR)
    del body["major"]
    with pytest.raises(Malformed, match="major"):
        codec.decode([json.dumps({"type": name, "body": body}).encode()])


@pytest.mark.parametrize("theirs", [0, 1, 99, -1, True, None])
def test_version_gate(theirs: int) -> None:
    with pytest.raises(VersionMismatch) as caught:
        check_version(theirs, "7.8.9\x00")
    for part in (f"protocol {theirs}", f"protocol {messages.PROTOCOL_MAJOR}", "7.8.9"):
        assert part in caught.value.sentence
    assert "\x00" not in caught.value.sentence


def test_our_own_version_passes() -> None:
    check_version(messages.PROTOCOL_MAJOR, "0.0.1")


@pytest.mark.parametrize("name", messages.MESSAGES)
def test_an_unknown_field_is_refused(name: str) -> None:
    header, *buffers = golden_frames(name)
    plain = json.loads(header)
    plain["body"]["later"] = 1
    with pytest.raises(Malformed, match="later"):
        codec.decode([json.dumps(plain).encode(), *buffers])


@pytest.mark.parametrize(
    "name", ["", "Bye", "ping", "Message", "Event", "FoleyRequest", 1, None, [], {}, "\ud800"]
)
def test_an_unknown_type_is_refused(name: object) -> None:
    with pytest.raises(Malformed):
        codec.decode([json.dumps({"type": name, "body": {}}).encode()])


@pytest.mark.parametrize("name", messages.MESSAGES)
def test_every_missing_field_is_refused(name: str) -> None:
    header, *buffers = golden_frames(name)
    for item in dataclasses.fields(messages.MESSAGES[name]):
        if item.default is dataclasses.MISSING:
            plain = json.loads(header)
            del plain["body"][item.name]
            with pytest.raises(WireError):
                codec.decode([json.dumps(plain).encode(), *buffers])


class Impostor(messages.Ping):
    """Not a message of the protocol, though it is derived from one."""


def test_only_messages_of_the_protocol_are_encoded(make_request: Callable) -> None:
    for stranger in (Impostor(number=1), make_request(), object()):
        with pytest.raises(Malformed):
            codec.encode(stranger)
