# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo shot is made of: solids, materials, light, and f-curves that hit their frames exactly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import bmesh
import bpy

from ..capture.state import action_curves

Place = tuple[float, float, float]
_OURS = "footfall_demo"
LAMP: Place = (1.62, 0.25, 1.72)


@dataclass(frozen=True, slots=True)
class Look:
    """A material. ``colour``: linear RGB; ``other``: its grain's second colour; ``grain``: scale of that."""

    colour: Place
    other: Place | None = None
    grain: Place = (1.0, 1.0, 1.0)
    metallic: float = 0.0
    roughness: float = 0.6
    glow: float = 0.0


LOOKS = {
    "wood": Look((0.37, 0.17, 0.055), (0.24, 0.10, 0.03), (26.0, 2.2, 26.0), roughness=0.55),
    "dark wood": Look((0.10, 0.045, 0.02), (0.07, 0.03, 0.012), (3.0, 20.0, 20.0), roughness=0.6),
    "toy wood": Look((0.83, 0.30, 0.03), roughness=0.35),
    "toy stripe": Look((0.90, 0.80, 0.58), roughness=0.35),
    "steel": Look((0.50, 0.55, 0.60), (0.40, 0.44, 0.50), (2.0, 60.0, 2.0), metallic=0.85, roughness=0.38),
    "polished steel": Look((0.80, 0.82, 0.86), metallic=1.0, roughness=0.12),
    "slab": Look((0.30, 0.29, 0.28), (0.20, 0.195, 0.19), (9.0, 9.0, 9.0), roughness=0.8),
    "block": Look((0.52, 0.47, 0.40), (0.36, 0.32, 0.27), (16.0, 16.0, 16.0), roughness=0.9),
    "tile": Look((0.16, 0.15, 0.15), (0.11, 0.105, 0.11), (5.0, 5.0, 5.0), roughness=0.7),
    "glass": Look((0.02, 0.55, 0.30), metallic=0.1, roughness=0.05),
    "tin": Look((0.70, 0.05, 0.045), metallic=0.3, roughness=0.3),
    "label": Look((0.92, 0.88, 0.80), roughness=0.5),
    "wall": Look((0.13, 0.23, 0.24), (0.10, 0.19, 0.20), (2.0, 2.0, 2.0), roughness=0.95),
    "shade": Look((0.45, 0.06, 0.03), roughness=0.5),
    "bulb": Look((1.0, 0.72, 0.38), glow=6.0),
    "sky": Look((0.24, 0.36, 0.50), glow=1.0),
    "water": Look((0.75, 0.87, 1.0), glow=0.9),
}


def material(name: str, shade: float = 1.0) -> bpy.types.Material:
    """One of ``LOOKS``, darkened by ``shade``; made when first asked for."""
    look = LOOKS[name]
    title = name.capitalize() if shade == 1.0 else f"{name.capitalize()} {shade:.2f}"
    found = bpy.data.materials.get(title)
    if found is not None and found.get(_OURS):
        return found
    made = bpy.data.materials.new(title)
    made[_OURS] = True
    if hasattr(made, "cycles"):  # lamps light the shot; Cycles would order what glows anew in every run
        made.cycles.emission_sampling = "NONE"
    colour = tuple(shade * part for part in look.colour)
    made.diffuse_color = (*(min(1.0, 1.5 * part) for part in colour), 1.0)  # Workbench's light is dimmer
    made.roughness = look.roughness
    if made.node_tree is None:  # before 5.0
        made.use_nodes = True
    shader = next(node for node in made.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*colour, 1.0)
    shader.inputs["Metallic"].default_value = look.metallic
    shader.inputs["Roughness"].default_value = look.roughness
    shader.inputs["Emission Color"].default_value = (*colour, 1.0)
    shader.inputs["Emission Strength"].default_value = look.glow
    if look.other is not None:
        _add_grain(made, shader, look, shade)
    return made


def _add_grain(made: bpy.types.Material, shader: bpy.types.ShaderNode, look: Look, shade: float) -> None:
    """Noise between the two colours, stretched along the grain."""
    tree = made.node_tree
    place, stretch = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
    noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    stretch.inputs["Scale"].default_value = look.grain
    noise.inputs["Scale"].default_value = 1.0
    noise.inputs["Detail"].default_value = 3.0
    for end, colour, position in zip(
        ramp.color_ramp.elements, (look.other, look.colour), (0.36, 0.64), strict=True
    ):
        end.color, end.position = (*(shade * part for part in colour or ()), 1.0), position
    tree.links.new(place.outputs["Object"], stretch.inputs["Vector"])
    tree.links.new(stretch.outputs["Vector"], noise.inputs["Vector"])
    tree.links.new(noise.outputs["Fac" if "Fac" in noise.outputs else 0], ramp.inputs[0])
    tree.links.new(ramp.outputs["Color"], shader.inputs["Base Color"])


# Solids


def box(
    scene: bpy.types.Scene, name: str, place: Place, size: Place, look: bpy.types.Material
) -> bpy.types.Object:
    """A box of ``size`` around ``place`` with softened edges."""
    shape = bmesh.new()
    bmesh.ops.create_cube(shape, size=1.0)
    bmesh.ops.scale(shape, vec=size, verts=shape.verts)
    bevel = min(0.012, 0.2 * min(size))
    bmesh.ops.bevel(shape, geom=shape.edges[:], offset=bevel, segments=2, affect="EDGES", profile=0.7)
    return _object(scene, name, shape, [look], place)


def ball(
    scene: bpy.types.Scene,
    name: str,
    radius: float,
    look: bpy.types.Material,
    stripe: bpy.types.Material | None = None,
    rings: int = 24,
) -> bpy.types.Object:
    """A ball; with a ``stripe`` around it that shows it turn."""
    shape = bmesh.new()
    bmesh.ops.create_uvsphere(shape, u_segments=2 * rings, v_segments=rings, radius=radius)
    if stripe is not None:
        for face in shape.faces:
            face.material_index = int(abs(face.calc_center_median().x) < 0.28 * radius)
    looks = [look] if stripe is None else [look, stripe]
    return _object(scene, name, shape, looks, (0.0, 0.0, 0.0), smooth=True)


def alike(scene: bpy.types.Scene, first: bpy.types.Object, count: int) -> list[bpy.types.Object]:
    """``first`` and its copies, ``count`` in all, which share its mesh: making that is what takes time."""
    copies = [first.copy() for _ in range(count - 1)]
    for copy in copies:
        scene.collection.objects.link(copy)
    return [first, *copies]


def can(
    scene: bpy.types.Scene, name: str, radius: float, height: float, looks: list[bpy.types.Material]
) -> bpy.types.Object:
    """A can with a label (``looks``: can, label). Its origin is the lower edge on +x, where it tips over."""
    shape = bmesh.new()
    for low, high, index in ((0.0, 0.22, 0), (0.22, 0.78, 1), (0.78, 1.0, 0)):
        ring = bmesh.ops.create_cone(
            shape,
            cap_ends=index == 0,
            segments=40,
            radius1=radius,
            radius2=radius,
            depth=(high - low) * height,
        )
        bmesh.ops.translate(shape, vec=(-radius, 0.0, (low + high) / 2 * height), verts=ring["verts"])
        for face in {face for vertex in ring["verts"] for face in vertex.link_faces}:
            face.material_index = index
    return _object(scene, name, shape, looks, (0.0, 0.0, 0.0), smooth=True)


def wedge(
    scene: bpy.types.Scene, name: str, place: Place, size: Place, look: bpy.types.Material
) -> bpy.types.Object:
    """A ramp that falls along +x from ``size[2]`` to nothing; ``place`` is the middle of its foot."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    shape = bmesh.new()
    corners = [(-x, -y, 0), (x, -y, 0), (-x, -y, z), (-x, y, 0), (x, y, 0), (-x, y, z)]
    made = [shape.verts.new(corner) for corner in corners]
    for face in ((0, 1, 2), (3, 5, 4), (0, 3, 4, 1), (0, 2, 5, 3), (1, 4, 5, 2)):
        shape.faces.new([made[corner] for corner in face])
    bmesh.ops.recalc_face_normals(shape, faces=shape.faces)
    return _object(scene, name, shape, [look], place)


def cone(
    scene: bpy.types.Scene,
    name: str,
    place: Place,
    radii: tuple[float, float],
    height: float,
    look: bpy.types.Material,
) -> bpy.types.Object:
    """An open cone: a lamp's shade."""
    shape = bmesh.new()
    bmesh.ops.create_cone(
        shape, cap_ends=False, segments=40, radius1=radii[0], radius2=radii[1], depth=height
    )
    return _object(scene, name, shape, [look], place, smooth=True)


def _object(
    scene: bpy.types.Scene,
    name: str,
    shape: bmesh.types.BMesh,
    looks: list[bpy.types.Material],
    place: Place,
    smooth: bool = False,
) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    if smooth:
        for edge in shape.edges:
            edge.smooth = not edge.is_manifold or edge.calc_face_angle(0.0) < math.radians(50)
    shape.to_mesh(mesh)
    shape.free()
    for look in looks:
        mesh.materials.append(look)
    if smooth:
        mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    made = bpy.data.objects.new(name, mesh)
    made.location = place
    scene.collection.objects.link(made)
    return made


# Light and camera


def light_and_camera(scene: bpy.types.Scene) -> None:
    """Warm light from the front left and the lamp, cool light from the window: few lights, little noise."""
    world = bpy.data.worlds.new("Footfall demo")
    if world.node_tree is None:
        world.use_nodes = True
    back = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    back.inputs["Color"].default_value = (0.42, 0.52, 0.68, 1.0)
    back.inputs["Strength"].default_value = 0.62
    world.color = (0.1, 0.13, 0.17)
    scene.world = world
    sun = _light(scene, "Afternoon", "SUN", 3.4, (1.0, 0.80, 0.58), (-3.0, -4.0, 4.0), (0.0, 0.0, 0.6))
    sun.angle = 0.06
    bulb = _light(scene, "Bulb", "POINT", 26.0, (1.0, 0.66, 0.34), LAMP, (LAMP[0], LAMP[1], 0.0))
    bulb.shadow_soft_size = 0.05
    window = _light(scene, "Window", "AREA", 26.0, (0.62, 0.80, 1.0), (0.35, 0.86, 1.65), (0.35, -1.0, 0.6))
    window.size = 1.3
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.data.lens = 34.0
    camera.location = (0.28, -3.45, 1.72)
    _aim(camera, (0.16, 0.1, 0.93))
    scene.collection.objects.link(camera)
    scene.camera = camera


def _light(
    scene: bpy.types.Scene, name: str, kind: str, energy: float, colour: Place, place: Place, at: Place
) -> bpy.types.Light:
    light = bpy.data.lights.new(name, kind)
    light.energy, light.color = energy, colour
    made = bpy.data.objects.new(name, light)
    made.location = place
    _aim(made, at)
    scene.collection.objects.link(made)
    return light


def _aim(thing: bpy.types.Object, at: Place) -> None:
    x, y, z = (there - here for there, here in zip(at, thing.location, strict=True))
    thing.rotation_euler = (math.atan2(math.hypot(x, y), -z), 0.0, math.atan2(y, x) - math.pi / 2)


# Movement


def curve(thing: bpy.types.Object, path: str, index: int) -> bpy.types.FCurve:
    """The f-curve of one channel, empty when it is new; every Blender makes it by keying."""
    animation = thing.animation_data
    for found in action_curves(animation) if animation is not None else []:
        if (found.data_path, found.array_index) == (path, index):
            return found
    thing.keyframe_insert(path, index=index, frame=0)
    made = next(
        c for c in action_curves(thing.animation_data) if (c.data_path, c.array_index) == (path, index)
    )
    made.keyframe_points.clear()
    return made


def flight(
    target: bpy.types.FCurve, begin: int, start: float, end: int, stop: float, leaves: float, arrives: float
) -> None:
    """From (begin, start) to (end, stop) with slopes per frame; a parabola is such a Bezier curve exactly."""
    third = (end - begin) / 3.0
    for frame, value in ((begin, start), (end, stop)):
        _point(target, frame, value)
    first, last = _point(target, begin, start), _point(target, end, stop)  # a new point moves the others
    first.handle_right = (begin + third, start + leaves * third)
    last.handle_left = (end - third, stop - arrives * third)
    target.update()


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
    target = curve(thing, path, index)
    for frame, value in points:
        target.keyframe_points.insert(frame, value).interpolation = "LINEAR"


def loop(
    thing: bpy.types.Object, path: str, index: int, first: tuple[int, float], last: tuple[int, float]
) -> None:
    """Again and again from ``first`` to ``last``."""
    line(thing, path, index, [first, last])
    curve(thing, path, index).modifiers.new("CYCLES")
