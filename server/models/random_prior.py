# SPDX-License-Identifier: GPL-3.0-or-later
"""Public priors from words to pictures with random weights in their exact layout, each with its CLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...addon.wire.errors import BadInput
from . import manifest
from .bundle_parts import CONFIGS, TEXT_PRIOR
from .prior_layout import NAMES, prior_layout
from .public_prior import sizes_of
from .random_bundle import LICENCE, Report, new_folder, write_json, write_random

WEIGHTS = {"clip": "open_clip_model.safetensors", TEXT_PRIOR: "diffusion_pytorch_model.safetensors"}
NOTE = "Random weights in the public layout."


def write_random_prior(
    name: str, root: Path, *, seed: int = 0, tiny: bool = False, progress: Report | None = None
) -> None:
    """Writes the prior ``name`` (one of ``prior_layout.NAMES``) and its CLIP into the new or empty folder
    ``root``. The same name, size and seed give the same files. Raises BadInput, ModelError (disk full).
    """
    import open_clip
    from diffusers import PriorTransformer

    if name not in NAMES:
        raise BadInput(f"There is no prior named {name[:80]!r}; choose one of {', '.join(NAMES)}.")
    plan = prior_layout(name, tiny=tiny)
    title = f"{name} ({'tiny, ' if tiny else ''}random weights)"
    clip = f"CLIP of {title}"
    tell = progress or (lambda what, done: None)
    with new_folder(root):
        tell("clip", 0.0)
        write_json(root / "clip" / CONFIGS["clip"], plan.clip)
        path = root / "clip" / WEIGHTS["clip"]
        write_random(lambda: open_clip.CLIP(**plan.clip["model_cfg"]), path, 2 * seed)
        tell(TEXT_PRIOR, 0.4)
        space = {"name": clip, "sha256": manifest.sha256_file(path)}
        prior: dict[str, Any] = {**plan.prior, "clip": space}
        write_json(root / TEXT_PRIOR / "config.json", prior)
        path = root / TEXT_PRIOR / WEIGHTS[TEXT_PRIOR]
        write_random(lambda: PriorTransformer(**sizes_of(prior)), path, 2 * seed + 1)
        said = manifest.Manifest(
            name=root.name if manifest.NAME.fullmatch(root.name) else f"{name}-random",
            title=title,
            licence=LICENCE,
            commercial=True,
            sampling_rate=16_000,
            clip=clip,
            clap="",
            random=True,
            note=NOTE,
        )
        manifest.seal(root, said)
        tell("hashes", 1.0)
