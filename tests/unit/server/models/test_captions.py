# SPDX-License-Identifier: GPL-3.0-or-later
"""The captions themselves, their bank and its cache, and the words that a condition is shown in."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from footfall.addon.wire import limits
from footfall.server.models import captions as module
from footfall.server.models.bundle import Bundle, SpaceId
from footfall.server.models.captions import Bank, captions, load_bank
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
    """Rows that depend on the text alone. ``calls`` counts batches, ``sizes`` their lengths."""

    def __init__(self, size: int, salt: int) -> None:
        self.size = size
        self.salt = salt
        self.sizes: list[int] = []

    def encode_text(self, texts: Sequence[str]) -> torch.Tensor:
        self.sizes.append(len(texts))
        rows = [torch.randn(self.size, generator=self._generator(text)) for text in texts]
        return 3.0 * torch.stack(rows)

    def _generator(self, text: str) -> torch.Generator:
        return torch.Generator().manual_seed(self.salt + int.from_bytes(text.encode()[-6:], "big"))


@pytest.fixture
def encoders() -> tuple[Encoder, Encoder]:
    return Encoder(24, 1), Encoder(16, 2)


def test_bank_holds_unit_rows_of_both_sides(
    tiny: Bundle, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    seen: list[float] = []
    bank = load_bank(tiny, *encoders, tmp_path / "cache", seen.append, TEXTS)
    assert bank.texts == TEXTS
    for encoder, rows in zip(encoders, (bank.clip, bank.clap), strict=True):
        torch.testing.assert_close(rows, normalize(encoder.encode_text(TEXTS), dim=-1))
        assert rows.dtype == torch.float32
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 2


def test_bank_of_the_real_encoders_is_whole(tiny: Bundle, tmp_path: Path) -> None:
    from footfall.server.models.clap import ClapEncoder
    from footfall.server.models.clip import ClipEncoder

    device = torch.device("cpu")
    clip = ClipEncoder.load(tiny, device, torch.float32)
    clap = ClapEncoder.load(tiny, device, torch.float32)
    bank = load_bank(tiny, clip, clap, tmp_path, texts=captions()[:20])
    assert bank.clip.shape == bank.clap.shape == (20, 512)
    again = load_bank(tiny, clip, clap, tmp_path, texts=captions()[:20])
    assert torch.equal(again.clip, bank.clip)
    assert torch.equal(again.clap, bank.clap)


def test_kept_bank_is_used_again_bit_by_bit(
    tiny: Bundle, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    first = load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    calls = len(encoders[0].sizes)
    again = load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    assert len(encoders[0].sizes) == calls
    assert torch.equal(again.clip, first.clip)
    assert torch.equal(again.clap, first.clap)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]


def test_key_changes_with_captions_spaces_and_place(
    tiny: Bundle, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    other = SpaceId(name="other", sha256="0" * 64)
    load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    load_bank(tiny, *encoders, tmp_path, texts=TEXTS[:-1])
    load_bank(tiny, *encoders, tmp_path, texts=TEXTS[::-1])
    load_bank(replace(tiny, clip_space=other), *encoders, tmp_path, texts=TEXTS)
    load_bank(replace(tiny, clap_space=other), *encoders, tmp_path, texts=TEXTS)
    load_bank(tiny, *encoders, tmp_path, texts=TEXTS, computed_on="cuda float16")
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "pickle", "zeros", "other names", "float16", "too few", "not a number"]
)
def test_damaged_bank_is_made_again(
    tiny: Bundle,
    encoders: tuple[Encoder, Encoder],
    tmp_path: Path,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from safetensors.torch import save

    first = load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    (path,) = tmp_path.iterdir()
    raw = path.read_bytes()
    broken = first.clip.clone()
    broken[3, 0] = float("nan")
    path.write_bytes(
        {
            "cut": raw[: len(raw) // 2],
            "empty": b"",
            "pickle": b"\x80\x04" + raw,
            "zeros": raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2),
            "other names": save({"clip": first.clip, "clop": first.clap}),
            "float16": save({"clip": first.clip.half(), "clap": first.clap.half()}),
            "too few": save({"clip": first.clip[1:].clone(), "clap": first.clap[1:].clone()}),
            "not a number": save({"clip": broken, "clap": first.clap}),
        }[damage]
    )
    with caplog.at_level(logging.WARNING, module.__name__):
        again = load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    assert torch.equal(again.clip, first.clip)
    assert torch.equal(again.clap, first.clap)
    assert "made again" in caplog.text
    assert path.read_bytes() == raw


def test_cutting_the_kept_file_later_does_not_hurt(
    tiny: Bundle, encoders: tuple[Encoder, Encoder], tmp_path: Path
) -> None:
    load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    (path,) = tmp_path.iterdir()
    bank = load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    os.truncate(path, 0)
    assert torch.isfinite(bank.clip.sum() + bank.clap.sum())


def test_full_disk_only_costs_the_next_start(
    tiny: Bundle,
    encoders: tuple[Encoder, Encoder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with caplog.at_level(logging.WARNING, module.__name__):
        bank = load_bank(tiny, *encoders, tmp_path, texts=TEXTS)
    assert len(bank.texts) == len(TEXTS)
    assert "could not be kept" in caplog.text
    assert not list(tmp_path.iterdir())


def test_cache_folder_that_is_a_file(
    tiny: Bundle, encoders: tuple[Encoder, Encoder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("not a folder")
    with caplog.at_level(logging.WARNING, module.__name__):
        bank = load_bank(tiny, *encoders, tmp_path / "cache", texts=TEXTS)
    assert len(bank.texts) == len(TEXTS)
    assert "could not be kept" in caplog.text


def test_stopping_keeps_nothing(tiny: Bundle, encoders: tuple[Encoder, Encoder], tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def progress(done: float) -> None:
        raise Enough

    with pytest.raises(Enough):
        load_bank(tiny, *encoders, tmp_path, progress, TEXTS)
    assert not list(tmp_path.iterdir())
    assert encoders[0].sizes == [min(module.BATCH, len(TEXTS))]


def bank_of(count: int) -> Bank:
    generator = torch.Generator().manual_seed(0)
    clip = normalize(torch.randn(count, 24, generator=generator), dim=-1)
    clap = normalize(torch.randn(count, 16, generator=generator), dim=-1)
    return Bank(tuple(f"sound {number}" for number in range(count)), clip, clap)


def test_heard_are_the_nearest_with_weights_that_add_up() -> None:
    bank = bank_of(50)
    heard = bank.heard(bank.clap[7:8])
    assert heard[0].words == "sound 7"
    assert len(heard) == module.HEARD_COUNT
    weights = [row.weight for row in heard]
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    cosines = (bank.clap @ bank.clap[7]).tolist()
    expected = sorted(range(50), key=lambda index: -cosines[index])[: module.HEARD_COUNT]
    assert [row.words for row in heard] == [bank.texts[index] for index in expected]


def test_heard_of_several_windows_is_that_of_their_mean() -> None:
    bank = bank_of(50)
    windows = bank.clap[[3, 3, 9]]
    mean = windows.mean(0, keepdim=True)
    assert bank.heard(windows)[0].words == "sound 3"
    assert [row.words for row in bank.heard(windows)] == [row.words for row in bank.heard(mean)]


def test_heard_with_fewer_captions_than_asked_and_with_nothing_to_go_by() -> None:
    few = bank_of(3)
    assert len(few.heard(few.clap[:1])) == 3
    opposite = torch.cat([few.clap[:1], -few.clap[:1]])
    heard = few.heard(opposite)
    assert [row.words for row in heard] == list(few.texts)
    assert sum(row.weight for row in heard) == pytest.approx(1.0)
