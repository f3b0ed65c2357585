# SPDX-License-Identifier: GPL-3.0-or-later
"""Many hits of one kind in a meta strip: gathered in one undo step, heard to the sample, movable."""

from __future__ import annotations

import types
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import mixdown, placing
from footfall.addon.host.sounds.placing import Placing
from footfall.addon.sounds.placement import METAS_FROM
from footfall.addon.timeline import Rate
from footfall.addon.wire.errors import SaveError

RATE = Rate(24)
HZ = 48_000

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture
def job(sound: Any, store: Any) -> Callable[..., Any]:
    """``job(hits=12)`` -> Stored with a bed, so many hits on wood at uneven times, and two on glass."""

    def make(hits: int = 12, **more: Any) -> Any:
        click = np.zeros((HZ // 8, 1), np.float32)
        click[:4] = 0.5
        clips = [sound(0, seconds=1)]
        clips += [
            sound(time, layer="spots", waveform=click, label="step on wood", group=0) for time in times(hits)
        ]
        clips += [sound(n, layer="spots", seconds=0.25, label="glass", group=1) for n in (1, 2)]
        return store(clips, RATE, 101, **more)

    return make


def times(hits: int) -> list[Fraction]:
    return [Fraction(n, 7) + Fraction(n, 1000) for n in range(hits)]


def inside(scene: Any) -> list[Any]:
    return [strip for strip in sequencer.all_strips(scene) if strip.parent_meta() is not None]


def test_many_of_a_kind_are_gathered_and_few_are_not(job: Any) -> None:
    stored = job()
    placed = placing.place(stored, placing.home(bpy.context.scene))
    scene = bpy.context.scene
    [meta] = sequencer.metas(scene).values()
    assert meta.name == "Footfall step on wood"
    assert len(inside(scene)) == 12
    assert {strip.parent_meta().name for strip in inside(scene)} == {meta.name}
    spans = [sequencer.span(strip) for strip in inside(scene)]
    assert sequencer.span(meta) == (min(a for a, _ in spans), max(b for _, b in spans))
    assert scene.sequence_editor.channels[meta.channel].name == "Footfall spots"
    top = [strip.name for strip in sequencer.strips(scene.sequence_editor)]
    assert len(top) == 4  # the bed, the meta, two on glass
    assert len(placed.uuids) == 15
    assert not placing.missing(stored, placing.home(scene))
    seen: dict[int, list[tuple[int, int]]] = {}
    for strip in inside(scene):
        for first, end in seen.setdefault(strip.channel, []):
            assert sequencer.span(strip)[1] <= first or end <= sequencer.span(strip)[0]
        seen[strip.channel].append(sequencer.span(strip))


def test_fewer_lie_beside_each_other(job: Any) -> None:
    placing.place(job(hits=METAS_FROM - 1), placing.home(bpy.context.scene))
    assert not sequencer.metas(bpy.context.scene)
    assert not inside(bpy.context.scene)


def test_the_user_may_want_no_metas(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = types.SimpleNamespace(metas=False)
    monkeypatch.setattr(bpy.types.Scene, "footfall", property(lambda scene: wishes), raising=False)
    placing.place(job(), placing.home(bpy.context.scene))
    assert not inside(bpy.context.scene)


def onsets(path: Path) -> np.ndarray:
    head, _, data = path.read_bytes().partition(b"data")
    assert head
    sound = np.frombuffer(data[4 : len(data) - (len(data) - 4) % 8], "<f4").reshape(-1, 2)[:, 0]
    loud = np.flatnonzero(np.abs(sound) > 0.2)
    return loud[np.diff(loud, prepend=-HZ) > 100]


def test_the_mixdown_has_every_hit_to_the_sample(store: Any, sound: Any, tmp_path: Path) -> None:
    click = np.zeros((HZ // 20, 1), np.float32)
    click[:4] = 0.5
    clips = [sound(t, layer="spots", waveform=click, label="w", group=0) for t in times(12)]
    placing.place(store(clips, RATE, 11), placing.home(bpy.context.scene))
    scene = bpy.context.scene
    assert sequencer.metas(scene)
    scene.frame_start, scene.frame_end = 1, 80
    scene.render.fps = 24
    found = onsets(mixdown.mixdown(scene, tmp_path / "mix.wav"))
    wanted = np.array([round((Fraction(10, 24) + t) * HZ) for t in times(12)])
    assert len(found) == len(wanted)
    assert np.abs(found - wanted).max() <= 1


def test_one_undo_takes_all_away_and_redo_brings_all_back(job: Any) -> None:
    stored = job()
    where = placing.home(bpy.context.scene)
    running = Placing(stored, where)
    steps = 1
    while running.step(budget_s=0.0) is None:  # a strip a tick
        steps += 1
    assert steps > 10
    assert len(inside(bpy.context.scene)) == 12
    bpy.ops.ed.undo()
    assert not sequencer.all_strips(bpy.context.scene)
    bpy.ops.ed.redo()
    assert len(inside(bpy.context.scene)) == 12
    assert not placing.missing(stored, where)
    before = len(sequencer.all_strips(bpy.context.scene))
    placing.place(stored, where)
    assert len(sequencer.all_strips(bpy.context.scene)) == before


def test_a_hit_that_moves_stretches_its_meta_and_no_other_hit(job: Any) -> None:
    placing.place(job(), placing.home(bpy.context.scene))
    scene = bpy.context.scene
    [meta] = sequencer.metas(scene).values()
    others = {strip.name: sequencer.span(strip) for strip in inside(scene)}
    last = max(inside(scene), key=lambda strip: sequencer.span(strip)[1])
    first, end = sequencer.span(last)
    sequencer.shift(last, 30)
    assert sequencer.span(last) == (first + 30, end + 30)
    assert sequencer.span(meta)[1] == end + 30
    del others[last.name]
    assert all(sequencer.span(strip) == others[strip.name] for strip in inside(scene) if strip.name in others)


def test_a_meta_that_moves_takes_its_hits_along(job: Any) -> None:
    placing.place(job(), placing.home(bpy.context.scene))
    [meta] = sequencer.metas(bpy.context.scene).values()
    before = [sequencer.span(strip) for strip in inside(bpy.context.scene)]
    sequencer.shift(meta, 48)
    after = [sequencer.span(strip) for strip in inside(bpy.context.scene)]
    assert after == [(first + 48, end + 48) for first, end in before]


def test_what_cannot_be_finished_leaves_no_empty_meta(job: Any) -> None:
    stored = job()
    stored.strips[6].path.unlink()
    with pytest.raises(SaveError):
        placing.place(stored, placing.home(bpy.context.scene))
    assert not sequencer.all_strips(bpy.context.scene)


def test_five_hundred_hits_are_one_meta_in_small_steps(
    store: Any, sound: Any, measured: Callable[[str], None]
) -> None:
    import time

    click = np.full((HZ // 10, 1), 0.1, np.float32)
    clips = [
        sound(Fraction(n * 6, 5), layer="spots", waveform=click, label="step", group=0) for n in range(500)
    ]
    running = Placing(store(clips, RATE, 1), placing.home(bpy.context.scene))
    longest, began, done = 0.0, time.perf_counter(), None
    while done is None:
        start = time.perf_counter()
        done = running.step()
        longest = max(longest, time.perf_counter() - start)
    measured(
        f"500 hits: {time.perf_counter() - began:.2f} s in all, the longest tick {longest * 1000:.0f} ms"
    )
    assert len(inside(bpy.context.scene)) == 500
