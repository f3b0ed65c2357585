# SPDX-License-Identifier: GPL-3.0-or-later
"""What bones move: walkers with planted feet, in many parts or one skin, an arm that knocks, a held ball."""

from __future__ import annotations

import bpy

from .model import Key, bounces, strokes
from .stage import FLOOR, Point, Stage

HIP = 0.8  # height of the hips, metres
ANKLE = 0.08


def walk(stage: Stage, x: float, begin: float, end: float, *, skinned: bool = False) -> None:
    """Two legs that walk over the floor: bones for the feet are keyed, the legs follow by inverse kinematics.

    A foot is down from the moment that it meets the floor until it is lifted again.
    """
    chance = stage.chance
    rig = _walker(stage, x)
    boots = _skin(stage, rig) if skinned else _boots(stage, rig)
    step_s, length = chance.uniform(0.38, 0.65), chance.uniform(0.14, 0.22)
    hard, lift = chance.uniform(0.5, 1.3), chance.uniform(0.08, 0.16)
    paths: dict[str, tuple[list[Key], list[Key]]] = {
        side: ([Key(begin, 0.0)], [Key(begin, 0.0)]) for side in "LR"
    }
    time_s, number = begin + chance.uniform(0.05, 0.3), 0
    while time_s + step_s < end and number < 8:
        side = "LR"[number % 2]
        up, forward = paths[side]
        rises, plants = time_s + 0.1 * step_s, time_s + step_s
        middle = rises + 0.5 * (plants - rises)
        here, there = forward[-1].value, length * (number + 1) / 2.0
        up += [Key(rises, 0.0), Key(middle, lift), Key(plants, 0.0, -hard, 0.0)]
        slow = 0.3 * hard
        forward += [Key(rises, here), Key(plants, there, slow, 0.0)]
        stage.hit(plants, boots[side], FLOOR, hard, "step")
        time_s, number = plants, number + 1
    for side, (up, forward) in paths.items():
        bone = f'pose.bones["foot.{side}"].location'
        stage.animate(rig, bone, 1, up)  # a bone that lies along y has z up; see _walker
        stage.animate(rig, bone, 0, forward)
    whole = length * number / 2.0
    stage.animate(rig, 'pose.bones["hips"].location', 0, [Key(begin, 0.0), Key(time_s, whole)])
    rig.location.x = x - whole / 2.0


def skin(stage: Stage, x: float, begin: float, end: float) -> None:
    """The walker as one mesh that its bones bend."""
    walk(stage, x, begin, end, skinned=True)


def arm(stage: Stage, x: float, begin: float, end: float) -> None:
    """An arm of two bones in one skin that knocks on a table with its fist."""
    chance = stage.chance
    top, length = 0.5, chance.uniform(0.3, 0.45)
    table = stage.box("Wooden_table", (x + length, 0.0, top / 2), (0.3, 0.3, top), "wood")
    rig = armature(
        stage, "Arm",
        {
            "upper": ((0.0, 0.0, 0.5), (0.0, 0.0, 0.0), ""),
            "lower": ((0.0, 0.0, 0.0), (length, 0.0, 0.0), "upper"),
        },
    )  # fmt: skip
    thick = 0.06
    rig.location = (x, 0.0, top + thick / 2)
    mesh = stage.box("Skin_arm", (x + length / 2, 0.0, top + thick / 2), (length, thick, thick), "toy wood")
    stage.shift(mesh, (length / 2, 0.0, 0.0))
    mesh.location = (0.0, 0.0, 0.0)
    bend(mesh, rig, {"lower": range(len(mesh.data.vertices))})
    keys, touches = strokes(chance, begin, end, chance.uniform(0.3, 0.8), chance.randint(2, 5))
    bone = rig.pose.bones["lower"]
    bone.rotation_mode = "XYZ"
    axis, way = _axis_about_y(bone)
    turned = [Key(k.time_s, way * k.value, way * k.arrives, way * k.leaves) for k in keys]
    stage.animate(rig, 'pose.bones["lower"].rotation_euler', axis, turned)
    for time_s, spin in touches:
        stage.hit(time_s, mesh, table.name, spin * length)


def hand(stage: Stage, x: float, begin: float, end: float) -> None:
    """A ball that hangs on a bone, which is keyed, of a rig, which moves along."""
    chance = stage.chance
    rig = armature(stage, "Rig", {"hand": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.5), "")})
    radius = chance.uniform(0.06, 0.2)
    ball = stage.ball("Leather_ball", radius, (0.0, -0.5, 0.0))  # back from the bone's tail to its head
    ball.parent, ball.parent_type, ball.parent_bone = rig, "BONE", "hand"
    keys, touches = bounces(chance, begin, end)
    stage.animate(rig, 'pose.bones["hand"].location', 1, keys)
    rig.location = (x, 0.0, radius)
    drift = chance.uniform(-0.2, 0.2)
    stage.animate(rig, "location", 0, [Key(begin, x), Key(end, x + drift)])
    for time_s, speed in touches:
        stage.hit(time_s, ball, FLOOR, speed)


# Building -------------------------------------------------------------------------------------------------


def armature(stage: Stage, name: str, bones: dict[str, tuple[Point, Point, str]]) -> bpy.types.Object:
    """A rig of bones, each (head, tail, parent's name)."""
    data = bpy.data.armatures.new(name)
    rig = bpy.data.objects.new(stage.name(name), data)
    stage.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for title, (head, tail, parent) in bones.items():
        bone = data.edit_bones.new(title)
        bone.head, bone.tail = head, tail
        bone.parent = data.edit_bones[parent] if parent else None
    bpy.ops.object.mode_set(mode="OBJECT")
    return rig


def _axis_about_y(bone: bpy.types.PoseBone) -> tuple[int, float]:
    """(index, sign) of the bone's own axis that turns it upwards about the rig's -y."""
    columns = bone.bone.matrix_local.to_3x3().transposed()
    index = max(range(3), key=lambda i: abs(columns[i].y))
    return index, -1.0 if columns[index].y > 0.0 else 1.0


def _walker(stage: Stage, x: float) -> bpy.types.Object:
    """Hips, and for each side thigh, shin and a foot that belongs to nobody.

    The feet's bones stand upright, so that their own x is the rig's x and their own y points up.
    """
    bones: dict[str, tuple[Point, Point, str]] = {"hips": ((0.0, 0.0, HIP), (0.0, 0.0, HIP + 0.3), "")}
    for side, y in (("L", -0.12), ("R", 0.12)):
        bones[f"foot.{side}"] = ((0.0, y, ANKLE), (0.0, y, ANKLE + 0.1), "")
        bones[f"thigh.{side}"] = ((0.0, y, HIP), (0.05, y, 0.5 * (HIP + ANKLE)), "hips")
        bones[f"shin.{side}"] = ((0.05, y, 0.5 * (HIP + ANKLE)), (0.0, y, ANKLE), f"thigh.{side}")
    rig = armature(stage, "Walker", bones)
    for side in "LR":
        follow = rig.pose.bones[f"shin.{side}"].constraints.new("IK")
        follow.target, follow.subtarget, follow.chain_count = rig, f"foot.{side}", 2
    return rig


def _boots(stage: Stage, rig: bpy.types.Object) -> dict[str, bpy.types.Object]:
    """Each limb a box of its own on its bone, long enough to overlap the next; returns the boots."""
    boots = {}
    for side, y in (("L", -0.12), ("R", 0.12)):
        boots[side] = stage.box(f"Boot.{side}", (0.04, y, ANKLE / 2), (0.24, 0.09, ANKLE), "dark wood")
        for bone, thick in (("thigh", 0.11), ("shin", 0.09)):
            limb = stage.box(f"{bone.title()}.{side}", (0.0, y, 0.0), (thick, thick, 0.4), "toy wood")
            limb.location.z = 0.6 if bone == "thigh" else 0.27
            _hang(limb, rig, f"{bone}.{side}")
        _hang(boots[side], rig, f"foot.{side}")
    body = stage.box("Body", (0.0, 0.0, HIP + 0.25), (0.2, 0.35, 0.5), "wood")
    _hang(body, rig, "hips")
    return boots


def _hang(thing: bpy.types.Object, rig: bpy.types.Object, bone: str) -> None:
    """Hang ``thing`` on a bone where it is, given where it is in the rig's own rest."""
    where = thing.matrix_basis.copy()
    thing.parent, thing.parent_type, thing.parent_bone = rig, "BONE", bone
    rest = rig.data.bones[bone]
    tail = rest.matrix_local.copy()
    tail.translation = rest.tail_local
    thing.matrix_parent_inverse = tail.inverted()
    thing.matrix_basis = where


def _skin(stage: Stage, rig: bpy.types.Object) -> dict[str, bpy.types.Object]:
    """All limbs as one mesh; both feet are this one thing."""
    whole: list[bpy.types.Object] = []
    groups: list[str] = []
    for side, y in (("L", -0.12), ("R", 0.12)):
        whole.append(stage.box("Part", (0.04, y, ANKLE / 2), (0.24, 0.09, ANKLE), "dark wood"))
        whole.append(stage.box("Part", (0.0, y, 0.6), (0.11, 0.11, 0.4), "toy wood"))
        whole.append(stage.box("Part", (0.0, y, 0.27), (0.09, 0.09, 0.4), "toy wood"))
        groups += [f"foot.{side}", f"thigh.{side}", f"shin.{side}"]
    whole.append(stage.box("Part", (0.0, 0.0, HIP + 0.25), (0.2, 0.35, 0.5), "wood"))
    groups.append("hips")
    corners, faces, owners = [], [], {}
    for part, group in zip(whole, groups, strict=True):
        first = len(corners)
        corners += [tuple(part.matrix_basis @ vertex.co) for vertex in part.data.vertices]
        faces += [tuple(first + index for index in face.vertices) for face in part.data.polygons]
        owners[group] = range(first, len(corners))
        bpy.data.objects.remove(part)
    data = bpy.data.meshes.new("Soldier")
    data.from_pydata(corners, [], faces)
    mesh = bpy.data.objects.new(stage.name("Soldier"), data)
    stage.scene.collection.objects.link(mesh)
    bend(mesh, rig, owners)
    return {"L": mesh, "R": mesh}


def bend(mesh: bpy.types.Object, rig: bpy.types.Object, owners: dict[str, range]) -> None:
    """Let the rig's bones move the vertices that belong to each."""
    for bone, vertices in owners.items():
        mesh.vertex_groups.new(name=bone).add(list(vertices), 1.0, "REPLACE")
    mesh.parent = rig
    mesh.modifiers.new("Armature", "ARMATURE").object = rig


ACTS = (walk, skin, arm, hand)
