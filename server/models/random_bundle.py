# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles with random weights in the exact public layout, full or tiny, to try a machine without a download.

Numbers are drawn and written tensor by tensor, so that memory stays at the largest one. A random bundle says
in ``bundle.toml`` that it is random; its sounds mean nothing.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...addon.wire.errors import BadInput, ModelError
from . import layouts, manifest, tokens
from .bundle_parts import CONFIGS
from .layouts import Config, Layout

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Report = Callable[[str, float], None]  # what is being written, how much of all is done (0..1)
LICENCE = "None needed: random numbers"
NOTE = (
    "Random weights in the public layout. The CLAP tokenizer has a small vocabulary of its own, "
    "because the public one comes with the public model."
)
_CLASS_SEED = {"unet": 1, "vae": 2, "vocoder": 3, "clip": 4, "clap": 5}


def write_random_bundle(
    name: str, root: Path, tiny: bool = False, seed: int = 0, progress: Report | None = None
) -> None:
    """Writes the bundle ``name`` (one of ``layouts.NAMES``) into the new or empty folder ``root``.

    The same name, size and seed give the same files. Raises BadInput, ModelError (disk full).
    """
    if name not in layouts.NAMES:
        raise BadInput(f"There is no layout named {name[:80]!r}; choose one of {', '.join(layouts.NAMES)}.")
    plan = layouts.layout(name, tiny=tiny)
    with new_folder(root):
        _write_parts(plan, root, seed, progress or (lambda what, done: None))
        manifest.seal(root, _manifest(name, root, tiny))


@contextmanager
def new_folder(root: Path) -> Iterator[None]:
    """A new or empty folder that a random model is written into; gone again if the disk fails.

    Raises BadInput, ModelError.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise BadInput(f"{root} is not empty; choose a new folder for the random model.")
    root.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except OSError as error:
        shutil.rmtree(root, ignore_errors=True)
        raise ModelError(
            f"The random model could not be written to {root}; is the disk full?", str(error)
        ) from error


def builders(plan: Layout) -> dict[str, Callable[[], nn.Module]]:
    """Part -> a function that makes its module from the public class, with the weights that the class starts
    with.
    """
    import diffusers
    import open_clip
    import transformers

    clap = json.loads(json.dumps(plan.clap))
    text = {
        key: value for key, value in plan.text_encoder.items() if key not in ("architectures", "model_type")
    }
    vocoder = {
        key: value for key, value in plan.vocoder.items() if key not in ("architectures", "model_type")
    }
    return {
        "unet": lambda: diffusers.UNet2DConditionModel(**_plain(plan.unet)),
        "vae": lambda: diffusers.AutoencoderKL(**_plain(plan.vae)),
        "vocoder": lambda: transformers.SpeechT5HifiGan(transformers.SpeechT5HifiGanConfig(**vocoder)),
        "clip": lambda: open_clip.CLIP(**plan.clip["model_cfg"]),
        "clap": lambda: transformers.ClapModel(transformers.ClapConfig.from_dict(clap)),
        "text_encoder": lambda: transformers.ClapTextModelWithProjection(transformers.ClapTextConfig(**text)),
    }


def _plain(config: Config) -> Config:
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in config.items()
        if not key.startswith("_")
    }


def _write_parts(plan: Layout, root: Path, seed: int, progress: Report) -> None:
    for part, file in CONFIGS.items():
        write_json(root / part / file, getattr(plan, part))
    tokens.write_roberta(root / "clap", plan.vocabulary)
    tokens.write_roberta(root / "tokenizer", plan.vocabulary)
    if plan.clip_vocabulary:
        tokens.write_clip(root / "clip", plan.clip_vocabulary)
    makers = builders(plan)
    for number, (part, file) in enumerate(_WEIGHT_FILES.items()):
        progress(part, number / (len(_WEIGHT_FILES) + 1))
        if part == "text_encoder":
            _write_text_tower(makers[part], root / "clap" / _WEIGHT_FILES["clap"], root / part / file)
        else:
            write_random(makers[part], root / part / file, seed * 16 + _CLASS_SEED[part])
    progress("hashes", len(_WEIGHT_FILES) / (len(_WEIGHT_FILES) + 1))


_WEIGHT_FILES = {
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
    "vocoder": "model.safetensors",
    "clip": "open_clip_model.safetensors",
    "clap": "model.safetensors",
    "text_encoder": "model.safetensors",
}


def _manifest(name: str, root: Path, tiny: bool) -> manifest.Manifest:
    size = "tiny, random weights" if tiny else "random weights"
    return manifest.Manifest(
        name=root.name if manifest.NAME.fullmatch(root.name) else f"{name}-random",
        title=f"{name} ({size})",
        licence=LICENCE,
        commercial=True,
        sampling_rate=16000,
        clip=f"open_clip ViT-B-32 ({size})",
        clap=f"CLAP HTSAT ({size})",
        random=True,
        note=NOTE,
    )


def write_json(path: Path, plain: Config) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def write_random(build: Callable[[], nn.Module], path: Path, seed: int) -> None:
    """The weights of a module, drawn one by one, as a safetensors file. Raises OSError."""
    import torch
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        module = build()
    generator = torch.Generator().manual_seed(seed)
    owners = {
        f"{prefix}.{name}".lstrip("."): (owner, name)
        for prefix, owner in module.named_modules()
        for name, _ in owner.named_parameters(recurse=False)
    }
    state = module.state_dict()

    def values() -> Iterator[Tensor]:
        for key, value in state.items():
            yield _draw(*owners[key], value.shape, generator) if key in owners else value

    _stream(path, {key: (value.dtype, tuple(value.shape)) for key, value in state.items()}, values())


def _write_text_tower(build: Callable[[], nn.Module], clap: Path, path: Path) -> None:
    """The text half of a ClapModel under the names of ClapTextModelWithProjection, the same numbers."""
    from accelerate import init_empty_weights
    from safetensors import safe_open

    with init_empty_weights(include_buffers=False):
        names = list(build().state_dict())
    with safe_open(str(clap), framework="pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in names}
    _stream(
        path,
        {key: (value.dtype, tuple(value.shape)) for key, value in tensors.items()},
        iter(tensors.values()),
    )


def _draw(owner: nn.Module, name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Random values of a scale that neither dies out nor blows up through many layers."""
    import torch
    from torch import nn

    if not shape:
        return torch.tensor(math.log(1 / 0.07))  # CLIP's and CLAP's logit scale
    if name.endswith("bias"):
        return torch.zeros(shape)
    if isinstance(owner, nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d):
        return torch.ones(shape)
    noise = torch.randn(shape, generator=generator)
    if isinstance(owner, nn.Embedding) or name.endswith(("embedding", "table")):
        return noise.mul_(0.02)
    if isinstance(owner, nn.ConvTranspose1d):
        return noise.mul_((shape[0] * shape[2] / owner.stride[0]) ** -0.5)
    fan_in = shape[0] if name in ("proj", "text_projection") else math.prod(shape[1:])
    return noise.mul_(fan_in**-0.5)


def _stream(
    path: Path, rows: dict[str, tuple[torch.dtype, tuple[int, ...]]], values: Iterator[Tensor]
) -> None:
    """Writes a safetensors file, one tensor in memory at a time."""
    import torch

    kinds = {torch.float32: ("F32", 4), torch.int64: ("I64", 8)}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    position = 0
    for name, (dtype, shape) in rows.items():
        kind, item = kinds[dtype]
        end = position + item * math.prod(shape)
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [position, end]}
        position = end
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        for value in values:
            stream.write(value.contiguous().numpy().data)
        stream.flush()
        os.fsync(stream.fileno())
