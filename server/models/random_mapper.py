# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappers with random weights, put into a bundle of random weights, so that every kind can be tried."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...addon.wire.errors import BadInput, ModelError
from . import manifest
from .bundle import Bundle, open_bundle
from .weights import save_weights

if TYPE_CHECKING:
    from torch import nn

KINDS = ("regression", "generative", "text_prior")
_TINY_PRIOR = {"layers": 2, "heads": 2, "head_size": 16}
_TINY_HIDDEN = 64
_TINY_STEPS = 4


def write_random_mapper(bundle_root: Path, kind: str, seed: int = 0, tiny: bool = False) -> None:
    """Writes ``mappers/KIND`` (or ``text_prior``) and lists it in ``bundle.toml``; an older one is replaced.

    ``kind``: one of KINDS. The same bundle, size and seed give the same files. Raises BadInput for another
    kind or for a bundle whose weights are not random themselves; ModelMissing, ModelRefused for the bundle;
    ModelError when it cannot be written.
    """
    if kind not in KINDS:
        raise BadInput(f"There is no mapper {kind[:40]!r} to be written; choose one of {', '.join(KINDS)}.")
    bundle = open_bundle(bundle_root)
    if not bundle.random:
        raise BadInput(
            f"{bundle.title} has real weights, and a random mapper would spoil its sound; "
            "put it into a model that footfall models random has written."
        )
    network, config = _network(bundle, kind, seed, tiny)
    folder = kind if kind == "text_prior" else f"mappers/{kind}"
    final = bundle.root / folder
    fresh = final.with_name(f".{kind}.part")
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        _write(fresh, network, config)
        shutil.rmtree(final, ignore_errors=True)
        fresh.rename(final)
        manifest.add_folder(bundle.root, folder)
    except OSError as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise ModelError(
            f"The random mapper could not be written to {final}; is the disk full?", str(error)
        ) from error


def _network(bundle: Bundle, kind: str, seed: int, tiny: bool) -> tuple[nn.Module, dict[str, Any]]:
    import torch

    from .mapper import RegressionNetwork, spaces
    from .prior import GenerativePrior

    clip_size = int(bundle.config("clip")["model_cfg"]["embed_dim"])
    clap_size = int(bundle.config("clap")["projection_dim"])
    config: dict[str, Any] = spaces(bundle.clip_space, bundle.clap_space)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "regression":
            sizes = {"clip_size": clip_size, "clap_size": clap_size}
            sizes |= {"hidden": _TINY_HIDDEN} if tiny else {}
            return RegressionNetwork(**sizes), config | {"network": sizes}
        sizes = {"size": clip_size if kind == "text_prior" else clap_size, "clip_size": clip_size}
        sizes |= _TINY_PRIOR if tiny else {}
        steps = _TINY_STEPS if tiny else GenerativePrior.STEPS
        return GenerativePrior(**sizes), config | {"network": sizes, "steps": steps}


def _write(folder: Path, network: nn.Module, config: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_weights(network.state_dict(), folder / "model.safetensors", {"format": "pt"})
