# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the text-only fit takes its words and its means from: a bundle's towers, or those just trained."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..models.bundle import Bundle, SpaceId, open_bundle
from ..models.captions import captions
from ..models.clap import ClapEncoder
from ..models.clip import ClipEncoder
from . import features, parts
from .pairs import Pairs, read_pairs
from .text_fit import Words, mean_of
from .world_pairs import TRAIN, space_of, world_pairs

MOST = 4096  # pairs that a mean is taken of


def bundle_words(model: Path, data: Path | None = None) -> Words:
    """The project's captions in both text towers of a bundle; means from ``data``, a folder of embeddings.

    Raises ModelMissing, ModelRefused, BadInput.
    """
    bundle = open_bundle(model)
    words = _words(bundle, captions(), bundle.clip_space, bundle.clap_space)
    return _with_means(words, read_pairs(data)) if data else words


def world_words(work: Path, data: Path | None = None) -> Words:
    """The world's captions and the project's in the text towers of the work folder, with the world's means.

    Raises ModelMissing, BadInput.
    """
    pairs = read_pairs(data) if data else world_pairs(work, TRAIN)
    found = features.load(work, TRAIN, ("clap",)).words if not data else ()
    texts = tuple(dict.fromkeys((*found, *captions())))
    with tempfile.TemporaryDirectory() as folder:
        bundle = parts.assemble(work, ("clip", "clap"), Path(folder))
        words = _words(bundle, texts, space_of(work, "clip"), space_of(work, "clap"))
    return _with_means(words, pairs)


def _words(bundle: Bundle, texts: tuple[str, ...], clip_space: SpaceId, clap_space: SpaceId) -> Words:
    cpu = torch.device("cpu")
    clip = ClipEncoder.load(bundle, cpu, torch.float32)
    seen = _unit(clip.encode_text(texts))
    del clip
    heard = ClapEncoder.load(bundle, cpu, torch.float32).encode_text(texts)
    return Words(seen=seen, heard=_unit(heard), clip_space=clip_space, clap_space=clap_space)


def _unit(rows: Tensor) -> Tensor:
    return normalize(rows.float(), dim=-1).clone()


def _with_means(words: Words, pairs: Pairs) -> Words:
    """Pictures and sounds are averaged each for itself; which belong together is not looked at."""
    some = pairs.parted()[0].some(MOST)
    frames, sounds = some.take(range(len(some)))
    return replace(words, picture=mean_of(frames.mean(1)), sound=mean_of(sounds))
