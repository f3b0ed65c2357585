# SPDX-License-Identifier: GPL-3.0-or-later
"""From words to pictures, both as rows of CLIP's space: what is asked when a sound is wanted from words alone
and the generator, or the mapper, knows pictures only (CLIPSonic-PD, Dong et al. 2023, arXiv:2306.09635).

A bundle has one such prior at most, in ``text_prior/``: the lean one that ``footfall train prior`` makes, or
a public one (public_prior.py). Its configuration names the CLIP that it was made for by the hash of its
weights, and any other is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from ...addon.wire.errors import ModelMissing
from .bundle import Bundle
from .bundle_parts import TEXT_PRIOR
from .mapper import Generative, check_sizes, check_space, load_prior

if TYPE_CHECKING:
    from .clip import ClipEncoder

Progress = Callable[[float], None]


class TextPrior(Protocol):
    def pictured(
        self, clip: ClipEncoder, texts: Sequence[str], seed: int, progress: Progress | None = None
    ) -> Tensor:
        """(N, C) unit rows of pictures that the texts might describe, float32 on the prior's device.

        ``clip``: of the same bundle. Texts longer than CLIP reads are cut. ``progress`` is called with 0..1,
        and may raise to stop.
        """


@dataclass(frozen=True, slots=True)
class LeanPrior:
    """The network of the generative mapper, from the row of the words to the row of a picture."""

    mapper: Generative

    def pictured(
        self, clip: ClipEncoder, texts: Sequence[str], seed: int, progress: Progress | None = None
    ) -> Tensor:
        return self.mapper.map(clip.encode_text(texts), seed, progress)


def load_text_prior(bundle: Bundle, device: torch.device) -> TextPrior:
    """Raises ModelMissing, ModelRefused, OutOfMemory."""
    if not bundle.has(TEXT_PRIOR):
        raise ModelMissing(
            f"The model {bundle.title} has no prior from words to pictures; "
            "choose the condition clip_text or clap_text instead, or another model."
        )
    config = bundle.json(f"{TEXT_PRIOR}/config.json")
    check_space(config, "clip", bundle.clip_space, bundle, "prior", "ask by clip_text instead")
    if "_class_name" in config:
        from .public_prior import load_public_prior

        return load_public_prior(bundle, config, device)
    prior, steps = load_prior(bundle, TEXT_PRIOR, config, device)
    check_sizes(bundle, TEXT_PRIOR, (prior.clip_size,), (prior.size,))
    return LeanPrior(Generative(prior, steps))
