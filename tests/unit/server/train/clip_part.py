# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished CLIP of our own layout, tiny and with random weights, as a training leaves it."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from footfall.server.models import tokens
from footfall.server.train.starter_layout import TINY_VOCABULARY, starter_layout
from safetensors.torch import save_file

TEXTS = ("a drum", "rain on a window", "a bell", "a photo of a wooden ball", "thunder in the distance")


def write_clip_part(folder: Path, seed: int = 0) -> open_clip.CLIP:
    """Writes the part and returns the model, in eval mode."""
    config = starter_layout(tiny=True).clip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**config["model_cfg"]).eval()
    folder.mkdir(parents=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    tokens.write_clip(folder, TINY_VOCABULARY, TEXTS)
    state = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    save_file(
        {name: value.contiguous() for name, value in state.items()}, folder / "open_clip_model.safetensors"
    )
    return model
