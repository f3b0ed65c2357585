# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine renders small pictures, and how to make a scene cheap for it."""

from __future__ import annotations

import glob
import os

import bpy
import gpu

from .stage import BORROWS, PLAIN, Stage

WORKBENCH = "BLENDER_WORKBENCH"
CYCLES = "CYCLES"

# One sample and the quick denoiser: a tenth more time than the sample alone, and a picture instead of grain.
_QUICK_CYCLES = {
    "device": "CPU",
    "use_adaptive_sampling": False,
    "max_bounces": 2,
    "use_denoising": True,
    "denoising_quality": "FAST",
    "denoising_prefilter": "NONE",
    "denoising_input_passes": "RGB_ALBEDO",
}
_QUICK_WORKBENCH = {"light": "STUDIO", "color_type": "TEXTURE", "show_shadows": False, "show_xray": False}


def make_quick(stage: Stage, scene: bpy.types.Scene, engine: str, samples: int) -> None:
    """Make a throwaway scene of ``stage`` cheap to render."""
    # Not "simplify": switching it tags every object, and that throws unbaked physics away.
    stage.change(scene, "render", PLAIN | {"engine": engine, "use_persistent_data": engine == CYCLES})
    if engine == CYCLES:
        values = _QUICK_CYCLES | {"samples": samples}
        if BORROWS and scene.rigidbody_world is not None:
            del values["use_denoising"]  # in a borrowed scene, switching it throws unbaked physics away
        stage.change(scene, "cycles", values)
    elif engine == WORKBENCH:
        stage.change(scene, "display.shading", _QUICK_WORKBENCH)
        stage.change(scene, "display", {"render_aa": "FXAA"})
    layers = [number for number, layer in enumerate(scene.view_layers) if layer.use]
    for number in layers[1:]:  # without compositing only the first shows
        stage.change(scene, f"view_layers[{number}]", {"use": False})


def pick_engine(scene: bpy.types.Scene, wanted: str = "auto") -> str:
    """Workbench where there is a graphics card, Cycles where there is none. ``wanted``: workbench, cycles."""
    if wanted == "workbench" or not hasattr(scene, "cycles") or (wanted == "auto" and has_gpu()):
        return WORKBENCH
    return CYCLES


def has_gpu() -> bool:
    """Whether drawing is done by a graphics card. In background before 5.1 only the system can be asked."""
    try:
        if bpy.app.background and hasattr(gpu, "init"):
            gpu.init()
        return bool(gpu.platform.device_type_get() not in {"SOFTWARE", "UNKNOWN"})
    except SystemError:
        return _system_has_gpu()


def _system_has_gpu() -> bool:
    if os.name != "posix" or os.uname().sysname == "Darwin":
        return True
    return bool(glob.glob("/dev/dri/renderD*") or glob.glob("/dev/nvidia[0-9]*"))
