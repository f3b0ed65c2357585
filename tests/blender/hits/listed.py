# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's list of hits, and hits to put into it."""

from __future__ import annotations

import time
from typing import Any

import bpy
from footfall.addon.hits import listed as hit_list
from footfall.addon.hits.listed import FRAME, Found, Hit
from footfall.addon.host import orders, pump
from footfall.addon.host.demo import shot as demo_shot
from footfall.addon.host.hits import finding as hit_finding
from footfall.addon.host.hits import store
from footfall.addon.wire import limits

PATIENCE_S = 60.0


def scene() -> Any:
    return bpy.context.scene


def found(frame: float, kind: str = "hit", words: str = "ball", strength: float = 0.5, **more: Any) -> Hit:
    what = Found(at=round(frame * FRAME), kind=kind, words=words, strength=strength)
    values = {name: getattr(what, name) for name in hit_list.EDITABLE}
    return Hit(**{**values, "origin": "scene", "found": what, **more})


EVERYTHING = (
    found(1, pan=-0.5, distance_m=3.0, place=(0.25, 0.5, 0.125)),
    found(-7.25, "step", "linker Fuß 🦶", on=False),
    Hit(at=1_048_573 * FRAME + 999_999, words="x" * limits.WORDS, strength=0.25, origin="artist"),
    found(2.000001, origin="marker", kind="Ä" * limits.NAME),
    Hit(at=0, kind="whoosh", origin="pixels"),
)


def entries() -> Any:
    return scene().footfall_hits.entries


def times() -> list[int]:
    return sorted(hit.at for hit in store.read(scene()))


def search() -> None:
    """Press the button and turn the pump until it is done."""
    assert bpy.ops.footfall.hits_find() == {"FINISHED"}
    deadline = time.monotonic() + PATIENCE_S
    while hit_finding.running() is not None:
        assert time.monotonic() < deadline
        pump.tick()


def demo() -> Any:
    """The demo shot as the scene in use."""
    made = demo_shot.build()
    bpy.context.window.scene = made
    made.footfall.events = "scene"
    bpy.ops.ed.undo_push(message="Demo")
    return made


def order(hits: str = "", **settings: Any) -> orders.Order:
    span = orders.frame_range(scene(), "scene")
    wanted = {"layers": ("bed", "spots"), **settings}
    return orders.make(scene(), "file", span, source="auto", per_second=4, settings=wanted, hits=hits)
