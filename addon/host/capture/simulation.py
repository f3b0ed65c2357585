# SPDX-License-Identifier: GPL-3.0-or-later
"""Physics that is not baked: it only exists where it has been played through, frame by frame.

A capture takes one frame in six or so and would see such a simulation stand still. So it is played from its
first frame to the last that is needed, once, before the pictures are taken; what has been played already is
read from the cache, which is quick.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy

from ...timeline import FrameRange
from ..override import alone

_CACHED = {"CLOTH", "SOFT_BODY"}


def frames_to_play(scene: bpy.types.Scene, span: FrameRange) -> range:
    """The frames that have to be played for ``span`` to show its physics; empty without unbaked physics."""
    starts = [start for start in _starts(scene) if start <= span.end]
    return range(min(starts), span.end + 1) if starts else range(0)


def _starts(scene: bpy.types.Scene) -> Iterator[int]:
    world = scene.rigidbody_world
    if world is not None and world.enabled and world.collection is not None:
        yield from _cache_start(world.point_cache)
    for one in scene.objects:
        for modifier in one.modifiers:
            if not modifier.show_render and not modifier.show_viewport:
                continue
            if modifier.type in _CACHED:
                yield from _cache_start(modifier.point_cache)
            elif modifier.type == "PARTICLE_SYSTEM" and _moves(modifier.particle_system):
                yield from _cache_start(modifier.particle_system.point_cache)
            elif modifier.type == "NODES" and _simulates(modifier.node_group, set()):
                yield scene.frame_start


def _cache_start(cache: bpy.types.PointCache) -> Iterator[int]:
    if not cache.is_baked:
        yield cache.frame_start


def _moves(system: bpy.types.ParticleSystem) -> bool:
    return system.settings.type == "EMITTER" or system.use_hair_dynamics


def _simulates(tree: bpy.types.NodeTree | None, seen: set[str]) -> bool:
    """Whether a node group holds a simulation zone, however deep."""
    if tree is None or tree.name_full in seen:
        return False
    seen.add(tree.name_full)
    return any(
        node.bl_idname == "GeometryNodeSimulationInput"
        or (node.type == "GROUP" and _simulates(node.node_tree, seen))
        for node in tree.nodes
    )


@contextlib.contextmanager
def copied_with_physics(scene: bpy.types.Scene) -> Iterator[None]:
    """Copy ``scene`` inside: a copy takes only baked rigid bodies along, so the cache counts as baked."""
    world = scene.rigidbody_world
    if world is None or world.point_cache.is_baked or not world.point_cache.info:
        yield
        return
    with alone(scene=scene, point_cache=world.point_cache):
        bpy.ops.ptcache.bake_from_cache()
        try:
            yield
        finally:
            bpy.ops.ptcache.free_bake()
