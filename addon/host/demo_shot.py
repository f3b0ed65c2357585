# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo shot: a small workshop where things fall, bounce, slide and roll while it rains at the window.

Everything is made by this script and moves along exact parabolas, so that each contact lies on a known frame;
``HITS`` is the truth that the demo is measured against. Each hit is also a timeline marker, which is what an
animator would set.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import bpy

from . import demo_parts as parts

NAME = "Footfall demo"
FPS = 24
START, END = 101, 276  # not 1, as in most productions
GRAVITY = 9.81


@dataclass(frozen=True, slots=True)
class Hit:
    """A contact: its frame, what is heard, how hard (0 to 1), and the first word of its marker."""

    frame: int
    words: str
    strength: float
    kind: str = "hit"

    @property
    def time_s(self) -> Fraction:
        """From the first frame of the shot."""
        return Fraction(self.frame - START, FPS)


WOOD, METAL = "wooden ball on wooden planks", "steel ball on metal plate"
HITS = (
    Hit(117, WOOD, 1.0),
    Hit(133, WOOD, 0.7),
    Hit(144, WOOD, 0.5),
    Hit(152, WOOD, 0.35),
    Hit(160, METAL, 1.0),
    Hit(174, METAL, 0.7),
    Hit(184, METAL, 0.5),
    Hit(191, METAL, 0.35),
    Hit(200, "stone block sliding on stone", 0.5, "slide"),
    Hit(228, "stone block on stone floor", 1.0),
    Hit(250, "glass marble on tin can", 0.8),
)


def build() -> bpy.types.Scene:
    """A new scene with the shot in it; nothing else in the file is touched."""
    scene = bpy.data.scenes.new(NAME)
    scene.frame_start, scene.frame_end = START, END
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    scene.render.resolution_x, scene.render.resolution_y = 1280, 720
    _room(scene)
    _wooden_ball(scene)
    _steel_ball(scene)
    _stone_block(scene)
    _marble_and_can(scene)
    _rain(scene)
    parts.light_and_camera(scene)
    for hit in HITS:
        scene.timeline_markers.new(f"{hit.kind} {hit.strength:g} {hit.words}", frame=hit.frame)
    scene.frame_set(START)
    return scene


def render(scene: bpy.types.Scene, folder: Path, width: int = 384, samples: int = 3) -> None:
    """Every frame of the shot as a small PNG. The scene's own render settings are put back."""
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    wanted = {
        render: {
            "use_persistent_data": True,
            "resolution_x": width,
            "resolution_y": width * 9 // 16,
            "filepath": str(folder) + "/",
        },
        render.image_settings: {"file_format": "PNG"},
        cycles: {"device": "CPU", "samples": samples, "use_denoising": False, "max_bounces": 3},
    }
    before = {owner: {name: getattr(owner, name) for name in values} for owner, values in wanted.items()}
    try:
        _assign(wanted)
        bpy.ops.render.render(animation=True, scene=scene.name)
    finally:
        _assign(before)
        render.engine = bpy.types.RenderSettings.bl_rna.properties["engine"].default or "CYCLES"
        scene.frame_set(START)


def _assign(values: Mapping[bpy.types.bpy_struct, Mapping[str, object]]) -> None:
    for owner, settings in values.items():
        for name, value in settings.items():
            setattr(owner, name, value)


def _room(scene: bpy.types.Scene) -> None:
    wood, stone, metal = parts.material("wood"), parts.material("stone"), parts.material("steel")
    wall = parts.material("plaster")
    for index in range(5):  # the planks of the workbench
        x = -2.4 + 0.5 * index
        parts.box(
            scene, "Wooden plank", (x, 0.0, 0.72), (0.47, 1.5, 0.06), wood, shade=0.85 + 0.07 * (index % 3)
        )
    parts.box(scene, "Metal plate", (0.5, 0.0, 0.735), (1.24, 1.5, 0.03), metal)
    parts.box(scene, "Stone slab", (1.92, 0.0, 0.66), (1.56, 1.5, 0.18), stone)
    parts.box(scene, "Workbench", (-0.02, 0.0, 0.62), (5.4, 1.46, 0.1), wood, shade=0.55)
    for x in (-2.5, 2.45):
        parts.box(scene, "Bench leg", (x, 0.0, 0.3), (0.16, 1.3, 0.6), wood, shade=0.5)
    parts.box(scene, "Stone floor", (0.0, 0.0, -0.05), (12.0, 8.0, 0.1), stone, shade=0.8)
    for x, width in ((-3.4, 5.2), (4.2, 3.6)):
        parts.box(scene, "Wall", (x, 1.9, 1.6), (width, 0.2, 3.4), wall)
    parts.box(scene, "Wall below the window", (0.8, 1.9, 0.55), (3.2, 0.2, 1.3), wall)
    parts.box(scene, "Wall above the window", (0.8, 1.9, 3.05), (3.2, 0.2, 0.7), wall)
    for x in (-0.75, 0.8, 2.35):
        parts.box(scene, "Window frame", (x, 1.85, 1.95), (0.08, 0.12, 1.5), wood, shade=0.6)
    for z in (1.22, 2.68):
        parts.box(scene, "Window frame", (0.8, 1.85, z), (3.2, 0.14, 0.08), wood, shade=0.6)
    parts.box(scene, "Rainy sky", (0.8, 3.2, 2.0), (9.0, 0.05, 5.0), parts.material("sky"))


def _wooden_ball(scene: bpy.types.Scene) -> None:
    radius = 0.17
    ball = parts.ball(scene, "Wooden ball", radius, parts.material("ball wood"))
    contacts = [hit.frame for hit in HITS if hit.words == WOOD]
    _bounce(ball, 0.75 + radius, START + 4, contacts, rest=contacts[-1] + 5)
    parts.line(
        ball, "location", 0, [(START, -2.3), (contacts[0], -2.1), (contacts[-1] + 5, -1.35), (170, -1.3)]
    )
    parts.hold(ball, "location", 1, -0.1)
    parts.line(ball, "rotation_euler", 1, [(START + 4, 0.0), (170, 5.5)])


def _steel_ball(scene: bpy.types.Scene) -> None:
    radius = 0.12
    ball = parts.ball(scene, "Steel ball", radius, parts.material("steel", polished=True))
    contacts = [hit.frame for hit in HITS if hit.words == METAL]
    _bounce(ball, 0.75 + radius, contacts[0] - 12, contacts, rest=contacts[-1] + 5)
    parts.line(ball, "location", 0, [(START, 0.45), (contacts[0], 0.5), (contacts[-1] + 5, 0.95)])
    parts.hold(ball, "location", 1, -0.15)


def _stone_block(scene: bpy.types.Scene) -> None:
    slide, fall = (hit for hit in HITS if "stone block" in hit.words)
    half = 0.14
    block = parts.box(scene, "Stone block", (0, 0, 0), (2 * half,) * 3, parts.material("stone", dark=True))
    edge = fall.frame - 9  # nine frames of free fall from the slab to the floor
    top, floor = 0.75 + half, half
    parts.hold(block, "location", 1, -0.35)
    parts.ease(block, "location", 0, [(slide.frame, 1.8), (edge, 2.74)])
    parts.line(block, "location", 0, [(edge, 2.74), (fall.frame, 3.0), (fall.frame + 4, 3.04)])
    curve = parts.curve(block, "location", 2)
    parts.parabola(curve, edge, top, fall.frame, floor, 0.0, 2.0 * (floor - top) / (fall.frame - edge))
    parts.line(block, "rotation_euler", 1, [(edge, 0.0), (fall.frame, math.pi / 2)])


def _marble_and_can(scene: bpy.types.Scene) -> None:
    hit = next(hit for hit in HITS if "marble" in hit.words)
    radius, can_radius = 0.07, 0.14
    can_x = -0.75
    touch = can_x - can_radius - radius
    marble = parts.ball(scene, "Glass marble", radius, parts.material("glass"))
    parts.hold(marble, "location", 1, -0.62)
    parts.hold(marble, "location", 2, 0.75 + radius)
    roll = [(hit.frame - 46, -2.75), (hit.frame, touch), (hit.frame + 14, touch - 0.12)]
    parts.line(marble, "location", 0, roll)
    parts.line(marble, "rotation_euler", 1, [(frame, (x + 2.75) / radius) for frame, x in roll])
    can = parts.can(scene, "Tin can", can_radius, 0.36, parts.material("tin"))
    parts.hold(can, "location", 1, -0.62)
    parts.hold(can, "location", 2, 0.75 + 0.18)
    parts.ease(can, "location", 0, [(hit.frame, can_x), (hit.frame + 8, can_x + 0.07)])


def _rain(scene: bpy.types.Scene) -> None:
    """Streaks behind the window, falling in loops; no two alike, the same in every run."""
    chance = random.Random(4)
    water = parts.material("water")
    for _ in range(46):
        drop = parts.ball(scene, "Rain drop", 0.012, water, rings=6)
        drop.scale = (1.0, 1.0, chance.uniform(6.0, 14.0))
        parts.hold(drop, "location", 0, chance.uniform(-0.7, 2.3))
        parts.hold(drop, "location", 1, chance.uniform(2.05, 2.6))
        period = chance.randint(9, 16)
        begin = START - chance.randint(0, period)
        parts.loop(drop, "location", 2, (begin, 3.0), (begin + period, 0.9))


def _bounce(ball: bpy.types.Object, ground: float, release: int, contacts: list[int], rest: int) -> None:
    """Drop at ``release``, touch at each of ``contacts``, lie still from ``rest``. Heights follow gravity."""
    curve = parts.curve(ball, "location", 2)
    fall = contacts[0] - release
    height = ground + 0.5 * GRAVITY * (fall / FPS) ** 2
    parts.parabola(curve, release, height, contacts[0], ground, 0.0, 2.0 * (ground - height) / fall)
    for begin, end in zip(contacts, [*contacts[1:], rest], strict=True):
        rise = 0.5 * GRAVITY * ((end - begin) / FPS) / FPS  # height per frame at the start of the flight
        parts.parabola(curve, begin, ground, end, ground, rise, -rise)
