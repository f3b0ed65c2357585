# SPDX-License-Identifier: GPL-3.0-or-later
"""The solid things of a scene: those that move, which are followed, and those that stand, to be hit.

What moves is told by the evaluated scene itself: all that depends on time is evaluated anew with every frame,
whether by keys, drivers, parents, constraints, bones, physics or nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np

from ...hits.words import name_bone, name_thing
from ..capture.state import action_curves
from .parts import Group, Piece, bending, rigs, simulated
from .shapes import Shape, shape_of
from .sources import Instances, Key, Now, Objects, Source, instance_keys, key_of

SOLID = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
MOST_BODIES = 12_000  # followed: the largest
MOST_COPIES = 4_000


@dataclass(slots=True, eq=False)
class Things:
    """Numbers below ``bodies`` move, the others stand.

    keys: whose object each is; boxes: (N, 2, 3) half size and middle in its own space; still: (N, 4, 4)
    matrices of what stands; owners: things of one owner do not hit each other; families: things of one
    figure, -1 for none; simulated: only known at whole frames; pieces: by number, parts of objects.
    """

    keys: list[Key]
    boxes: np.ndarray
    still: np.ndarray
    bodies: int
    owners: np.ndarray
    families: np.ndarray
    simulated: np.ndarray
    sources: list[Source]
    pieces: dict[int, Piece]
    notes: list[str]
    _shapes: dict[Any, Shape | None] = field(default_factory=dict)
    _words: dict[int, str] = field(default_factory=dict)

    def read(self, now: Now, out: np.ndarray) -> None:
        """Fill (bodies, 4, 4) with where everything is now; NaN for what is not there."""
        first = 0
        for source in self.sources:
            source.read(now, out[first : first + source.count])
            first += source.count

    def one(self, now: Now, number: int) -> np.ndarray | None:
        """(4, 4) where one body is now."""
        for source in self.sources:
            if number < source.count:
                return source.one(now, number)
            number -= source.count
        return None

    def shape(self, number: int, now: Now) -> Shape | None:
        """The shape of a thing, kept; that of a bending one only tells its corners at the start."""
        piece = self.pieces.get(number)
        key = piece if piece is not None else self.keys[number]
        if key not in self._shapes:
            if piece is not None:
                self._shapes[key] = piece.shape
            else:
                self._shapes[key] = shape_of(now.find(self.keys[number]), now.depsgraph)
        return self._shapes[key]

    def words(self, number: int) -> str:
        """What a thing is called."""
        if number not in self._words:
            self._words[number] = self._named(number)
        return self._words[number]

    def _named(self, number: int) -> str:
        one = bpy.data.objects.get(self.keys[number][0])
        piece = self.pieces.get(number)
        if piece is not None and piece.name:
            return name_bone(piece.name)
        if one is None:
            return ""
        slots = [slot.material for slot in one.material_slots if slot.material is not None]
        groups = one.users_collection
        return name_thing(one.name, slots[0].name if slots else "", groups[0].name if groups else "")


def gather(now: Now, updated: dict[Key, bool], *, hidden: bool) -> Things:
    """The solid things of the scene as they are now.

    updated: the objects that are evaluated with every frame, and whether their shape is; hidden: also those
    that are not rendered.
    """
    depsgraph = now.depsgraph
    listed = list(depsgraph.objects)
    keys = [key_of(one) for one in listed]
    blinking = _blinking(now.scene)
    made = _Making(notes=[])
    groups = []
    split: set[Key] = set()
    for group, skins in rigs(listed, updated):
        groups.append(group)
        split |= skins
    for group in bending(listed, updated, split):
        groups.append(group)
        split.add(group.pieces[0].key)
    solid = [one for one, key in zip(listed, keys, strict=True) if one.type in SOLID and key not in split]
    moving = [one for one in solid if key_of(one) in updated or key_of(one) in blinking]
    moving += [one for one in _not_there(blinking, set(keys), now) if key_of(one) not in split]
    seen = [one for one in moving if hidden or not one.hide_render or key_of(one) in blinking]
    made.objects(_largest(seen, made.notes), keys, blinking, hidden=hidden)
    hiding = {key for key, one in zip(keys, listed, strict=True) if one.hide_render and not hidden}
    for group in groups:
        if not all(piece.key in hiding for piece in group.pieces):
            made.group(group)
    copies = _copies(depsgraph, made.notes)
    made.copies(copies, updated, moving=True)
    bodies = len(made.keys)
    moved = {key_of(one) for one in moving}
    made.still([one for one in solid if key_of(one) not in moved and (hidden or not one.hide_render)])
    made.copies(copies, updated, moving=False)
    return made.things(bodies)


@dataclass(slots=True)
class _Making:
    """Rows as they are put together."""

    notes: list[str]
    keys: list[Key] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    matrices: list[np.ndarray] = field(default_factory=list)
    owners: list[Key] = field(default_factory=list)
    families: list[Key | None] = field(default_factory=list)
    simulated: list[bool] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    pieces: dict[int, Piece] = field(default_factory=dict)

    def add(
        self, key: Key, box: np.ndarray, *, owner: Key, family: Key | None = None, simulated: bool = False
    ) -> None:
        self.keys.append(key)
        self.boxes.append(box)
        self.owners.append(owner)
        self.families.append(family)
        self.simulated.append(simulated)

    def objects(
        self, found: list[bpy.types.Object], keys: list[Key], blinking: set[Key], *, hidden: bool
    ) -> None:
        names = [key_of(one) for one in found]
        blinks = [number for number, key in enumerate(names) if key in blinking]
        source = Objects(names, blinks, hidden=hidden)
        source.expect(keys)
        self.sources.append(source)
        for key, one in zip(names, found, strict=True):
            self.add(key, _box(one), owner=key, family=_rig_above(one), simulated=simulated(one))

    def group(self, group: Group) -> None:
        self.sources.append(group.source)
        for piece in group.pieces:
            self.pieces[len(self.keys)] = piece
            low, high = piece.shape.outer.min(axis=0), piece.shape.outer.max(axis=0)
            box = np.array(((high - low) / 2.0, (high + low) / 2.0))
            self.add(
                piece.key,
                box,
                owner=group.rig or piece.key,
                family=group.rig,
                simulated=piece.simulated,
            )

    def copies(self, found: list[_Copy], updated: dict[Key, bool], *, moving: bool) -> None:
        chosen = [one for one in found if (one.maker in updated) == moving]
        if moving and chosen:
            self.sources.append(Instances([one.key for one in chosen]))
        for one in chosen:
            self.add(one.thing, one.box, owner=("\n".join(map(str, one.key)), None), simulated=True)
            if not moving:
                self.matrices.append(one.matrix)

    def still(self, found: list[bpy.types.Object]) -> None:
        for one in found:
            self.add(key_of(one), _box(one), owner=key_of(one), family=_rig_above(one))
            self.matrices.append(np.array(one.matrix_world))

    def things(self, bodies: int) -> Things:
        count = len(self.keys)
        matrices = np.full((count, 4, 4), np.nan)
        if self.matrices:
            matrices[bodies:] = np.array(self.matrices)
        return Things(
            keys=self.keys,
            boxes=np.nan_to_num(np.array(self.boxes).reshape(-1, 2, 3), posinf=0.0, neginf=0.0),
            still=matrices,
            bodies=bodies,
            owners=_numbers(self.owners),
            families=_numbers(self.families),
            simulated=np.array(self.simulated, bool),
            sources=self.sources,
            pieces=self.pieces,
            notes=self.notes,
        )


@dataclass(frozen=True, slots=True)
class _Copy:
    """One instance: who makes it, whose shape it has, and where it is."""

    key: tuple[Any, ...]
    maker: Key
    thing: Key
    box: np.ndarray
    matrix: np.ndarray


def _copies(depsgraph: bpy.types.Depsgraph, notes: list[str]) -> list[_Copy]:
    found: list[_Copy] = []
    keys = instance_keys(depsgraph)
    if not any(keys):
        return []
    for key, one in zip(keys, depsgraph.object_instances, strict=True):
        if not key or one.object.type not in SOLID:
            continue
        if len(found) == MOST_COPIES:
            notes.append(f"Only the first {MOST_COPIES} instances are followed.")
            break
        thing = one.object
        found.append(_Copy(key, key_of(one.parent), key_of(thing), _box(thing), np.array(one.matrix_world)))
    return found


def _numbers(names: list[Any]) -> np.ndarray:
    """Equal names, equal numbers; -1 for none."""
    places: dict[Any, int] = {}
    return np.array([-1 if name is None else places.setdefault(name, len(places)) for name in names], int)


def _box(one: bpy.types.Object) -> np.ndarray:
    """(2, 3): half size and middle, in the object's own space."""
    corners = np.array([corner[:] for corner in one.bound_box])
    low, high = corners.min(axis=0), corners.max(axis=0)
    return np.array(((high - low) / 2.0, (high + low) / 2.0))


def _rig_above(one: bpy.types.Object) -> Key | None:
    """The armature that an object hangs on, through parents."""
    for _ in range(16):
        if one.parent is None:
            return None
        one = one.parent
        if one.type == "ARMATURE":
            return key_of(one)
    return None


def _largest(found: list[bpy.types.Object], notes: list[str]) -> list[bpy.types.Object]:
    if len(found) <= MOST_BODIES:
        return found
    notes.append(f"{len(found)} things move; hits are read from the {MOST_BODIES} largest.")
    sizes = np.nan_to_num(np.array([max(one.dimensions) for one in found]))
    return [found[number] for number in np.sort(np.argsort(-sizes, kind="stable")[:MOST_BODIES]).tolist()]


def _blinking(scene: bpy.types.Scene) -> set[Key]:
    """Objects whose visibility is animated."""
    found: set[Key] = set()
    for one in scene.objects:
        animation = one.animation_data
        if animation is None or one.type not in SOLID:
            continue
        curves = action_curves(animation) if animation.action is not None else []
        if any(curve.data_path.startswith("hide_") for curve in (*curves, *animation.drivers)):
            found.add(key_of(one))
    return found


def _not_there(keys: set[Key], there: set[Key], now: Now) -> list[bpy.types.Object]:
    """Those of ``keys`` that are hidden now and may come later."""
    found = (now.find(key) for key in sorted(keys - there, key=str))
    return [one for one in found if one is not None]
