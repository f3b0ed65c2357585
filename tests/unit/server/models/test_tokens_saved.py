# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokenizers that are written: as the library's own files, and a full disk is an OSError."""

from __future__ import annotations

from pathlib import Path

import pytest
from footfall.server.models import tokens
from footfall.tests.fakes.small_disk import small_disk
from tokenizers import Tokenizer

TEXTS = ("a glass breaks", 'rain on "metal" \\ Łódź', "glass on gravel")


@pytest.mark.parametrize("texts", [TEXTS, ()])
def test_the_files_are_those_of_the_library(tmp_path: Path, texts: tuple[str, ...]) -> None:
    ours, library = tmp_path / "ours", tmp_path / "library"
    library.mkdir()
    tokens.write_roberta(ours, 300, texts)
    tokenizer = Tokenizer.from_file(str(ours / "tokenizer.json"))
    tokenizer.save(str(library / "tokenizer.json"))
    tokenizer.model.save(str(library))
    assert len(list(library.iterdir())) == 3
    for path in library.iterdir():
        assert (ours / path.name).read_bytes() == path.read_bytes()


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        tokens.write_roberta(tmp_path / "clap", 2000, TEXTS)
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        tokens.write_clip(tmp_path / "clip", 2000, TEXTS)
