# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of hits in the scene: exact, saved, undone, edited by its buttons, drawn."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
from footfall.addon.hits import file as hit_file
from footfall.addon.hits import listed as hit_list
from footfall.addon.hits.listed import FRAME
from footfall.addon.host import pump
from footfall.addon.host.hits import events, marks, store
from footfall.addon.host.hits import overlay as hit_overlay
from footfall.addon.host.hits import panel as hit_panel
from footfall.addon.host.hits import rows as hit_rows
from footfall.addon.wire import limits
from footfall.tests.blender.hits.listed import EVERYTHING, demo, entries, found, scene, times
from footfall.tests.blender.panel import test_panel

# Data -------------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.usefixtures("enabled")


def test_everything_is_kept_exactly() -> None:
    store.write(scene(), EVERYTHING)
    assert tuple(store.read(scene())) == EVERYTHING
    store.write_one(entries()[0], EVERYTHING[2])
    assert store.read_one(entries()[0]) == EVERYTHING[2]


def test_it_survives_saving_and_opening(tmp_path: Path) -> None:
    store.write(scene(), EVERYTHING)
    scene().footfall_hits.active = 2
    scene().footfall.least_strength = 0.25
    path = tmp_path / "a b “c”.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert len(entries()) == 0
    bpy.ops.wm.open_mainfile(filepath=str(path))
    assert tuple(store.read(scene())) == EVERYTHING
    assert scene().footfall_hits.active == 2
    assert store.picture(scene()).sounding(scene().footfall.least_strength).tolist() == [1, 0, 1, 1, 1]


def test_each_edit_is_one_undo_step() -> None:
    store.write(scene(), EVERYTHING[:2])
    bpy.ops.ed.undo_push(message="Two")
    entries()[0].on = False
    bpy.ops.ed.undo_push(message="Off")
    bpy.ops.footfall.hit_add("EXEC_DEFAULT", True)
    assert len(entries()) == 3
    bpy.ops.ed.undo()
    assert [entry.on for entry in entries()] == [False, False]
    bpy.ops.ed.undo()
    assert [entry.on for entry in entries()] == [True, False]
    assert store.picture(scene()).on.tolist() == [True, False]
    bpy.ops.ed.redo()
    assert store.picture(scene()).on.tolist() == [False, False]


def test_the_picture_follows_every_change() -> None:
    store.write(scene(), [found(5), found(3)])
    before = store.picture(scene())
    assert before.order.tolist() == [1, 0]
    assert store.picture(scene()) is before
    entries()[0].frame = 1
    assert store.picture(scene()).times.tolist() == [1.0, 3.0]
    entries()[0].subframe = 0.25
    assert store.picture(scene()).times.tolist() == [1.25, 3.0]
    entries()[1].strength = 0.125
    assert store.picture(scene()).strengths.tolist() == [0.5, 0.125]
    entries()[1].kind = "step"
    assert store.picture(scene()).families == ("hit", "step")
    other = bpy.data.scenes.new("Other")
    assert len(store.picture(other).times) == 0
    assert len(store.picture(scene()).times) == 2


@pytest.mark.parametrize("value", [0.0, 0.5, 0.999999, 1.0, 0.123456])
def test_parts_of_a_frame_are_set_as_shown(value: float) -> None:
    store.write(scene(), [found(5)])
    entries()[0].subframe = value
    assert entries()[0].subframe == pytest.approx(min(value, 0.999999), abs=1e-6)
    assert entries()[0].frame == 5


def test_ten_thousand_are_read_and_written_in_a_moment(measured: Callable[[str], None]) -> None:
    many = [found(1 + number / 100, words=f"thing {number % 50}") for number in range(limits.EVENTS)]
    began = time.thread_time()
    store.write(scene(), many)
    wrote = time.thread_time()
    store.picture(scene())
    looked = time.thread_time()
    assert store.read(scene()) == many
    read = time.thread_time()
    measured(
        f"10,000 hits: written in {(wrote - began) * 1e3:.0f} ms, "
        f"looked at in {(looked - wrote) * 1e3:.0f} ms, read in {(read - looked) * 1e3:.0f} ms"
    )
    assert read - began < 5.0
    with pytest.raises(RuntimeError, match="at most"):
        bpy.ops.footfall.hit_add()
    assert FRAME == store.FRAME


# Buttons ----------------------------------------------------------------------------------------------------


def test_add_at_the_playhead_and_delete() -> None:
    scene().frame_set(12, subframe=0.25)
    bpy.ops.footfall.hit_add(kind="step", words="left")
    added = store.read(scene())[0]
    assert (added.at, added.kind, added.words, added.origin) == (int(12.25 * FRAME), "step", "left", "artist")
    assert store.active(scene()) == entries()[0]
    bpy.ops.footfall.hit_delete()
    assert len(entries()) == 0
    with pytest.raises(RuntimeError):
        bpy.ops.footfall.hit_delete()


def test_deleting_selects_the_next_one() -> None:
    store.write(scene(), [found(30), found(10), found(20)])
    scene().footfall_hits.active = 1
    bpy.ops.footfall.hit_delete()
    assert store.active(scene()).frame == 20
    bpy.ops.footfall.hit_delete()
    assert store.active(scene()).frame == 30
    bpy.ops.footfall.hit_delete()
    assert store.active(scene()) is None


def test_switching() -> None:
    store.write(scene(), [found(1), found(2, on=False), found(3)])
    bpy.ops.footfall.hit_toggle(which="active")
    assert [entry.on for entry in entries()] == [False, False, True]
    bpy.ops.footfall.hit_toggle(which="invert")
    assert [entry.on for entry in entries()] == [True, True, False]
    bpy.ops.footfall.hit_toggle(which="off")
    assert not any(entry.on for entry in entries())
    bpy.ops.footfall.hit_toggle(which="on")
    assert store.picture(scene()).on.all()


def test_moving_by_parts_of_a_frame_and_back() -> None:
    store.write(scene(), [found(10)])
    for _ in range(3):
        bpy.ops.footfall.hit_move(frames=0.1)
    assert times() == [10_300_000]
    bpy.ops.footfall.hit_move(frames=-1)
    assert times() == [9_300_000]
    bpy.ops.footfall.hit_move(frames=-10)
    assert (entries()[0].frame, entries()[0].millionths) == (-1, 300_000)
    scene().frame_set(40)
    bpy.ops.footfall.hit_move(to_playhead=True)
    assert times() == [40 * FRAME]
    assert store.read(scene())[0].edits == {"at"}
    bpy.ops.footfall.hit_reset()
    assert store.read(scene()) == [found(10)]


def test_jumping_from_hit_to_hit() -> None:
    store.write(scene(), [found(30.5), found(10), found(20)])
    scene().frame_set(1)
    seen = []
    for _ in range(3):
        bpy.ops.footfall.hit_jump(to="next")
        seen.append((scene().frame_current, store.active(scene()).frame))
    assert seen == [(10, 10), (20, 20), (30, 30)]
    assert bpy.ops.footfall.hit_jump(to="next") == {"CANCELLED"}
    bpy.ops.footfall.hit_jump(to="previous")
    assert scene().frame_current == 20
    scene().footfall_hits.active = 1
    bpy.ops.footfall.hit_jump(to="active")
    assert scene().frame_current == 10


def test_a_file_and_back(tmp_path: Path) -> None:
    path = tmp_path / "hits.json"
    scene().frame_start, scene().frame_end = 5, 100
    store.write(scene(), [found(10.25), found(20, on=False), found(30, strength=0.125), found(400)])
    scene().footfall.least_strength = 0.25
    bpy.ops.footfall.hits_export(filepath=str(path))
    written = hit_file.read_events(path)
    assert [float(event.time_s * 24) for event in written] == [5.25]
    bpy.ops.footfall.hits_clear()
    bpy.ops.footfall.hits_import(filepath=str(path))
    bpy.ops.footfall.hits_import(filepath=str(path))
    assert [(hit.at, hit.origin) for hit in store.read(scene())] == [(10_250_000, "artist")]
    path.write_text("{")
    with pytest.raises(RuntimeError, match="cannot be read"):
        bpy.ops.footfall.hits_import(filepath=str(path))


# What is drawn ----------------------------------------------------------------------------------------------


def test_rows_are_in_order_of_time_and_filtered() -> None:
    group = scene().footfall_hits
    store.write(scene(), [found(30, words="can"), found(10, words="ball"), found(20, "step", on=False)])
    assert hit_rows.arrange(group, "", False, False, shown=1) == ([1, 1, 1], [2, 0, 1])
    assert hit_rows.arrange(group, "", False, True, shown=1)[0] == [1, 1, 0]
    assert hit_rows.arrange(group, "ball", False, False, shown=1)[0] == [0, 1, 1]
    assert hit_rows.arrange(group, "ball", True, True, shown=1)[0] == [1, 0, 0]
    assert hit_rows.arrange(group, "step", False, False, shown=1)[0] == [0, 0, 1]


def drawn() -> str:
    """The panel's part about hits, and the rows of the list."""
    layout = test_panel.Layout()
    hit_panel.draw(layout, test_panel.context(), scene().footfall)  # type: ignore[arg-type]
    for entry in entries():
        hit_rows.draw_row(layout, entry)  # type: ignore[arg-type]
    return layout.text


def test_the_panel_says_what_will_sound() -> None:
    assert "Generate looks for hits in the scene's" in drawn()
    store.write(scene(), EVERYTHING)
    scene().footfall.least_strength = 0.75
    text = drawn()
    assert "0 of 2 hits will sound." in text
    assert "[As It Was Found]" in text
    assert "<words>" in text
    scene().footfall.spots = False
    assert "Switch on Spots" in drawn()
    scene().footfall.range = "preview"  # there is none
    assert "1 of 5" in drawn()


def test_a_running_search_shows_how_far_it_is() -> None:
    demo()
    bpy.ops.footfall.hits_find()
    pump.tick()
    assert "Finding hits" in drawn()
    bpy.ops.footfall.hits_stop()
    assert "Finding hits" not in drawn()


@pytest.mark.parametrize(
    ("frame", "words"), [(12, "12"), (12.5, "12.5"), (12.04, "12"), (12.96, "13"), (-3.75, "-4.2")]
)
def test_places_as_they_are_read(frame: float, words: str) -> None:
    """A place before frame 0 counts on from its frame, as the fields below the list do."""
    store.write(scene(), [found(frame)])
    assert hit_rows.place(entries()[0]) == words


def test_icons_and_colours_are_known_for_every_kind() -> None:
    icons = bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys()
    for family in hit_list.FAMILIES:
        assert hit_rows.ICONS[family] in icons
        assert family in marks.COLORS
    assert all(hit_list.family(kind) != "other" for kind in events.KINDS)


def test_nothing_is_drawn_in_background() -> None:
    assert hit_overlay._handles == []
