# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene whose picture says which frame it is: ten white squares on black are the bits of the frame number.

Every engine shows it alike, and ``decode`` reads it back from a captured picture of any size.
"""

from __future__ import annotations

import bpy
import numpy as np

BITS = 10


def build(scene: bpy.types.Scene, first: int, last: int) -> bpy.types.Scene:
    """Fill ``scene`` so that each frame (as keyframes count) from ``first`` to ``last`` shows its number."""
    scene.frame_start, scene.frame_end = first, last
    scene.render.resolution_x, scene.render.resolution_y = 320, 180
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    scene.world = _night()
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.type, camera.data.ortho_scale = "ORTHO", 16.0
    camera.location = (0.0, 0.0, 10.0)
    scene.collection.objects.link(camera)
    scene.camera = camera
    white = _white()
    for bit in range(BITS):
        square = bpy.data.objects.new(f"bit {bit}", _square(white))
        square.location = (-6.4 + 3.2 * (bit % 5), 2.0 if bit < 5 else -2.0, 0.0)
        scene.collection.objects.link(square)
        _blink(square, bit, first, last)
    scene.frame_set(first)
    return scene


def _night() -> bpy.types.World:
    world = bpy.data.worlds.new("night")
    world.color = (0.0, 0.0, 0.0)
    if world.node_tree is None:  # before 5.0
        world.use_nodes = True
    for node in world.node_tree.nodes:
        if node.type == "BACKGROUND":
            node.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    return world


def _white() -> bpy.types.Material:
    material = bpy.data.materials.new("white")
    material.diffuse_color = (1.0, 1.0, 1.0, 1.0)
    if material.node_tree is None:  # before 5.0
        material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    light = tree.nodes.new("ShaderNodeEmission")
    output = tree.nodes.new("ShaderNodeOutputMaterial")
    tree.links.new(light.outputs[0], output.inputs[0])
    return material


def _square(material: bpy.types.Material) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new("square")
    mesh.from_pydata([(-1.2, -1.2, 0), (1.2, -1.2, 0), (1.2, 1.2, 0), (-1.2, 1.2, 0)], [], [(0, 1, 2, 3)])
    mesh.materials.append(material)
    return mesh


def _blink(square: bpy.types.Object, bit: int, first: int, last: int) -> None:
    """In sight while the bit is set, far away while not; jumps, so that sub-frames show the earlier."""
    before = None
    for frame in range(first, last + 1):
        on = frame >> bit & 1
        if on != before:
            square.location.x = -6.4 + 3.2 * (bit % 5) + (0.0 if on else 1000.0)
            square.keyframe_insert("location", index=0, frame=frame)
            before = on
    for curve in _curves(square):
        for key in curve.keyframe_points:
            key.interpolation = "CONSTANT"


def _curves(owner: bpy.types.Object) -> list[bpy.types.FCurve]:
    from footfall.addon.host.capture.state import action_curves

    return action_curves(owner.animation_data)


def decode(picture: np.ndarray) -> int:
    """The number that ``picture`` ((h, w, 3) uint8, top row first) shows. Raises ValueError if unclear."""
    height, width, _ = picture.shape
    number = 0
    for bit in range(BITS):
        x = (0.5 + (-6.4 + 3.2 * (bit % 5)) / 16.0) * width
        y = (0.5 - (2.0 if bit < 5 else -2.0) / 9.0) * height
        patch = picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].astype(float).mean()
        if 60.0 < patch < 120.0:
            raise ValueError(f"bit {bit} is neither on nor off: {patch}")
        number |= (patch >= 120.0) << bit
    return number
