# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits on the timeline: where they are drawn, which is under the pointer, and what the mouse does with it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import bpy
import footfall
import pytest
from footfall.addon.hits.listed import FRAME, Hit, single
from footfall.addon.host.hits import drag, marks, overlay, store

VIEW, SIZE = (0.0, 100.0), (1000, 200)  # ten pixels a frame
BAND = marks.top(SIZE, 1.0) - 2  # a height at which every tick is


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    footfall.register()
    yield
    footfall.unregister()


def scene() -> Any:
    return bpy.context.scene


def hits() -> Any:
    return scene().footfall_hits


def place(*frames: float, strength: float = 1.0) -> None:
    store.write(scene(), [Hit(at=round(frame * FRAME), strength=strength) for frame in frames])
    bpy.ops.ed.undo_push(message="Start")


def under(x: float, y: float = BAND, active: int = -1) -> int | None:
    return marks.under(store.picture(scene()), VIEW, SIZE, 1.0, (x, y), active)


# Where they are


def test_ticks_are_few_however_many_hits_there_are() -> None:
    many = [
        Hit(at=FRAME + number * FRAME // 100, strength=single(number % 7 / 7)) for number in range(10_000)
    ]
    store.write(scene(), many)
    picture = store.picture(scene())
    boxes, colors = marks.ticks(picture, 0.5, 17, (0.0, 101.0), (800, 100))
    assert len(boxes) == len(colors) <= 3 * 810
    boxes, _ = marks.ticks(picture, 0.0, 17, (50.0, 50.1), (800, 100))
    assert 2 * 9 <= len(boxes) <= 2 * 12
    assert len(marks.ticks(picture, 0.0, 0, (5_000.0, 5_100.0), (800, 100))[0]) == 0


def test_ticks_say_what_they_stand_for() -> None:
    there = [Hit(at=10 * FRAME), Hit(at=20 * FRAME, kind="step", strength=0.0), Hit(at=30 * FRAME, on=False)]
    store.write(scene(), there)
    boxes, colors = marks.ticks(store.picture(scene()), 0.0, 0, VIEW, SIZE)
    edge_step, step, edge_off, off, hollow, bright, hit = range(7)  # the selected one comes last
    assert colors[step].tolist() == pytest.approx(marks.COLORS["step"])
    assert colors[hit].tolist() == pytest.approx(marks.COLORS["hit"])
    assert colors[bright].tolist() == pytest.approx(marks.BRIGHT)
    assert colors[edge_step].tolist() == colors[edge_off].tolist() == pytest.approx(marks.DARK)
    assert colors[hollow].tolist() == pytest.approx(marks.DARK)
    assert boxes[hit].tolist() == [98.0, 156.0, 102.0, 176.0]
    heights = boxes[:, 3] - boxes[:, 1]
    assert heights[hit] == 4 * heights[step]
    assert boxes[off, 0] < boxes[hollow, 0] < boxes[hollow, 2] < boxes[off, 2]


def test_the_pointer_finds_what_is_drawn_there_and_nothing_else() -> None:
    place(10, 20.25, 20.5)
    assert [under(x) for x in (100, 96, 104, 94, 106, 300)] == [0, 0, 0, None, None, None]
    assert under(100, SIZE[1] - 5) is None  # the frame numbers
    assert under(100, marks.top(SIZE, 1.0) - 21) is None  # below the band, where strips are
    assert (under(203), under(205)) == (1, 2)  # the nearest
    assert under(204, active=1) == 1  # the selected one first, where it is itself
    place(10, strength=0.0)
    assert under(100, marks.top(SIZE, 1.0) - 9) == 0  # the lowest can still be taken
    assert under(100, marks.top(SIZE, 1.0) - 12) is None


def test_a_pointer_over_ten_thousand_hits_takes_no_time(measured: Any) -> None:
    import time

    store.write(scene(), [Hit(at=number * FRAME) for number in range(10_000)])
    picture = store.picture(scene())
    began = time.thread_time()
    for x in range(100):
        marks.under(picture, (0.0, 10_000.0), (1000, 200), 1.0, (x * 10, BAND))
    took = (time.thread_time() - began) / 100
    measured(f"{took * 1e6:.0f} microseconds")
    assert took < 0.005


# How far they go


def test_a_way_is_counted_in_parts_of_a_frame() -> None:
    way = drag.Way(start=10 * FRAME, x=500, per_frame=8.0)
    assert way.to(502) == 10 * FRAME  # a hand trembles
    assert not way.moved
    assert way.to(505) == 10 * FRAME + 625_000
    assert way.to(480) == 10 * FRAME - 2_500_000
    assert way.to(500) == 10 * FRAME  # moved, and back again
    assert way.moved


def test_shift_goes_on_finer_from_where_it_is_and_ctrl_takes_whole_frames() -> None:
    way = drag.Way(start=0, x=0, per_frame=10.0)
    assert way.to(14) == 1_400_000
    assert way.to(24, fine=True) == 1_500_000
    assert way.to(24, whole=True) == 2 * FRAME
    assert way.to(24) == 1_500_000
    assert drag.Way(start=-FRAME // 4, x=0, per_frame=10.0).to(-10, whole=True) == -FRAME


def test_no_hit_leaves_blenders_time() -> None:
    way = drag.Way(start=0, x=0, per_frame=1e-9)
    assert way.to(10_000) == drag.LAST_FRAME * FRAME
    assert way.to(-10_000) == -drag.LAST_FRAME * FRAME


# The mouse


class Mouse:
    """A pointer over a sequencer that is not there; remembers what is said and shown."""

    def __init__(self) -> None:
        self.pointer = drag.Pointer()
        self.running = False
        self.said: dict[str, Any] = {"header": None, "status": None, "cursor": "", "label": False}
        view = SimpleNamespace(region_to_view=lambda x, y: (x / 10.0, y))
        region = SimpleNamespace(
            type="WINDOW", x=0, y=0, width=1000, height=200, view2d=view, as_pointer=lambda: 7
        )
        self.sidebar = SimpleNamespace(type="UI", x=800, y=0, width=1, height=200)
        self.context = SimpleNamespace(
            area=SimpleNamespace(
                type="SEQUENCE_EDITOR",
                regions=[region, self.sidebar],
                header_text_set=lambda text: self.said.update(header=text),
            ),
            region=region,
            window=SimpleNamespace(
                as_pointer=lambda: 9,
                cursor_modal_set=lambda name: self.said.update(cursor=name),
                cursor_modal_restore=lambda: self.said.update(cursor=""),
            ),
            workspace=SimpleNamespace(status_text_set=lambda text: self.said.update(status=text)),
            window_manager=SimpleNamespace(modal_handler_add=lambda _operator: None),
            preferences=SimpleNamespace(
                system=SimpleNamespace(ui_scale=1.0), inputs=SimpleNamespace(mouse_double_click_time=350)
            ),
            scene=scene(),
            sequencer_scene=scene(),
        )

    def does(self, kind: str, value: str, x: float, y: float = BAND, **keys: bool) -> set[str]:
        """Hand an event on as Blender would; what the operator answers."""
        event = SimpleNamespace(
            type=kind, value=value, mouse_x=x, mouse_y=y, **{"shift": False, "ctrl": False, **keys}
        )
        answer: set[str] = set()
        if self.running:
            answer = self.pointer.modal(self.context, event)
            self.running = "RUNNING_MODAL" in answer
        if not answer or ("PASS_THROUGH" in answer and not self.running):
            answer = self.pointer.invoke(self.context, event)
            self.running = "RUNNING_MODAL" in answer
        return answer

    def moves(self, x: float, y: float = BAND, **keys: bool) -> set[str]:
        return self.does("MOUSEMOVE", "NOTHING", x, y, **keys)

    def presses(self, x: float, **keys: bool) -> set[str]:
        return self.does("LEFTMOUSE", "PRESS", x, **keys)

    def lets_go(self, x: float) -> set[str]:
        return self.does("LEFTMOUSE", "RELEASE", x)


@pytest.fixture
def mouse() -> Iterator[Mouse]:
    yield Mouse()
    drag._State.seen, drag._State.clicked = (), (-1, 0.0, 0.0)
    overlay.point_at(None, None, -1)


def places() -> list[float]:
    return [entry.frame + entry.millionths / FRAME for entry in hits().entries]


def test_events_beside_a_hit_belong_to_blender(mouse: Mouse) -> None:
    place(10, 20)
    assert mouse.moves(150) == mouse.presses(150) == mouse.lets_go(150) == {"PASS_THROUGH"}
    assert mouse.presses(100) == {"RUNNING_MODAL"}
    mouse.lets_go(100)
    assert mouse.moves(150) == {"PASS_THROUGH"}
    assert mouse.said == {"header": None, "status": None, "cursor": "", "label": False}


def test_pointing_tells_what_it_is_and_takes_no_event(mouse: Mouse) -> None:
    place(10)
    hits().entries[0].words = "steel bucket"
    assert mouse.moves(100) == {"RUNNING_MODAL", "PASS_THROUGH"}
    assert mouse.said["cursor"] == "HAND"
    assert "Drag" in mouse.said["status"]
    assert overlay._Pointed.number == 0
    assert overlay.label(hits().entries[0]) == "10   hit, steel bucket   100%"
    assert mouse.does("G", "PRESS", 100) == {"RUNNING_MODAL", "PASS_THROUGH"}
    mouse.moves(100, 50)
    assert overlay._Pointed.number == -1
    assert mouse.said["cursor"] == ""


def test_a_click_selects_and_is_one_undo_step(mouse: Mouse) -> None:
    place(10, 20)
    mouse.moves(200)
    mouse.presses(200)
    assert drag.holding()
    mouse.lets_go(201)
    assert not drag.holding()
    assert hits().active == 1
    assert places() == [10, 20]
    bpy.ops.ed.undo()
    assert hits().active == 0


def test_a_drag_moves_live_and_is_one_undo_step(mouse: Mouse) -> None:
    place(10, 20)
    mouse.moves(200)
    mouse.presses(200)
    mouse.moves(213)
    assert places() == [10, 21.3]
    assert mouse.said["header"] == "Hit at frame 21.300   (0.887 s)   moved +1.300"
    assert mouse.said["cursor"] == "SCROLL_X"
    mouse.moves(223, shift=True)
    assert places()[1] == 21.4
    mouse.does("LEFT_CTRL", "PRESS", 223, ctrl=True)
    assert places()[1] == 21
    mouse.moves(223)
    mouse.lets_go(223)
    assert places() == [10, 21.4]
    assert mouse.said["header"] is None
    bpy.ops.ed.undo()
    assert places() == [10, 20]
    bpy.ops.ed.redo()
    assert places() == [10, 21.4]


@pytest.mark.parametrize("key", ["ESC", "RIGHTMOUSE"])
def test_esc_and_the_right_button_put_it_back(mouse: Mouse, key: str) -> None:
    place(10)
    mouse.presses(100)
    mouse.moves(180)
    assert places() == [18]
    assert mouse.does(key, "PRESS", 180) == {"RUNNING_MODAL"}
    assert places() == [10]
    mouse.moves(300)
    mouse.lets_go(300)
    assert places() == [10]
    assert not drag.holding()
    mouse.moves(301)
    assert not mouse.running


def test_two_clicks_with_time_between_them_only_select(mouse: Mouse, monkeypatch: pytest.MonkeyPatch) -> None:
    place(10, 20)
    now = [0.0]
    monkeypatch.setattr(drag, "time", SimpleNamespace(monotonic=lambda: now[0]))
    mouse.moves(200)
    for _ in range(2):
        now[0] += 1.0
        mouse.presses(200)
        mouse.lets_go(200)
    now[0] += 0.2
    mouse.moves(100)
    mouse.presses(100)  # quick, but on another hit
    mouse.lets_go(100)
    assert [entry.on for entry in hits().entries] == [True, True]


@pytest.mark.parametrize("how", ["ctrl", "double", "double, as a key map has it"])
def test_ctrl_click_and_double_click_switch(mouse: Mouse, how: str) -> None:
    place(10, 20)
    mouse.moves(200)
    if how == "ctrl":
        mouse.presses(200, ctrl=True)
    else:
        mouse.presses(200)
        mouse.lets_go(200)
        mouse.does("LEFTMOUSE", "PRESS" if how == "double" else "DOUBLE_CLICK", 200)
    mouse.lets_go(200)
    assert [entry.on for entry in hits().entries] == [True, False]
    assert not drag.holding()
    bpy.ops.ed.undo()
    assert [entry.on for entry in hits().entries] == [True, True]


def test_playback_goes_on_during_a_drag(mouse: Mouse) -> None:
    place(10)
    mouse.presses(100)
    assert mouse.does("TIMER", "NOTHING", 100) == {"RUNNING_MODAL", "PASS_THROUGH"}
    mouse.lets_go(100)


def test_a_list_that_changes_under_the_hand_is_left_alone(mouse: Mouse) -> None:
    place(10, 20)
    mouse.presses(200)
    mouse.moves(210)
    store.write(scene(), [Hit(at=5 * FRAME)])
    mouse.moves(230)
    mouse.lets_go(230)
    assert places() == [5]
    assert not drag.holding()


def test_a_sidebar_over_the_timeline_keeps_its_clicks(mouse: Mouse) -> None:
    place(85)
    assert mouse.moves(850) == {"RUNNING_MODAL", "PASS_THROUGH"}
    mouse.sidebar.width = 200
    assert mouse.moves(851) == {"PASS_THROUGH"}


def test_nothing_is_taken_where_nothing_is_shown(mouse: Mouse, tmp_path: Any) -> None:
    place(10)
    assert drag.Pointer.poll(mouse.context)
    hits().show = False
    assert not drag.Pointer.poll(mouse.context)
    hits().show = True
    mouse.context.sequencer_scene = None
    if bpy.app.version >= (5, 0):
        assert not drag.Pointer.poll(mouse.context)


def test_blender_ends_it(mouse: Mouse) -> None:
    """Another file, or the add-on is disabled, in the middle of a drag."""
    place(10)
    mouse.presses(100)
    mouse.moves(130)
    mouse.pointer.cancel(mouse.context)
    assert not drag.holding()
    assert mouse.said["header"] is None
    assert mouse.said["cursor"] == ""
