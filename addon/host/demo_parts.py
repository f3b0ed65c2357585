# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo shot is made of: solids, materials, light, and f-curves that hit their frames exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import bmesh
import bpy

# name: colour (linear), metallic, roughness
_LOOKS = {
    "wood": ((0.42, 0.22, 0.09), 0.0, 0.6),
    "ball wood": ((0.75, 0.32, 0.08), 0.0, 0.4),
    "stone": ((0.26, 0.27, 0.29), 0.0, 0.85),
    "steel": ((0.55, 0.58, 0.62), 1.0, 0.35),
    "tin": ((0.72, 0.16, 0.1), 0.6, 0.35),
    "glass": ((0.1, 0.45, 0.5), 0.1, 0.05),
    "plaster": ((0.62, 0.54, 0.42), 0.0, 0.9),
    "sky": ((0.16, 0.24, 0.34), 0.0, 1.0),
    "water": ((0.7, 0.85, 1.0), 0.0, 0.1),
}
_GLOWING = {"sky": 1.1, "water": 0.9}


def material(name: str, *, polished: bool = False, dark: bool = False) -> bpy.types.Material:
    """One of the demo's materials, made when first asked for; it shows in Workbench and in Cycles alike."""
    colour, metallic, roughness = _LOOKS[name]
    if dark:
        colour = tuple(0.55 * part for part in colour)
    roughness = 0.12 if polished else roughness
    title = f"Demo {'dark ' if dark else ''}{'polished ' if polished else ''}{name}"
    found = bpy.data.materials.get(title)
    if found is not None:
        return found
    made = bpy.data.materials.new(title)
    made.diffuse_color = (*colour, 1.0)
    made.metallic, made.roughness = metallic, roughness
    if made.node_tree is None:  # before 5.0; from then on every material has nodes, and saying so warns
        made.use_nodes = True
    shader = next(node for node in made.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Metallic"].default_value = metallic
    shader.inputs["Roughness"].default_value = roughness
    if name in _GLOWING:
        shader.inputs["Emission Color"].default_value = (*colour, 1.0)
        shader.inputs["Emission Strength"].default_value = _GLOWING[name]
    return made


def box(
    scene: bpy.types.Scene,
    name: str,
    place: tuple[float, float, float],
    size: tuple[float, float, float],
    look: bpy.types.Material,
    shade: float = 1.0,
) -> bpy.types.Object:
    """A box of ``size`` around ``place``; ``shade`` darkens its material a little, so that planks differ."""
    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=1.0)
    bmesh.ops.scale(shape, vec=size, verts=shape.verts)
    bevel = min(0.015, 0.2 * min(size))
    bmesh.ops.bevel(shape, geom=shape.edges[:], offset=bevel, segments=2, affect="EDGES", profile=0.7)
    return _object(scene, name, shape, _shaded(look, shade), place)


def ball(
    scene: bpy.types.Scene, name: str, radius: float, look: bpy.types.Material, rings: int = 24
) -> bpy.types.Object:
    shape = bmesh.new()
    bmesh.ops.create_uvsphere(shape, u_segments=2 * rings, v_segments=rings, radius=radius)
    return _object(scene, name, shape, look, (0.0, 0.0, 0.0), smooth=True)


def can(
    scene: bpy.types.Scene, name: str, radius: float, height: float, look: bpy.types.Material
) -> bpy.types.Object:
    shape = bmesh.new()
    bmesh.ops.create_cone(shape, cap_ends=True, segments=40, radius1=radius, radius2=radius, depth=height)
    return _object(scene, name, shape, look, (0.0, 0.0, 0.0))


def _object(
    scene: bpy.types.Scene,
    name: str,
    shape: bmesh.types.BMesh,
    look: bpy.types.Material,
    place: tuple[float, float, float],
    smooth: bool = False,
) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    shape.to_mesh(mesh)
    shape.free()
    mesh.materials.append(look)
    if smooth:
        mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    made = bpy.data.objects.new(name, mesh)
    made.location = place
    scene.collection.objects.link(made)
    return made


def _shaded(look: bpy.types.Material, shade: float) -> bpy.types.Material:
    if shade == 1.0:
        return look
    title = f"{look.name} {shade:.2f}"
    found = bpy.data.materials.get(title)
    if found is not None:
        return found
    made = look.copy()
    made.name = title
    made.diffuse_color = (*(shade * part for part in look.diffuse_color[:3]), 1.0)
    shader = next(node for node in made.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    colour = shader.inputs["Base Color"].default_value
    shader.inputs["Base Color"].default_value = (*(shade * part for part in colour[:3]), 1.0)
    return made


def light_and_camera(scene: bpy.types.Scene) -> None:
    """A warm key from the front left, cool light from the window, and a camera that sees all of it."""
    world = bpy.data.worlds.new("Footfall demo")
    if world.node_tree is None:
        world.use_nodes = True
    back = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    back.inputs["Color"].default_value = (0.35, 0.42, 0.55, 1.0)
    back.inputs["Strength"].default_value = 0.45
    scene.world = world
    for name, place, energy, size, colour in (
        ("Key", (-3.5, -4.0, 4.2), 420.0, 2.5, (1.0, 0.84, 0.66)),
        ("Window light", (0.8, 1.7, 3.4), 90.0, 2.0, (0.65, 0.8, 1.0)),
    ):
        lamp = bpy.data.lights.new(name, "AREA")
        lamp.energy, lamp.size, lamp.color = energy, size, colour
        made = bpy.data.objects.new(name, lamp)
        made.location = place
        _aim(made, (0.0, 0.0, 0.7))
        scene.collection.objects.link(made)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = 38.0
    camera.location = (0.45, -6.9, 2.5)
    _aim(camera, (0.33, 0.2, 1.1))
    scene.collection.objects.link(camera)
    scene.camera = camera


def _aim(thing: bpy.types.Object, at: tuple[float, float, float]) -> None:
    x, y, z = (there - here for there, here in zip(at, thing.location, strict=True))
    thing.rotation_euler = (math.atan2(math.hypot(x, y), -z), 0.0, math.atan2(y, x) - math.pi / 2)


def curve(thing: bpy.types.Object, path: str, index: int) -> bpy.types.FCurve:
    """The f-curve of one channel, in every Blender from 4.2: through the channel bag where there is one."""
    if thing.animation_data is None:
        thing.keyframe_insert(path, index=index, frame=0)
        for keyed in fcurves(thing):
            keyed.keyframe_points.clear()
    found = next((c for c in fcurves(thing) if c.data_path == path and c.array_index == index), None)
    if found is not None:
        return found
    thing.keyframe_insert(path, index=index, frame=0)
    made = next(c for c in fcurves(thing) if c.data_path == path and c.array_index == index)
    made.keyframe_points.clear()
    return made


def fcurves(thing: bpy.types.Object) -> list[bpy.types.FCurve]:
    action = thing.animation_data.action
    if hasattr(action, "fcurves"):
        return list(action.fcurves)
    from bpy_extras.anim_utils import action_get_channelbag_for_slot

    return list(action_get_channelbag_for_slot(action, thing.animation_data.action_slot).fcurves)


def parabola(
    target: bpy.types.FCurve, begin: int, low: float, end: int, high: float, leaves: float, arrives: float
) -> None:
    """A flight from (begin, low) to (end, high); slopes per frame. A parabola is a Bezier curve exactly."""
    third = (end - begin) / 3.0
    first = _point(target, begin, low)
    last = _point(target, end, high)
    first.handle_right = (begin + third, low + leaves * third)
    last.handle_left = (end - third, high - arrives * third)


def _point(target: bpy.types.FCurve, frame: int, value: float) -> bpy.types.Keyframe:
    found = next((point for point in target.keyframe_points if point.co[0] == frame), None)
    if found is None:
        found = target.keyframe_points.insert(frame, value)
        found.interpolation = "BEZIER"
        found.handle_left_type = found.handle_right_type = "FREE"
        found.handle_left, found.handle_right = (frame - 1, value), (frame + 1, value)
    return found


def line(thing: bpy.types.Object, path: str, index: int, points: Sequence[tuple[int, float]]) -> None:
    """Straight from point to point."""
    _keys(thing, path, index, points, "LINEAR")


def ease(thing: bpy.types.Object, path: str, index: int, points: Sequence[tuple[int, float]]) -> None:
    """From rest to full speed at the first half, as something pushed."""
    _keys(thing, path, index, points, "SINE")


def _keys(
    thing: bpy.types.Object, path: str, index: int, points: Sequence[tuple[int, float]], how: str
) -> None:
    target = curve(thing, path, index)
    for frame, value in points:
        key = target.keyframe_points.insert(frame, value)
        key.interpolation = how
        key.easing = "EASE_IN" if how == "SINE" else "AUTO"


def hold(thing: bpy.types.Object, path: str, index: int, value: float) -> None:
    """One channel that never changes."""
    getattr(thing, path)[index] = value


def loop(
    thing: bpy.types.Object, path: str, index: int, first: tuple[int, float], last: tuple[int, float]
) -> None:
    """Again and again from ``first`` to ``last``."""
    line(thing, path, index, [first, last])
    curve(thing, path, index).modifiers.new("CYCLES")
