# SPDX-License-Identifier: GPL-3.0-or-later
"""How a painter reads: prompts to the hidden states of a CLIP text encoder, as Stable Diffusion does it.

Every prompt is as long as the tokenizer says, what is behind its end is padding, and the states after the
last norm are what the UNet attends to. A row of numbers may stand in the place of one word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...addon.wire.errors import BadInput, ModelRefused
from .bundle import Bundle, SpaceId
from .weights import load_weights

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import CLIPTextModel

TEXT_ENCODER, TOKENIZER = "pictures/text_encoder", "pictures/tokenizer"
LONGEST = 512  # tokens; a tokenizer that names no length says an absurd one
_PREFIX = "text_model."  # of every name in files that were saved before transformers 5


class Reader:
    """Prompts to states. ``length``: tokens of a prompt; ``width``: of a token; ``space``: whose they are."""

    def __init__(self, model: CLIPTextModel, tokenizer: Tokenizer, pad: str, length: int) -> None:
        """``pad``: the token behind the end. Raises ModelRefused."""
        config = model.config
        self.model = model.requires_grad_(False).eval()
        self.length, self.width = length, int(config.hidden_size)
        self.space = SpaceId(name="", sha256="")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        around = tokenizer.encode("").ids
        pad_id = tokenizer.token_to_id(pad)
        fits = tokenizer.get_vocab_size() <= config.vocab_size and length <= config.max_position_embeddings
        if len(around) != 2 or pad_id is None or not fits:
            raise ModelRefused("The painter's tokenizer and its text encoder do not belong together.")
        self._start, self._end, self._pad = *around, pad_id
        blocked = torch.full((length, length), float("-inf")).triu(1)
        self._mask = blocked.view(1, 1, length, length)

    @classmethod
    def load(cls, bundle: Bundle, device: torch.device, dtype: torch.dtype) -> Reader:
        """Raises ModelMissing, ModelRefused."""
        from transformers import CLIPTextConfig, CLIPTextModel

        said = bundle.config(TEXT_ENCODER)
        plain = {key: value for key, value in said.items() if key[:1] != "_" and key not in _NOT_OURS}

        def build() -> Any:
            try:
                return CLIPTextModel(CLIPTextConfig(**plain))
            except (TypeError, ValueError, KeyError, RuntimeError, ZeroDivisionError) as error:
                raise ModelRefused(
                    f"The text encoder of {bundle.title} has a damaged configuration; pull the model again.",
                    repr(error),
                ) from error

        model = load_weights(
            build,
            bundle.weights(TEXT_ENCODER),
            device=device,
            dtype=dtype,
            rename=lambda name: name.removeprefix(_PREFIX),
            ignore=(f"{_PREFIX}embeddings.position_ids", "text_projection."),
        )
        tokenizer, pad, length = _tokenizer(bundle)
        reader = cls(model, tokenizer, pad, min(length, model.config.max_position_embeddings))
        name = str(said.get("_name_or_path") or "CLIP's text encoder")[:200]
        reader.space = SpaceId(name=name, sha256=bundle.weights_sha256(TEXT_ENCODER))
        return reader

    def ids(self, prompts: Sequence[str]) -> Tensor:
        """(B, L) int64; prompts that are too long are cut."""
        return torch.tensor([self._row(words, self.length) for words in self._words(prompts)])

    def read(self, prompts: Sequence[str], tokens: Tensor | None = None) -> Tensor:
        """(B, L, W). ``tokens`` (B, W): what stands behind each prompt's last word, with gradients to it.

        Raises BadInput unless there are as many as prompts.
        """
        table = self.model.embeddings.token_embedding
        device = table.weight.device
        if tokens is None:
            return self.states(table(self.ids(prompts).to(device)))
        if tokens.shape != (len(prompts), self.width):
            raise BadInput(f"There must be one word of {self.width} numbers for each prompt.")
        words = [row[: self.length - 3] for row in self._words(prompts)]
        ids = torch.tensor([self._row([*row, self._end], self.length) for row in words], device=device)
        places = torch.tensor([len(row) + 1 for row in words], device=device)
        here = torch.arange(self.length, device=device) == places[:, None]
        given = tokens.to(device, table.weight.dtype).unsqueeze(1)
        return self.states(torch.where(here.unsqueeze(-1), given, table(ids)))

    def states(self, rows: Tensor) -> Tensor:
        """(B, L, W) embedded tokens to (B, L, W) states."""
        model = self.model
        self._mask = self._mask.to(rows)
        placed = model.embeddings(inputs_embeds=rows)
        found = model.encoder(inputs_embeds=placed, attention_mask=self._mask, is_causal=False)
        states: Tensor = model.final_layer_norm(found.last_hidden_state)
        return states

    def word(self, text: str) -> Tensor:
        """(W,) the mean of the embeddings of a text's tokens. Raises BadInput if it has none."""
        (row,) = self._words([text])
        if not row:
            raise BadInput("There is no word in an empty label.")
        weights = self.model.embeddings.token_embedding.weight
        return weights[torch.tensor(row, device=weights.device)].mean(0)

    def _words(self, prompts: Sequence[str]) -> list[list[int]]:
        """The tokens of each prompt, without those around it."""
        return [row.ids for row in self._tokenizer.encode_batch(list(prompts), add_special_tokens=False)]

    def _row(self, words: list[int], length: int) -> list[int]:
        row = [self._start, *words[: length - 2], self._end]
        return row + [self._pad] * (length - len(row))


_NOT_OURS = ("architectures", "model_type", "torch_dtype", "dtype", "transformers_version")


def _tokenizer(bundle: Bundle) -> tuple[Tokenizer, str, int]:
    """The tokenizer, its padding token, and the tokens of a prompt. Raises ModelMissing, ModelRefused."""
    said = bundle.config(TOKENIZER)
    pad, length = said.get("pad_token", "<|endoftext|>"), said.get("model_max_length", 77)
    pad = pad.get("content") if isinstance(pad, dict) else pad
    if not isinstance(pad, str) or not isinstance(length, (int, float)) or length < 4:
        raise ModelRefused(f"The tokenizer of {bundle.title} is damaged; pull the model again.")
    try:
        return _open_tokenizer(bundle), pad, int(min(length, LONGEST))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelRefused(
            f"The tokenizer of {bundle.title} is damaged; pull the model again.", repr(error)[:4000]
        ) from error


def _open_tokenizer(bundle: Bundle) -> Tokenizer:
    from tokenizers import Tokenizer

    whole = f"{TOKENIZER}/tokenizer.json"
    if whole in bundle.files:
        bundle.check(whole)
        return Tokenizer.from_file(str(bundle.file(whole)))
    from transformers import CLIPTokenizer

    for name in ("vocab.json", "merges.txt"):
        bundle.check(f"{TOKENIZER}/{name}")
    vocabulary = json.loads(bundle.file(f"{TOKENIZER}/vocab.json").read_text(encoding="utf-8"))
    lines = bundle.file(f"{TOKENIZER}/merges.txt").read_text(encoding="utf-8").splitlines()
    merges: Any = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
    return CLIPTokenizer(vocab=vocabulary, merges=merges).backend_tokenizer
