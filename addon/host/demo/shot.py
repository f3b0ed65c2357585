# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo shot: on a workbench, things fall, bounce, slide and roll, while it rains at the window.

Everything is made by this script and flies along exact parabolas, so that each contact lies on a known frame;
``HITS`` is the truth that the demo is measured against. On request each is also a timeline marker, which is
what an animator would set.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import bpy

from ...wire.errors import SaveError
from . import parts

NAME = "Footfall demo"
FPS = 24
START, END = 101, 276  # not 1, as in most productions
GRAVITY = 9.81
TOP = 0.75  # of the workbench, above the floor
BACKGROUND = "rain on a window"  # what an animator adds: the starter hears a train in this picture

_PNG_END = b"IEND\xaeB`\x82"
_Settings = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Hit:
    """A contact: its frame, what is heard, how hard (0 to 1), which object, and the marker's first word."""

    frame: int
    words: str
    strength: float
    thing: str
    kind: str = "hit"

    @property
    def time_s(self) -> Fraction:
        """From the first frame of the shot."""
        return Fraction(self.frame - START, FPS)

    @property
    def marker(self) -> str:
        return f"{self.kind} {self.strength:g} {self.words}"


BALL, STEEL, BLOCK, MARBLE, CAN = "Wooden ball", "Steel ball", "Stone block", "Glass marble", "Tin can"
HITS = (
    Hit(117, "wooden ball on wooden planks", 1.0, BALL),
    Hit(133, "wooden ball on wooden planks", 0.7, BALL),
    Hit(144, "wooden ball on wooden planks", 0.5, BALL),
    Hit(152, "wooden ball on wooden planks", 0.35, BALL),
    Hit(160, "steel ball on metal plate", 1.0, STEEL),
    Hit(174, "steel ball on metal plate", 0.7, STEEL),
    Hit(184, "steel ball on metal plate", 0.5, STEEL),
    Hit(191, "steel ball on metal plate", 0.35, STEEL),
    Hit(202, "stone block sliding on stone", 0.5, BLOCK, "slide"),
    Hit(228, "stone block on stone floor", 1.0, BLOCK),
    Hit(250, "glass marble on tin can", 0.8, MARBLE),
    Hit(262, "tin can on wooden planks", 0.6, CAN),
)
# Contacts too soft to be marked: each ball's last hop, the marble off the ramp's foot, the can's second tip.
FAINT_FRAMES = (157, 196, 235, 268)


def build(*, marked: bool = True) -> bpy.types.Scene:
    """A new scene with the shot in it; nothing else in the file is touched. ``marked``: hits as markers."""
    scene = bpy.data.scenes.new(NAME)
    scene.frame_start, scene.frame_end = START, END
    scene.render.fps, scene.render.fps_base = FPS, 1.0
    scene.render.resolution_x, scene.render.resolution_y = 1280, 720
    _room(scene)
    _workbench(scene)
    _wooden_ball(scene)
    _steel_ball(scene)
    _stone_block(scene)
    _marble(scene)
    _can(scene)
    _rain(scene)
    parts.light_and_camera(scene)
    shading = scene.display.shading
    shading.light, shading.color_type = "STUDIO", "MATERIAL"
    shading.show_shadows = shading.show_cavity = True
    for hit in HITS if marked else ():
        scene.timeline_markers.new(hit.marker, frame=hit.frame)
    if hasattr(scene, "footfall"):  # the add-on is enabled
        scene.footfall.background = BACKGROUND
        if marked:  # these hits and no others are heard
            scene.footfall.events = "markers"
    scene.frame_set(START)
    return scene


def _room(scene: bpy.types.Scene) -> None:
    wall, wood = parts.material("wall"), parts.material("dark wood")
    for column in range(7):
        for row in range(4):
            shade = (1.0, 0.82, 0.92)[(column * 2 + row) % 3]
            place = (-2.4 + 0.8 * column, -1.6 + 0.8 * row, -0.02)
            parts.box(scene, "Stone tile", place, (0.79, 0.79, 0.04), parts.material("tile", shade))
    for x, width in ((-2.05, 2.5), (2.45, 2.0)):
        parts.box(scene, "Wall", (x, 1.0, 1.4), (width, 0.12, 2.9), wall)
    parts.box(scene, "Wall", (0.33, 1.0, 0.5), (2.3, 0.12, 1.06), wall)
    parts.box(scene, "Wall", (0.33, 1.0, 2.5), (2.3, 0.12, 0.7), wall)
    for x in (-0.8, 0.325, 1.45):
        parts.box(scene, "Window frame", (x, 0.95, 1.59), (0.06, 0.08, 1.16), wood)
    for z in (1.04, 2.13):
        parts.box(scene, "Window frame", (0.325, 0.95, z), (2.31, 0.1, 0.06), wood)
    parts.box(scene, "Window sill", (0.325, 0.88, 1.0), (2.44, 0.22, 0.05), wood)
    parts.box(scene, "Rainy sky", (0.3, 2.2, 1.6), (6.0, 0.05, 4.0), parts.material("sky"))
    x, y, z = parts.LAMP
    parts.cone(scene, "Lamp shade", (x, y, z + 0.08), (0.2, 0.06), 0.16, parts.material("shade"))
    parts.ball(scene, "Lamp bulb", 0.05, parts.material("bulb")).location = parts.LAMP
    parts.box(scene, "Lamp cord", (x, y, z + 0.7), (0.012, 0.012, 1.2), wood)
    parts.box(scene, "Shelf", (-1.62, 0.84, 1.42), (0.9, 0.2, 0.03), wood)
    for index, (name, height) in enumerate(
        (("tin", 0.2), ("label", 0.25), ("glass", 0.17), ("toy wood", 0.23))
    ):
        place = (-1.9 + 0.075 * index, 0.84, 1.435 + height / 2)
        parts.box(scene, "Book", place, (0.06, 0.14, height), parts.material(name, 0.7))
    parts.ball(scene, "Spare ball", 0.07, parts.material("toy stripe")).location = (-1.42, 0.84, 1.505)


def _workbench(scene: bpy.types.Scene) -> None:
    wood = parts.material("dark wood")
    for index in range(5):
        shade = (1.0, 0.8, 0.92, 0.74, 0.96)[index]
        place = (-1.34 + 0.22 * index, 0.0, TOP - 0.03)
        parts.box(scene, "Wooden plank", place, (0.212, 0.86, 0.06), parts.material("wood", shade))
    parts.box(scene, "Metal plate", (0.02, 0.0, TOP - 0.02), (0.72, 0.86, 0.04), parts.material("steel"))
    parts.box(scene, "Stone slab", (0.85, 0.0, TOP - 0.045), (0.92, 0.88, 0.09), parts.material("slab"))
    parts.box(scene, "Workbench", (-0.08, 0.0, TOP - 0.13), (2.72, 0.8, 0.14), wood)
    for x in (-1.34, 1.18):
        for y in (-0.33, 0.33):
            parts.box(scene, "Bench leg", (x, y, 0.28), (0.11, 0.11, 0.56), wood)
    parts.box(scene, "Bench shelf", (-0.08, 0.0, 0.2), (2.5, 0.66, 0.04), wood)
    parts.wedge(scene, "Wooden ramp", (-1.31, -0.29, TOP), (0.26, 0.13, 0.11), parts.material("toy stripe"))


def _frames_of(thing: str) -> list[int]:
    return [hit.frame for hit in HITS if hit.thing == thing]


def _wooden_ball(scene: bpy.types.Scene) -> None:
    radius = 0.13
    ball = parts.ball(scene, BALL, radius, parts.material("toy wood"), parts.material("toy stripe"))
    contacts = _frames_of(BALL)
    still = contacts[-1] + 5
    _bounce(ball, TOP + radius, START + 4, contacts, still)
    for path, scale in (("location", 1.0), ("rotation_euler", 1.0 / radius)):
        index = 0 if path == "location" else 1
        base = -1.24 if path == "location" else 0.0
        parts.line(ball, path, index, [(START + 4, base), (contacts[0], base + 0.06 * scale)])
        parts.line(ball, path, index, [(still, base + 0.3 * scale)])
        rolling = parts.curve(ball, path, index)
        parts.flight(rolling, still, base + 0.3 * scale, still + 22, base + 0.38 * scale, 0.006 * scale, 0.0)
    ball.location.y, ball.rotation_euler.z = 0.1, 0.35


def _steel_ball(scene: bpy.types.Scene) -> None:
    """Falls on the plate, rolls on and pushes the block."""
    radius = 0.1
    ball = parts.ball(scene, STEEL, radius, parts.material("polished steel"))
    contacts = _frames_of(STEEL)
    still, push = contacts[-1] + 5, _frames_of(BLOCK)[0]
    _bounce(ball, TOP + radius, contacts[0] - 12, contacts, still)
    touch = _BLOCK_X - _BLOCK_HALF - radius
    parts.line(ball, "location", 0, [(contacts[0] - 12, -0.24), (contacts[0], -0.2), (push, touch)])
    parts.flight(parts.curve(ball, "location", 0), push, touch, push + 18, touch - 0.06, -0.006, 0.0)
    ball.location.y = 0.0


_BLOCK_X, _BLOCK_HALF = 0.6, 0.12


def _stone_block(scene: bpy.types.Scene) -> None:
    """Slides over the slab and off its end; nine frames of free fall to the floor."""
    half = _BLOCK_HALF
    block = parts.box(scene, BLOCK, (_BLOCK_X, 0.0, 0.0), (2 * half,) * 3, parts.material("block"))
    push, land = _frames_of(BLOCK)
    edge = land - 9
    along = parts.curve(block, "location", 0)
    parts.flight(along, push, _BLOCK_X, edge, 1.40, 0.062, 0.030)
    parts.flight(along, edge, 1.40, land, 1.66, 0.030, 0.028)
    parts.flight(along, land, 1.66, land + 7, 1.72, 0.014, 0.0)
    drop = half - (TOP + half)
    parts.flight(parts.curve(block, "location", 2), edge, TOP + half, land, half, 0.0, 2.0 * drop / 9)
    parts.line(block, "rotation_euler", 1, [(edge - 2, 0.0), (edge, 0.12), (land, math.pi / 2)])


def _marble(scene: bpy.types.Scene) -> None:
    """Down the ramp, along the planks, against the can."""
    radius = 0.055
    (hit,) = _frames_of(MARBLE)
    marble = parts.ball(scene, MARBLE, radius, parts.material("glass"))
    marble.location.y = -0.29
    foot, touch = -1.17, _CAN_X - 2 * _CAN_RADIUS - radius
    leave = hit - 15
    speed = (touch - foot) / 15
    along, height = parts.curve(marble, "location", 0), parts.curve(marble, "location", 2)
    parts.flight(along, leave - 14, foot - 7 * speed, leave, foot, 0.0, speed)
    parts.flight(along, leave, foot, hit, touch, speed, speed)
    parts.flight(along, hit, touch, hit + 20, touch - 0.05, -0.005, 0.0)
    slope = 0.11 / 0.26
    up = slope * 7 * speed
    parts.flight(height, leave - 14, TOP + radius + up, leave, TOP + radius, 0.0, -slope * speed)
    parts.flight(height, leave, TOP + radius, leave + 1, TOP + radius, 0.0, 0.0)


_CAN_X, _CAN_RADIUS = -0.42, 0.085


def _can(scene: bpy.types.Scene) -> None:
    """Tipped over by the marble; lies on the planks after one small bounce."""
    can = parts.can(scene, CAN, _CAN_RADIUS, 0.27, [parts.material("tin"), parts.material("label")])
    can.location = (_CAN_X, -0.29, TOP)
    (land,) = _frames_of(CAN)
    (hit,) = _frames_of(MARBLE)
    tip = parts.curve(can, "rotation_euler", 1)
    flat = math.pi / 2
    parts.flight(tip, hit, 0.0, land, flat, 0.06, 0.27)
    parts.flight(tip, land, flat, land + 6, flat, -0.04, 0.04)


def _rain(scene: bpy.types.Scene) -> None:
    """Streaks behind the window and drops on its glass, falling in loops; the same in every run."""
    chance = random.Random(4)
    water = parts.material("water")
    for streak in parts.alike(scene, parts.ball(scene, "Rain", 0.007, water, rings=5), 54):
        streak.scale.z = chance.uniform(8.0, 16.0)
        streak.location.x, streak.location.y = chance.uniform(-0.9, 1.6), chance.uniform(1.2, 1.6)
        _fall(streak, chance, 2.3, 0.9, chance.randint(8, 14))
    for drop in parts.alike(scene, parts.ball(scene, "Drop on the glass", 0.011, water, rings=6), 26):
        drop.scale.z = chance.uniform(1.0, 2.4)
        drop.location.x, drop.location.y = chance.uniform(-0.72, 1.38), 1.0
        _fall(drop, chance, 2.12, 1.05, chance.randint(60, 140))


def _fall(drop: bpy.types.Object, chance: random.Random, high: float, low: float, period: int) -> None:
    begin = START - chance.randint(0, period)
    parts.loop(drop, "location", 2, (begin, high), (begin + period, low))


def _bounce(ball: bpy.types.Object, ground: float, release: int, contacts: list[int], still: int) -> None:
    """Drop at ``release``, touch at each of ``contacts``, stay down from ``still``; gravity gives heights."""
    curve = parts.curve(ball, "location", 2)
    fall = contacts[0] - release
    height = ground + 0.5 * GRAVITY * (fall / FPS) ** 2
    parts.flight(curve, release, height, contacts[0], ground, 0.0, 2.0 * (ground - height) / fall)
    for begin, end in zip(contacts, [*contacts[1:], still], strict=True):
        rise = 0.5 * GRAVITY * ((end - begin) / FPS) / FPS  # height per frame at the start of the flight
        parts.flight(curve, begin, ground, end, ground, rise, -rise)


def render(
    scene: bpy.types.Scene, folder: Path, width: int = 384, samples: int = 2, frames: range | None = None
) -> list[Path]:
    """The shot's ``frames`` (all of them by default) as small PNGs named by their numbers.

    Settings and frame are put back; the Render Result is not. Raises SaveError.
    """
    settings = {
        "": {"frame_start": scene.frame_start, "frame_end": scene.frame_end, "frame_step": scene.frame_step},
        "render": {
            "engine": "CYCLES",
            "use_persistent_data": True,
            "resolution_x": width,
            "resolution_y": width * 9 // 16,
            "resolution_percentage": 100,
            "filepath": f"{folder}/",
        },
        "render.image_settings": {"file_format": "PNG", "color_mode": "RGB"},
        "cycles": {
            "device": "CPU",
            "samples": samples,
            "max_bounces": 3,
            "use_denoising": True,
            "denoising_quality": "FAST",
            "denoising_prefilter": "NONE",
        },
    }
    if frames is not None:
        settings[""] = {"frame_start": frames[0], "frame_end": frames[-1], "frame_step": frames.step}
    before, frame = _exchange(scene, settings), scene.frame_current
    try:
        bpy.ops.render.render(animation=True, scene=scene.name)
    finally:
        _exchange(scene, before)
        scene.frame_set(frame)
    wanted = frames or range(scene.frame_start, scene.frame_end + 1)
    pictures = [folder / f"{number:04d}.png" for number in wanted]
    if not all(map(_is_whole, pictures)):
        raise SaveError(f"The pictures in {folder} are not whole; make room there and start again.")
    return pictures


def _is_whole(picture: Path) -> bool:
    """On a full disk Blender writes half a PNG and calls it finished."""
    return picture.is_file() and picture.read_bytes().endswith(_PNG_END)


def _exchange(scene: bpy.types.Scene, settings: _Settings) -> _Settings:
    """Set ``settings``, which are given by their place in ``scene``, and return what was there."""
    before = {}
    for place, values in settings.items():
        owner = scene.path_resolve(place) if place else scene
        before[place] = {name: getattr(owner, name) for name in values}
        for name, value in values.items():
            setattr(owner, name, value)
    return before
