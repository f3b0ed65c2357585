# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokenizers: read from a bundle's own files, and small ones written for random bundles and for the starter.

``Tokens`` wraps the ``tokenizers`` library over one listed file: nothing is looked up in a cache or a
network.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...addon.wire.errors import ModelRefused

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENS_AT_ONCE = (
    256  # a job can be stopped only between two batches, and a processor is hardly faster with more
)
_WORDS = """
a the of and in on with to is are into from over under near far small large old new wet dry hard soft
slow fast loud quiet sound sounds noise music silence ambience room hall street forest sea wind rain
thunder storm water river wave splash drip pour fire crackle burn explosion crash bang hit knock tap
click snap scrape creak squeak rattle roll slide drop fall break shatter glass wood wooden metal metallic
stone concrete gravel sand snow ice leather cloth paper plastic footsteps walking running jumping landing
boots shoes barefoot stairs door opening closing slam lock key window chair table drawer engine motor car
truck train plane helicopter bicycle horn siren alarm bell clock machine saw hammer drill gun shot sword
punch kick whoosh swish dog barking cat meowing bird singing chirping horse galloping cow sheep insect
bee crowd people talking laughing crying shouting applause baby breath cough sneeze eating drinking
typing keyboard phone ringing guitar piano drum violin trumpet flute being played someone something man
woman child
"""


class Tokens:
    """Texts to token ids by the rules of one tokenizer file."""

    def __init__(self, path: Path, *, limit: int, vocabulary: int) -> None:
        """``limit``: tokens kept of a text; ``vocabulary``: size of the model's. Raises ModelRefused."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(path))
        if self._tokenizer.get_vocab_size() > vocabulary:
            raise ModelRefused(f"{path} knows more words than the model it came with; pull the model again.")
        pad = self._tokenizer.token_to_id("<pad>")
        self._tokenizer.enable_truncation(max_length=limit)
        self._tokenizer.enable_padding(pad_id=pad or 0, pad_token="<pad>" if pad else "<|endoftext|>")

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """ids (N, L) int64 padded to the longest text, mask (N, L) int64 (1: a token, 0: padding)."""
        rows = self._tokenizer.encode_batch(list(texts))
        return (
            np.array([row.ids for row in rows], dtype=np.int64),
            np.array([row.attention_mask for row in rows], dtype=np.int64),
        )


def batches(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Indices of texts to be read together: (N,) tokens of each -> those of like length, so that next to
    nothing is padding; of TOKENS_AT_ONCE tokens, or a single text.
    """
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * counts[order[stop]] <= TOKENS_AT_ONCE:
            stop += 1
        yield order[start:stop]
        start = stop


def write_roberta(folder: Path, size: int, texts: Sequence[str] = ()) -> None:
    """A byte-level BPE tokenizer of at most ``size`` tokens with RoBERTa's special tokens, in all files it is
    read from: tokenizer.json, vocab.json, merges.txt, tokenizer_config.json, special_tokens_map.json.

    ``texts``: what it is trained on; it then makes no difference between capital and small letters. Without
    them: some common words.
    """
    from tokenizers import processors

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = _train(size, special, texts)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    folder.mkdir(parents=True, exist_ok=True)
    _save(tokenizer, folder)
    model = json.loads(tokenizer.to_str())["model"]
    words = json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":"))
    (folder / "vocab.json").write_bytes(words.encode())
    pairs = "".join(f"{first} {second}\n" for first, second in model["merges"])
    (folder / "merges.txt").write_bytes(f"#version: 0.2\n{pairs}".encode())
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>"}
    names |= {"cls_token": "<s>", "pad_token": "<pad>", "mask_token": "<mask>"}
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2), encoding="utf-8")
    config = {
        "tokenizer_class": "RobertaTokenizer",
        "model_max_length": 512,
        "add_prefix_space": bool(texts),
        **names,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


def write_clip(folder: Path, size: int, texts: Sequence[str] = ()) -> None:
    """``tokenizer.json`` in CLIP's manner: lower case, a start and an end token that is the largest id.

    ``texts`` as for ``write_roberta``.
    """
    from tokenizers import AddedToken, normalizers, processors

    tokenizer = _train(size - 2, [], texts)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False) for text in ("<|startoftext|>", "<|endoftext|>")]
    )
    start, end = (tokenizer.token_to_id(text) or 0 for text in ("<|startoftext|>", "<|endoftext|>"))
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", end), ("<|startoftext|>", start)
    )
    folder.mkdir(parents=True, exist_ok=True)
    _save(tokenizer, folder)


def _save(tokenizer: Tokenizer, folder: Path) -> None:
    """The library's own ``save`` calls a full disk a plain Exception. Raises OSError."""
    (folder / "tokenizer.json").write_bytes(tokenizer.to_str(pretty=True).encode())


def _train(size: int, special: list[str], texts: Sequence[str]) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    if texts:
        tokenizer.normalizer = normalizers.Lowercase()
    # With few tokens to spend, a word is the same at the start of a text and within it.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(texts))
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(list(texts) or [_WORDS], trainer)
    return tokenizer
