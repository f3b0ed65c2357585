# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m footfall.scripts.truth.pictures --out DIR``: truth scenes as small grey pictures, by Cycles.

Every frame of the scene, as large as Footfall looks at films, with the quick denoiser. The pictures are
DIR/KIND-SEED-RATE/0001.png and so on; each line on standard output is {truth, folder, places}: where in the
picture each hit of the truth is seen, across and down, 0 to 1. Pictures that exist are kept.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bpy
from bpy_extras.object_utils import world_to_camera_view
from mathutils import Vector

from .lines import own_stdout, scene_arguments
from .make import make
from .model import KINDS, Truth

WIDTH, HEIGHT = 320, 224  # what addon/shots/motion.py makes of the scenes' shape
_CYCLES = {
    "device": "CPU",
    "samples": 2,
    "use_adaptive_sampling": False,
    "max_bounces": 2,
    "use_denoising": True,
    "denoising_quality": "FAST",
    "denoising_prefilter": "NONE",
    "denoising_input_passes": "RGB_ALBEDO",
}


def render(scene: bpy.types.Scene, folder: Path) -> None:
    """Every frame of ``scene`` into ``folder``, unless it is full already."""
    settings = scene.render
    settings.engine, settings.use_persistent_data = "CYCLES", True
    settings.resolution_x, settings.resolution_y, settings.resolution_percentage = WIDTH, HEIGHT, 100
    settings.image_settings.file_format, settings.image_settings.color_mode = "PNG", "BW"
    settings.threads_mode, settings.threads = "FIXED", 1
    for name, value in _CYCLES.items():
        setattr(scene.cycles, name, value)
    count = scene.frame_end - scene.frame_start + 1
    if len(list(folder.glob("*.png"))) == count:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        scene.frame_set(scene.frame_start + number)
        settings.filepath = str(folder / f"{number + 1:04d}.png")
        bpy.ops.render.render(write_still=True)


def shoot(kind: str, seed: int, rate: str, out: Path) -> dict[str, Any]:
    """One scene's truth and where its pictures are."""
    scene, truth = make(kind, seed, rate)
    folder = out / f"{kind}-{seed}-{truth.rate}"
    render(scene, folder)
    return {"truth": asdict(truth), "folder": str(folder), "places": places(scene, truth)}


def places(scene: bpy.types.Scene, truth: Truth) -> list[tuple[float, float]]:
    """Of each hit of ``truth``, at its time."""
    found = []
    for hit in truth.hits:
        frame = scene.frame_start + hit.time_s * truth.per_second
        scene.frame_set(math.floor(frame), subframe=frame - math.floor(frame))
        across, up, _ = world_to_camera_view(scene, scene.camera, Vector(hit.place))
        found.append((across, 1.0 - up))
    return found


def main() -> int:
    parser = scene_arguments("footfall.scripts.truth.pictures", __doc__)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the pictures go")
    options = parser.parse_args()
    lines = own_stdout()
    for kind in options.kind or KINDS:
        for seed in options.seeds:
            lines.write(json.dumps(shoot(kind, seed, options.rate or "24", options.out.resolve())) + "\n")
    lines.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
