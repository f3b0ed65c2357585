# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is whose kin, how words are drawn, and that kin are drawn together."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.server.models import captions
from footfall.server.models.tokens import Tokens
from footfall.server.train import contrastive, vocabulary
from footfall.server.train.contrastive import KINDS, Heads, Words
from footfall.server.train.kept import Described, keep
from footfall.server.train.shards import Sample
from footfall.server.train.synth.families import NAMES
from footfall.server.train.synth.shots import make_shot
from footfall.tests.fakes.small_disk import small_disk
from torch import Tensor
from torch.nn.functional import normalize

from .towers_world import write_world

SIZE = 384


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of a CLIP and of a CLAP tokenizer."""
    work = tmp_path_factory.mktemp("vocabulary")
    return vocabulary.clip_tokenizer(work, SIZE), vocabulary.clap_tokenizer(work, SIZE)


def tokens(folder: Path) -> Tokens:
    return Tokens(folder / "tokenizer.json", limit=48, vocabulary=SIZE)


def described(numbers: Sequence[int]) -> tuple[Described, ...]:
    shots = [make_shot("train", number) for number in numbers]
    return tuple(
        Described(key=shot.key, family=shot.family, parameters=shot.parameters, captions=shot.captions)
        for shot in shots
    )


# Words --------------------------------------------------------------------------------------------------


def test_tokenizers_do_not_care_for_capitals(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        ids, mask = tokens(folder)(["A Wooden ball FALLING on stone", "a wooden ball falling on stone"])
        assert (ids[0] == ids[1]).all()
        assert mask.sum() < 2 * 20


def test_a_tokenizer_is_trained_once(folders: tuple[Path, Path]) -> None:
    mark = (folders[0] / "tokenizer.json").stat().st_mtime_ns
    assert vocabulary.clip_tokenizer(folders[0].parents[1], SIZE) == folders[0]
    assert (folders[0] / "tokenizer.json").stat().st_mtime_ns == mark
    assert len(vocabulary.fingerprint(folders[0])) == 64


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("footsteps walking slowly on gravel", "steps_gravel"),
        ("heavy boots stomping on a wooden floor", "steps_wood"),
        ("a steel ball bouncing on stone", "impact_metal"),
        ("a wooden block hitting a metal plate", "impact_wood"),
        ("a wine glass shattering on tiles", "glass_break"),
        ("a heavy iron door slamming shut", "door"),
        ("Rain on a window pane", "rain"),
        ("a small dog barking", ""),
        ("a cartoon boing of a spring", ""),
    ],
)
def test_captions_of_the_bank_tell_of_families(text: str, family: str) -> None:
    assert vocabulary.family_of(text) == family


def test_the_bank_knows_every_family_and_much_else() -> None:
    told = vocabulary.bank_families()
    assert set(told.values()) == set(NAMES)
    assert set(told) < set(captions.captions())
    assert len(told) < len(captions.captions()) / 2


def test_words_of_a_shot_are_its_own_or_of_its_family(folders: tuple[Path, Path]) -> None:
    shots, draw = described(range(43)), np.random.default_rng(0)
    words = Words(shots, tokens(folders[1]))
    chosen = np.arange(43)
    numbers, own = zip(*(words.draw(chosen, draw) for _ in range(20)), strict=True)
    assert 0.75 < np.mean(own) < 0.95
    ids, lengths = words.rows(words.first(chosen))
    expected, mask = tokens(folders[1])([shot.captions[0] for shot in shots])
    assert (lengths.numpy() == mask.sum(1)).all()
    for row, length, wanted in zip(ids.numpy(), lengths, expected, strict=True):
        assert (row[:length] == wanted[:length]).all()
        assert not row[length:].any()
    others = words.others(5, draw)
    assert not set(others) & set(np.concatenate(numbers))
    assert words.rows(others[:1])[1].item() == 2  # the empty text: beginning and end


def test_words_that_are_left_out_are_never_the_ends(folders: tuple[Path, Path]) -> None:
    shots, draw = described(range(43)), np.random.default_rng(1)
    words = Words(shots, tokens(folders[0]))
    all_ids, all_lengths = words.rows(words.first(np.arange(43)))
    ids, lengths = words.rows(words.first(np.arange(43)), draw)
    assert (lengths <= all_lengths).all()
    assert (lengths < all_lengths).any()
    assert (ids[:, 0] == all_ids[:, 0]).all()
    rows = torch.arange(43)
    assert (ids[rows, lengths - 1] == all_ids[rows, all_lengths - 1]).all()


# Kin ----------------------------------------------------------------------------------------------------


def test_codes_and_numbers_say_what_a_shot_is() -> None:
    shot = described([1])[0]
    codes, numbers = contrastive.codes_of([shot]), contrastive.numbers_of([shot])
    names = [("", *kind)[code] for kind, code in zip(KINDS.values(), codes[0], strict=True)]
    assert names[0] == shot.family == "impact_metal"
    assert names[1:] == [shot.parameters[key] for key in ("object", "material", "ground")]
    assert numbers[0, 0] == pytest.approx(shot.parameters["size"])
    assert np.isnan(numbers[0, -1])  # nothing comes again and again


def test_kin_share_the_target() -> None:
    codes = torch.tensor([[1, 2, 1, 1], [1, 2, 1, 1], [1, 3, 1, 1], [2, 2, 1, 1], [1, 2, 1, 1]])
    ids = torch.tensor([[5, 6], [5, 6], [7, 8], [5, 6], [9, 9]])
    own = torch.tensor([True, True, True, True, False])
    wanted = contrastive.targets(codes, own, ids, 2)
    assert wanted.shape == (5, 7)
    assert (wanted[:, 5:] == 0).all()  # nobody's words
    assert wanted.diagonal().tolist() == [1, 1, 1, 1, 0.5]
    assert wanted[0, 1] == pytest.approx(1.0)  # same things, same words
    assert wanted[0, 2] == pytest.approx(0.15)  # only the family
    assert wanted[0, 3] == 0  # another family, though the words are the same
    assert wanted[0, 4] == wanted[2, 4] == pytest.approx(0.5)  # a line of the bank is true of all


def test_pairs_are_drawn_together() -> None:
    rows = normalize(torch.randn(6, 16, generator=torch.Generator().manual_seed(0)), dim=-1)
    wanted, scale = torch.nn.functional.pad(torch.eye(6), (0, 1)), torch.tensor(10.0)
    stranger = normalize(torch.ones(1, 16), dim=-1)
    right = contrastive.contrast(rows, torch.cat([rows, stranger]), wanted, scale)
    wrong = contrastive.contrast(rows, torch.cat([rows.roll(1, 0), stranger]), wanted, scale)
    assert right < wrong


def test_heads_learn_names_and_ignore_missing_numbers() -> None:
    torch.manual_seed(0)
    heads, rows = Heads(16), normalize(torch.randn(8, 16), dim=-1)
    shots = described(range(8))
    codes = torch.from_numpy(contrastive.codes_of(shots))
    numbers = torch.from_numpy(contrastive.numbers_of(shots))
    optimiser = torch.optim.Adam(heads.parameters(), 0.05)
    losses: list[Tensor] = []
    for _ in range(60):
        loss, right = heads(rows, codes, numbers)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    assert losses[-1] < losses[0] / 2
    assert right.all()


def test_every_shot_comes_once_before_any_comes_again() -> None:
    found = np.concatenate([contrastive.shuffled(10, 4, step, seed=3) for step in range(5)])
    assert sorted(found[:10]) == sorted(found[10:]) == list(range(10))
    assert (contrastive.shuffled(10, 4, 2, seed=3) == found[8:12]).all()
    assert len(contrastive.shuffled(3, 8, 0, seed=0)) == 8


def test_the_held_out_are_found_by_a_perfect_tower() -> None:
    rows = torch.eye(20)
    families = torch.arange(20) // 2
    found = contrastive.held_out_right(rows, rows, families)
    assert found == {"family": 1.0, "at10": 1.0}
    found = contrastive.held_out_right(rows, -rows, families)
    assert found["family"] < 0.5
    assert found["at10"] == 0


# Kept rows ----------------------------------------------------------------------------------------------


def test_rows_are_made_once_and_again_when_the_world_changes(tmp_path: Path) -> None:
    write_world(tmp_path / "world", 5, 0)
    made: list[str] = []

    def rows(sample: Sample) -> np.ndarray:
        made.append(sample.shot.key)
        return np.full((sample.shot.number % 3, 2), sample.shot.number, np.float16)

    arguments = (tmp_path / "world", "train", tmp_path / "kept", rows)
    first = keep(*arguments, "1")
    assert [shot.key for shot in first.shots] == ["train-000001", "train-000002", "train-000004"]
    assert first.rows.tolist() == [[1, 1], [2, 2], [2, 2], [4, 4]]
    assert first.start.tolist() == [0, 1, 3, 4]
    assert first.shots[0].captions == make_shot("train", 1).captions
    again = keep(*arguments, "1")
    assert len(made) == 5
    assert again.shots == first.shots
    keep(*arguments, "2")
    assert len(made) == 10
    (tmp_path / "world" / "train-0000.tar").rename(tmp_path / "world" / "train-0001.tar")
    keep(*arguments, "2")
    assert len(made) == 15


def test_a_full_disk_leaves_no_half_tokenizer(tmp_path: Path) -> None:
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        vocabulary.clap_tokenizer(tmp_path, SIZE)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_that_goes_away_is_named(tmp_path: Path) -> None:
    """What was begun there cannot be taken away any more either; that is no second error."""
    write_world(tmp_path / "world", 2, 0)
    folder = tmp_path / "kept"

    def rows(sample: Sample) -> np.ndarray:
        if folder.is_dir():
            shutil.rmtree(folder)
            folder.touch()
        return np.ones((1, 2))

    with pytest.raises(SaveError, match=re.escape(f"{folder} could not be written")):
        keep(tmp_path / "world", "train", folder, rows, "1")


def test_a_world_without_anything_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="footfall train world"):
        keep(tmp_path / "none", "train", tmp_path / "kept", lambda sample: np.zeros((1, 1)), "1")
    assert not list((tmp_path / "kept").iterdir())
