# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations that ask for sizes that no model has are refused before anything is built."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models import layouts, prior_layout, sd_layout
from footfall.server.models.audioldm import load_audioldm
from footfall.server.models.bounds import ITEMS, LARGEST, out_of_bounds
from footfall.server.models.bundle import STARTER_ROOT, Bundle, open_bundle
from footfall.server.models.clap import ClapEncoder
from footfall.server.models.clip import ClipEncoder
from footfall.server.models.mapper import load_mapper
from footfall.server.models.random_mapper import write_random_mapper
from footfall.server.models.vocoder import load_vocoder
from footfall.server.models.weights import load_weights

from .conftest import reseal

CPU = torch.device("cpu")


def load(bundle: Bundle, part: str) -> None:
    match part.split("/")[0]:
        case "clip":
            ClipEncoder.load(bundle, CPU, torch.float32)
        case "clap":
            ClapEncoder.load(bundle, CPU, torch.float32)
        case "vocoder":
            load_vocoder(bundle, CPU, torch.float32)
        case "mappers":
            load_mapper(bundle, part.split("/")[1], (512, 512), CPU)
        case _:
            load_audioldm(bundle, CPU, torch.float32)


@pytest.mark.parametrize(
    ("file", "place", "size"),
    [
        ("clip/open_clip_config.json", ("model_cfg", "embed_dim"), 10**6),
        ("clip/open_clip_config.json", ("model_cfg", "vision_cfg", "image_size"), 10**6),
        ("clip/open_clip_config.json", ("model_cfg", "vision_cfg", "patch_size"), 1),
        ("clip/open_clip_config.json", ("model_cfg", "vision_cfg", "width"), 10**6),
        ("clip/open_clip_config.json", ("model_cfg", "text_cfg", "context_length"), 10**6),
        ("clip/open_clip_config.json", ("model_cfg", "text_cfg", "vocab_size"), 10**6),
        ("clap/config.json", ("audio_config", "window_size"), 4096),
        ("clap/config.json", ("audio_config", "depths"), [1] * 1000),
        ("clap/config.json", ("text_config", "max_position_embeddings"), 10**6),
        ("unet/config.json", ("block_out_channels",), [10**6] * 4),
        ("vae/config.json", ("latent_channels",), 10**6),
        ("vocoder/config.json", ("upsample_rates",), [10**6] * 5),
        ("scheduler/scheduler_config.json", ("num_train_timesteps",), 10**9),
        ("mappers/regression/config.json", ("network", "hidden"), 10**6),
        ("mappers/generative/config.json", ("network", "heads"), 10**6),
    ],
)
def test_every_part_is_held_to_the_bounds(
    copy_bundle: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    place: tuple[str, ...],
    size: Any,
) -> None:
    root, part = copy_bundle("huge"), file.rsplit("/", 1)[0]
    if part.startswith("mappers"):
        write_random_mapper(root, part.split("/")[1], tiny=True)
    config = json.loads((root / file).read_text())
    inner = config
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = size
    (root / file).write_text(json.dumps(config))
    reseal(root)

    def build(make: Callable[[], Any], path: Path, **options: Any) -> Any:
        assert path.parent != root / part, "it was built"
        return load_weights(make, path, **options)

    for module in ("clip", "clap", "audioldm", "vocoder", "mapper"):
        monkeypatch.setattr(f"footfall.server.models.{module}.load_weights", build)
    with pytest.raises(ModelRefused, match=r"asks for sizes that no model has; choose another") as caught:
        load(open_bundle(root), part)
    assert caught.value.detail.startswith(f"{place[-1]}: ")


def test_what_exists_lies_within_them() -> None:
    for name in layouts.NAMES:
        whole = layouts.layout(name)
        for part in ("unet", "vae", "vocoder", "scheduler", "clip", "clap", "text_encoder"):
            assert out_of_bounds(getattr(whole, part)) == ""
    for name in prior_layout.NAMES:
        plan = prior_layout.prior_layout(name)
        assert out_of_bounds([plan.clip, plan.prior]) == ""
    for name in sd_layout.NAMES:
        assert out_of_bounds(sd_layout.sd_layout(name)) == ""
    starter = open_bundle(STARTER_ROOT)
    configs = [path for path in starter.files if path.endswith("config.json")]
    assert len(configs) > 10
    for path in configs:
        starter.json(path)


@pytest.mark.parametrize(
    "config",
    [
        {"width": LARGEST + 1},
        {"width": -LARGEST - 1},
        {"width": float("nan")},
        {"mlp_ratio": float("inf")},
        {"mlp_ratio": 1e300},
        {"width": 10**400},
        {"a": [{"b": [[1, LARGEST + 1]]}]},
        {"depths": [1] * (ITEMS + 1)},
        {"window_size": 33},
    ],
)
def test_out_of_bounds(config: dict[str, Any]) -> None:
    assert out_of_bounds(config)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"width": LARGEST, "quick_gelu": True, "act": "gelu", "dropout": None, "depths": [1] * ITEMS},
        {"vocab_size": 50_265, "pad_token_id": 49_407, "sampling_rate": 48_000},
        {"trained": {"parameters": 10**9}, "model_max_length": 10**30},
    ],
)
def test_within_bounds(config: dict[str, Any]) -> None:
    assert out_of_bounds(config) == ""
