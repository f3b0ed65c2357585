# SPDX-License-Identifier: GPL-3.0-or-later
"""The captions themselves, their bank and its cache, and the words that a condition is shown in."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire import limits
from footfall.server.models import captions as module
from footfall.server.models.bundle import Bundle, SpaceId
from footfall.server.models.captions import Progress, Side, captions, load_side
from footfall.server.models.clap import ClapEncoder
from footfall.server.models.clip import ClipEncoder
from footfall.server.models.tokens import TOKENS_AT_ONCE, batches
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch.nn.functional import normalize

TEXTS = ("a dog barking", "rain on a tin roof", "a door slamming shut", "a bell") * 5 + ("the last one",)
TEXTS = tuple(f"{text} {number}" for number, text in enumerate(TEXTS))

# Beginnings of words of AudioSet's and VGGSound's subject matter, and of what animators need.
SUBJECTS = """
footstep boot heel bare gravel snow leave mud marble carpet ladder staircase wood metal stone glass
plastic rubber ceramic cardboard hammer axe sword whip bounc roll dragged scrap whoosh flag sail
cloth leather zipper velcro paper card coin keys dice typewriter camera match door gate cupboard
drawer window elevator lock chair bed toilet shower tap wash kettle blender microwave drill saw
chainsaw jackhammer weld sandpaper lathe anvil factory gear ratchet pulley winch stream river
waterfall wave rain drop splash bubble boil sizzl pour slime ice hail wind thunder storm tornado
earthquake volcano avalanche fire fireplace explosion firework cannon gun rubble car truck
motorcycle bus tractor siren horn train tram subway aeroplane helicopter rocket spaceship boat
submarine bicycle skateboard carriage dog cat horse cow sheep goat pig donkey rooster hens turkey
duck geese pigeon crow owl woodpecker cuckoo parrot eagle gull penguin frog cricket cicada mosquito
bee fly snake crocodile mouse fox wolf bear lion tiger elephant camel monkey whale seal deer dragon
dinosaur monster zombie ghost speak whisper shout scream laugh cry baby cough sneeze snor breath
hiccup burp kiss clapp applause crowd cheer boo heart knuckle chew slurp basketball tennis golf bowl
box hockey ski trampoline bell alarm clock telephone radio television modem metronome gong guitar
piano violin cello harp flute clarinet saxophone trumpet trombone tuba organ accordion harmonica
bagpipe drum cymbal xylophone tambourine choir opera jazz orchestra techno lullaby fanfare silence
echo hum static noise church forest street market harbour cave desert jungle office kitchen
restaurant hospital classroom cartoon boing bonk slide squeaky magic laser robot portal teleport
creature rumble creak rattle jingle clatter hiss buzz squeal crunch crackl
"""


def test_there_are_enough_and_none_twice() -> None:
    found = captions()
    assert len(found) >= 2000

    def bare(text: str) -> str:
        words = re.findall(r"[\w'-]+", text.lower())
        return " ".join(word for word in words if word not in ("a", "an", "the"))

    assert len({bare(text) for text in found}) == len(found)


def test_each_is_one_plain_line_that_fits() -> None:
    for text in captions():
        assert 8 <= len(text) <= limits.WORDS, text
        assert 2 <= len(text.split()) <= 16, text  # CLIP cuts at 77 tokens
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9' -]*[a-z]", text), text  # no heading, no full stop
        assert "  " not in text
        words = text.lower().split()
        for article, word in pairwise(words):
            if article in ("a", "an") and not word.startswith(("u", "h", "x", "8")):
                assert (article == "an") == (word[0] in "aeio"), text


def test_subjects_are_covered() -> None:
    words = " ".join(captions()).lower()
    endings = "(e|s|es|ing|ings|ed|er|ning|ter|ping|s's|'s|ies)?"
    missing = [stem for stem in SUBJECTS.split() if not re.search(rf"\b{stem}{endings}\b", words)]
    assert not missing


class Encoder:
    """Rows that depend on the text alone. ``calls`` counts the texts of each call."""

    def __init__(self, size: int = 24, salt: int = 1, space: str = "a") -> None:
        self.size = size
        self.salt = salt
        self.space = SpaceId(name=space, sha256=space * 64)
        self.calls: list[int] = []

    def encode_text(self, texts: Sequence[str], progress: Progress | None = None) -> torch.Tensor:
        self.calls.append(len(texts))
        rows = []
        for number, text in enumerate(texts, 1):
            rows.append(torch.randn(self.size, generator=self._generator(text)))
            if progress:
                progress(number / len(texts))
        return 3.0 * torch.stack(rows)

    def _generator(self, text: str) -> torch.Generator:
        return torch.Generator().manual_seed(self.salt + int.from_bytes(text.encode()[-6:], "big"))


def test_a_side_holds_unit_rows_in_the_order_of_the_texts(tmp_path: Path) -> None:
    seen: list[float] = []
    side = load_side(Encoder(), tmp_path / "cache", seen.append, TEXTS)
    assert side.texts == TEXTS
    torch.testing.assert_close(side.rows, normalize(Encoder().encode_text(TEXTS), dim=-1))
    assert side.rows.dtype == torch.float32
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 2


@pytest.mark.parametrize("kind", [ClipEncoder, ClapEncoder])
def test_sides_of_the_real_encoders_are_those_of_each_text_alone(
    tiny: Bundle, tmp_path: Path, kind: type[ClipEncoder | ClapEncoder]
) -> None:
    encoder = kind.load(tiny, torch.device("cpu"), torch.float32)
    texts = captions()[:: len(captions()) // 60]
    side = load_side(encoder, tmp_path, texts=texts)
    alone = torch.cat([encoder.encode_text([text]) for text in texts])
    torch.testing.assert_close(side.rows, normalize(alone, dim=-1), atol=2e-6, rtol=0)
    again = load_side(encoder, tmp_path, texts=texts)
    assert torch.equal(again.rows, side.rows)


def test_a_kept_side_is_used_again_bit_by_bit(tmp_path: Path) -> None:
    encoder = Encoder()
    first = load_side(encoder, tmp_path, texts=TEXTS)
    again = load_side(encoder, tmp_path, texts=TEXTS)
    assert encoder.calls == [len(TEXTS)]
    assert torch.equal(again.rows, first.rows)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_key_changes_with_captions_space_and_place(tmp_path: Path) -> None:
    load_side(Encoder(), tmp_path, texts=TEXTS)
    load_side(Encoder(), tmp_path, texts=TEXTS[:-1])
    load_side(Encoder(), tmp_path, texts=TEXTS[::-1])
    load_side(Encoder(space="b"), tmp_path, texts=TEXTS)
    load_side(Encoder(), tmp_path, texts=TEXTS, computed_on="cuda float16")
    assert len(list(tmp_path.iterdir())) == 5


def without_length(rows: torch.Tensor) -> torch.Tensor:
    broken = rows.clone()
    broken[3, 0] = float("nan")
    return broken


DAMAGE: dict[str, Callable[[bytes, torch.Tensor], bytes]] = {
    "cut": lambda raw, rows: raw[: len(raw) // 2],
    "empty": lambda raw, rows: b"",
    "pickle": lambda raw, rows: b"\x80\x04" + raw,
    "zeros": lambda raw, rows: raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2),
    "other names": lambda raw, rows: save({"raws": rows}),
    "one more": lambda raw, rows: save({"rows": rows, "more": rows.clone()}),
    "float16": lambda raw, rows: save({"rows": rows.half()}),
    "too few": lambda raw, rows: save({"rows": rows[1:].clone()}),
    "not a number": lambda raw, rows: save({"rows": without_length(rows)}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_side_is_made_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    first = load_side(Encoder(), tmp_path, texts=TEXTS)
    (path,) = tmp_path.iterdir()
    raw = path.read_bytes()
    path.write_bytes(DAMAGE[damage](raw, first.rows))
    with caplog.at_level(logging.WARNING, module.__name__):
        again = load_side(Encoder(), tmp_path, texts=TEXTS)
    assert torch.equal(again.rows, first.rows)
    assert "made again" in caplog.text
    assert path.read_bytes() == raw


def test_cutting_the_kept_file_later_does_not_hurt(tmp_path: Path) -> None:
    load_side(Encoder(), tmp_path, texts=TEXTS)
    (path,) = tmp_path.iterdir()
    side = load_side(Encoder(), tmp_path, texts=TEXTS)
    os.truncate(path, 0)
    assert torch.isfinite(side.rows.sum())


def test_full_disk_only_costs_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING, module.__name__):
        side = load_side(Encoder(), tmp_path, texts=TEXTS)
    assert len(side.rows) == len(TEXTS)
    assert "could not be kept" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["mkdir", "write_bytes"])
def test_read_only_folder_only_costs_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, call, refuse)
    with caplog.at_level(logging.WARNING, module.__name__):
        side = load_side(Encoder(), tmp_path / "cache", texts=TEXTS)
    assert len(side.rows) == len(TEXTS)
    assert "could not be kept" in caplog.text


def test_cache_folder_that_is_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with caplog.at_level(logging.WARNING, module.__name__):
        side = load_side(Encoder(), tmp_path / "cache", texts=TEXTS)
    assert len(side.rows) == len(TEXTS)
    assert "could not be kept" in caplog.text


class Enough(Exception):
    pass


def enough(done: float) -> None:
    raise Enough


def test_stopping_keeps_nothing(tmp_path: Path) -> None:
    with pytest.raises(Enough):
        load_side(Encoder(), tmp_path, enough, TEXTS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [ClipEncoder, ClapEncoder])
def test_real_encoders_tell_how_far_they_are_and_can_be_stopped(
    tiny: Bundle, kind: type[ClipEncoder | ClapEncoder]
) -> None:
    encoder = kind.load(tiny, torch.device("cpu"), torch.float32)
    seen: list[float] = []
    encoder.encode_text(captions()[:100], seen.append)
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    with pytest.raises(Enough):
        encoder.encode_text(captions()[:100], enough)


@given(st.lists(st.integers(1, 600), max_size=200))
def test_batches_hold_every_text_once_and_no_more_tokens_than_at_once(counts: list[int]) -> None:
    found = list(batches(np.array(counts, dtype=np.int64)))
    assert sorted(index for batch in found for index in batch.tolist()) == list(range(len(counts)))
    longest = [max(counts[index] for index in batch) for batch in found]
    assert longest == sorted(longest)
    for batch, length in zip(found, longest, strict=True):
        assert counts[batch[-1]] == length
        assert len(batch) == 1 or len(batch) * length <= TOKENS_AT_ONCE


def side_of(count: int) -> Side:
    rows = torch.randn(count, 16, generator=torch.Generator().manual_seed(0))
    return Side(tuple(f"sound {number}" for number in range(count)), normalize(rows, dim=-1))


def test_heard_are_the_nearest_with_weights_that_add_up() -> None:
    side = side_of(50)
    heard = side.heard(side.rows[7:8])
    assert heard[0].words == "sound 7"
    assert len(heard) == module.HEARD_COUNT
    weights = [row.weight for row in heard]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    cosines = (side.rows @ side.rows[7]).tolist()
    expected = sorted(range(50), key=lambda index: -cosines[index])[: module.HEARD_COUNT]
    assert [row.words for row in heard] == [side.texts[index] for index in expected]


def test_heard_of_several_windows_is_that_of_their_mean() -> None:
    side = side_of(50)
    windows = side.rows[[3, 3, 9]]
    mean = windows.mean(0, keepdim=True)
    assert side.heard(windows)[0].words == "sound 3"
    assert [row.words for row in side.heard(windows)] == [row.words for row in side.heard(mean)]


def test_heard_with_fewer_captions_than_asked_and_with_nothing_to_go_by() -> None:
    few = side_of(3)
    assert len(few.heard(few.rows[:1])) == 3
    opposite = torch.cat([few.rows[:1], -few.rows[:1]])
    heard = few.heard(opposite)
    assert [row.words for row in heard] == list(few.texts)
    assert sum(row.weight for row in heard) == pytest.approx(1.0)
