# SPDX-License-Identifier: GPL-3.0-or-later
"""What scenes for reading hits are put together from: boxes, balls, a floor, a camera, keys."""

from __future__ import annotations

from collections.abc import Iterable

import bpy
from footfall.addon.host.demo import parts
from footfall.addon.host.tracks import reading as tracks
from footfall.addon.timeline import FrameRange, Rate
from footfall.addon.wire.messages import Event

Point = tuple[float, float, float]


def read(scene: bpy.types.Scene | None = None, **more: bool) -> tuple[Event, ...]:
    """All hits of a scene, at its own rate."""
    scene = scene or bpy.context.scene
    rate = Rate(scene.render.fps, scene.render.fps_base)
    return tracks.read(scene, FrameRange(scene.frame_start, scene.frame_end), rate, **more)


def frames(events: Iterable[Event], kinds: str = "hit step") -> list[float]:
    """At which frames the events of these kinds are, in a scene of 24 frames a second from frame 1."""
    return [round(1 + 24 * float(event.time_s), 2) for event in events if event.kind in kinds.split()]


def box(name: str, place: Point, size: Point = (0.3, 0.3, 0.3)) -> bpy.types.Object:
    return parts.box(bpy.context.scene, name, place, size, parts.material("wood"))


def ball(name: str, place: Point, radius: float = 0.15) -> bpy.types.Object:
    made = parts.ball(bpy.context.scene, name, radius, parts.material("steel"), rings=12)
    made.location = place
    return made


def floor() -> bpy.types.Object:
    return box("Stone floor", (0.0, 0.0, -0.05), (30.0, 30.0, 0.1))


def camera(place: Point = (0.0, -8.0, 1.0)) -> bpy.types.Object:
    made = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    made.location, made.rotation_euler.x = place, 1.5
    bpy.context.scene.collection.objects.link(made)
    bpy.context.scene.camera = made
    return made


def keys(
    thing: bpy.types.Object,
    path: str,
    index: int,
    points: Iterable[tuple[float, float]],
    interpolation: str = "LINEAR",
) -> None:
    """Key a channel at (frame, value), whole frames or not."""
    curve = parts.curve(thing, path, index)
    for frame, value in points:
        point = curve.keyframe_points.insert(frame, value)
        point.interpolation = interpolation
    curve.update()


def drop(thing: bpy.types.Object, ground: float, at: float, height: float = 1.0) -> None:
    """Let it fall straight down at one speed, on the ground at a frame, where it stays."""
    keys(thing, "location", 2, [(at - 8, ground + height), (at, ground), (at + 40, ground)])
