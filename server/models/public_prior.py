# SPDX-License-Identifier: GPL-3.0-or-later
"""The public priors from words to pictures: Karlo's, Kandinsky 2.1's and 2.2's, in diffusers' exact layout.

Their network (diffusers' PriorTransformer, about a billion parameters) reads every token that CLIP's text
tower makes of the words, beside their row, and predicts a picture's row that was brought to mean 0 and
deviation 1; ``clip_mean`` and ``clip_std`` bring it back. Sampling is that of their own pipelines: the
posterior of Ho et al. 2020 at rounded even times, with guidance against the empty text, the prediction kept
within a range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...addon.wire.errors import ModelRefused
from .bundle import Bundle
from .bundle_parts import TEXT_PRIOR
from .device import memory_guard
from .prior import TRAIN_STEPS, Step, steps_at
from .weights import load_weights

if TYPE_CHECKING:
    from diffusers import PriorTransformer

    from .clip import ClipEncoder

STEPS = 25
GUIDANCE = 4.0
# What a configuration says of its network; how large, says bounds.py.
_SIZES = (
    "num_attention_heads",
    "attention_head_dim",
    "num_layers",
    "embedding_dim",
    "num_embeddings",
    "additional_embeddings",
)
_RANGE = (0.1, 1000.0)  # within which a configuration may keep the predictions

Progress = Callable[[float], None]


def public_steps(count: int) -> tuple[Step, ...]:
    """``count`` 2..1000 times spread evenly from 999 to 0, each rounded to the nearest even where it lies
    between two. Raises ValueError.
    """
    if not 2 <= count <= TRAIN_STEPS:
        raise ValueError(f"{count} steps")
    return steps_at([round(index * (TRAIN_STEPS - 1) / (count - 1)) for index in reversed(range(count))])


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicPrior:
    """``within``: the largest number of a prediction, either way."""

    transformer: PriorTransformer
    within: float
    steps: int = STEPS
    guidance: float = GUIDANCE
    name: str = "public"

    def pictured(
        self, clip: ClipEncoder, texts: Sequence[str], seed: int, progress: Progress | None = None
    ) -> Tensor:
        """(N, C) unit rows of pictures that the texts might describe, float32 on the prior's device. Noise
        comes from ``seed`` on the CPU, the same for every text. ``progress`` is called with 0..1, and may
        raise to stop.
        """
        if not texts:
            return torch.zeros(0, self.transformer.config.embedding_dim)
        words = clip.read_words([*[""] * len(texts), *texts])
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.steps, 1, self.transformer.config.embedding_dim, generator=generator)
        return self.sample(words.rows, words.tokens, words.known, noise, progress)

    @torch.no_grad()
    def sample(
        self, rows: Tensor, tokens: Tensor, known: Tensor, noise: Tensor, progress: Progress | None = None
    ) -> Tensor:
        """rows (2 N, C), tokens (2 N, L, W), known (2 N, L): first N times the empty text, then the texts;
        noise (steps, 1 or N, C), the first of which is the start. Returns (N, C) unit rows.
        """
        weight = self.transformer.proj_in.weight
        with memory_guard(weight.device, "the prior from words to pictures"):
            rows, tokens, noise = rows.to(weight), tokens.to(weight), noise.to(weight)
            known = known.to(weight.device)
            sample = noise[0].expand(len(rows) // 2, -1)
            for index, step in enumerate(public_steps(self.steps)):
                target = self._predict(sample, step.time, rows, tokens, known)
                sample = step.target * target + step.sample * sample
                if step.noise:  # all but the last step
                    sample = sample + step.noise * noise[index + 1]
                if progress is not None:
                    progress((index + 1) / self.steps)
            return normalize(self.transformer.post_process_latents(sample).float(), dim=-1)

    def _predict(self, sample: Tensor, time: int, rows: Tensor, tokens: Tensor, known: Tensor) -> Tensor:
        """The target at ``time``, guided away from the empty text."""
        found = self.transformer(
            torch.cat([sample, sample]),
            time,
            proj_embedding=rows,
            encoder_hidden_states=tokens,
            attention_mask=known,
        ).predicted_image_embedding
        empty, said = found.chunk(2)
        guided: Tensor = empty + self.guidance * (said - empty)
        return guided.clamp(-self.within, self.within)


def load_public_prior(bundle: Bundle, config: Mapping[str, Any], device: torch.device) -> PublicPrior:
    """The prior of a bundle whose ``text_prior/config.json`` is ``config`` and names diffusers' class; that
    it belongs to the bundle's CLIP was checked. Raises ModelMissing, ModelRefused, OutOfMemory.
    """
    from diffusers import PriorTransformer

    sizes = sizes_of(config)
    within = config.get("clip_sample_range")
    for name, size in sizes.items():
        if type(size) is not int or size < 1:
            raise _damaged(bundle, f"{name}: {size!r}"[:200])
    if not isinstance(within, int | float) or not _RANGE[0] <= within <= _RANGE[1]:
        raise _damaged(bundle, f"clip_sample_range: {within!r}"[:200])
    _check_clip(bundle, sizes["embedding_dim"], sizes["num_embeddings"])
    path = bundle.weights(TEXT_PRIOR)
    with memory_guard(device, "the prior from words to pictures"):
        transformer = load_weights(lambda: PriorTransformer(**sizes), path, device=device)
    return PublicPrior(transformer=transformer, within=float(within))


def sizes_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The network's own part of a configuration."""
    return {name: config.get(name) for name in _SIZES}


def _check_clip(bundle: Bundle, size: int, length: int) -> None:
    """The text tower gives as many tokens, of as many numbers, as the prior reads. Raises ModelRefused."""
    model = bundle.config("clip").get("model_cfg", {})
    text = model.get("text_cfg", {})
    if (model.get("embed_dim"), text.get("width"), text.get("context_length", 77)) != (size, size, length):
        raise _damaged(bundle, f"tokens of {text.get('width')!r} numbers, not of {size}"[:200])


def _damaged(bundle: Bundle, detail: str) -> ModelRefused:
    return ModelRefused(
        f"{TEXT_PRIOR} of the model {bundle.title} has a damaged configuration; pull the model again.", detail
    )
