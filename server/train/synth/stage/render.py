# SPDX-License-Identifier: GPL-3.0-or-later
"""Renders the shots: Cycles at a few samples a pixel, small JPEG files that exist whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import bpy

from ..shot import Shot
from .build import Stage, clear
from .scenes import SCENES

QUALITY = 88


def prepare(size: int = 112, samples: int = 2, threads: int = 1) -> bpy.types.Scene:
    """An empty file with one scene, set to render small pictures fast and the same every time."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.edit.use_global_undo = False
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.render.use_persistent_data = False
    scene.render.use_compositing = scene.render.use_sequencer = False
    scene.render.use_file_extension = False
    for name in ("date", "time", "render_time", "memory", "filename", "hostname", "camera", "scene", "frame"):
        setattr(scene.render, f"use_stamp_{name}", False)  # in the file, they would differ from run to run
    image = scene.render.image_settings
    image.file_format, image.quality = "JPEG", QUALITY
    scene.view_settings.view_transform = "Standard"
    _cycles(scene.cycles, samples)
    return scene


def _cycles(cycles: bpy.types.PropertyGroup, samples: int) -> None:
    cycles.device, cycles.samples = "CPU", samples
    cycles.use_adaptive_sampling = cycles.use_denoising = cycles.use_light_tree = False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 0, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces, cycles.volume_bounces = 2, 10, 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 3.0


def picture(folder: Path, key: str, number: int) -> Path:
    """Where picture ``number`` of a shot lies."""
    return folder / f"{key}.{number}.jpg"


def build(shot: Shot, scene: bpy.types.Scene) -> Stage:
    """Clear the stage and set it up for ``shot``. Raises ValueError for a family that has no pictures."""
    if shot.family not in SCENES:
        raise ValueError(f"the family {shot.family!r} has no pictures")
    clear()
    stage = Stage(shot, scene)
    SCENES[shot.family](stage)
    if stage.camera is None:
        raise ValueError(f"the scene of {shot.family!r} has no camera")
    scene.cycles.seed = shot.seed % 2**31
    return stage


def render(shot: Shot, times_s: Sequence[float], folder: Path, scene: bpy.types.Scene) -> int:
    """Write one picture for each time; returns how many were missing. OSError if the disk takes no more."""
    missing = [n for n in range(len(times_s)) if not picture(folder, shot.key, n).exists()]
    if not missing:
        return 0
    stage = build(shot, scene)
    for number in missing:
        stage.pose(float(times_s[number]))
        _write(scene, picture(folder, shot.key, number))
    return len(missing)


def _write(scene: bpy.types.Scene, target: Path) -> None:
    """Render into a file beside ``target`` first: a run that is killed leaves no half pictures."""
    part = target.with_name(target.name + ".part")
    scene.render.filepath = str(part)
    try:
        bpy.ops.render.render(write_still=True)
    except RuntimeError as error:
        part.unlink(missing_ok=True)
        raise OSError(f"cannot write {target.name}: {error}") from error
    os.replace(part, target)
