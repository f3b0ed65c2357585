# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of takes show, on the layout of test_panel.py; it checks each word against this Blender."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import footfall
import pytest
from footfall.addon.host import live, sequencer
from footfall.addon.host.sounds import live_row, placing
from footfall.addon.host.takes import hears_panel
from footfall.addon.host.takes import panel as take_panel
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.takes import history
from footfall.addon.takes.history import Take
from footfall.addon.takes.provenance import KEY
from footfall.addon.timeline import Rate
from footfall.tests.blender.panel.test_panel import Layout

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture
def strip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: Any, store: Any) -> Iterator[Any]:
    """The active one, with three takes."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    footfall.register()
    clips = [sound(0, take=take, seconds=1) for take in range(3)]
    placing.place(store(clips, Rate(24)), placing.home(bpy.context.scene))
    made = sequencer.all_strips(bpy.context.scene)[0]
    bpy.context.scene.sequence_editor.active_strip = made
    yield made
    footfall.unregister()


def drawn(strip: Any) -> str:
    layout: Any = Layout()
    takes = take_strips.takes_of(strip)
    take_panel.draw_takes(layout, _context(), strip, takes)
    take_panel.draw_history(layout, takes)
    hears_panel.draw_heard(layout, takes)
    live_row.draw(layout)
    return str(layout.text)


def _context() -> Any:
    class Context:
        region = type("Region", (), {"width": 300})

        def __getattr__(self, name: str) -> Any:
            return getattr(bpy.context, name)

    return Context()


def test_three_takes(strip: Any) -> None:
    text = drawn(strip)
    assert "[Take 1 of 3]" in text
    assert text.count("wet  ·  seed 7  ·  starter") == 3
    assert "does not tell what it heard" in text


def test_takes_of_one_request_are_told_apart_by_their_numbers(strip: Any) -> None:
    """Their words, seed and time are the same."""
    takes = take_strips.takes_of(strip)
    take_strips.keep(strip, takes.changed(takes.takes[0].id, deleted=True))
    rows = [line for line in drawn(strip).splitlines() if "seed 7" in line]
    first = [line.strip("[").split("  ")[0] for line in rows]
    assert [word if word.isdigit() else "" for word in first] == ["2", "1", ""]  # the newest first


@pytest.mark.parametrize(
    ("layer", "request_", "words"),
    [
        ("bed", {"prompt": "boots", "background": "rain"}, "rain"),
        ("spots", {"prompt": "boots", "background": "rain"}, "boots"),
        ("bed", {"prompt": "boots", "background": ""}, "boots"),
        ("bed", {"prompt": "boots"}, "boots"),
        ("spots", {"prompt": "", "background": "rain"}, "glass"),
        ("bed", {"prompt": ["damaged"], "background": 5}, ""),
    ],
)
def test_the_words_of_a_line_are_those_that_the_strip_was_made_with(
    layer: str, request_: dict[str, Any], words: str
) -> None:
    story = json.dumps({"layer": layer, "label": "glass", "request": request_})
    assert take_panel.line(Take(id="a" * 32, path="", story=story)) == words


def test_locked_deleted_purged_and_of_ones_own(strip: Any) -> None:
    takes = take_strips.takes_of(strip)
    first, second, third = takes.takes
    takes = takes.changed(first.id, deleted=True).changed(second.id, deleted=True, path="")
    takes = takes.added(Take(id="a" * 32, path="//own.wav", how="file")).added(
        replace(third, id="b" * 32, how="more")
    )
    take_strips.keep(strip, takes.pulled("rain\x07\n<b>", -1.0))
    take_strips.lock(strip, True)
    text = drawn(strip)
    assert "A deleted take, of 3" in text
    assert "Locked" in text
    assert "[Make Again]" in text
    assert "own file" in text
    assert "like it" in text
    assert "rain" in text


def test_strips_that_tell_nothing(strip: Any) -> None:
    strip[history.KEY] = "nonsense"
    assert "Take 1 of 1" in drawn(strip)
    strip[KEY] = "nonsense"
    assert take_strips.takes_of(strip) is None


def test_the_preview_says_what_it_does(strip: Any) -> None:
    session = live.get()

    class Preview:
        state, sentence, took_s, draft = "making", "", 0.9, None

        def end(self, session: Any) -> None:
            pass

    session.preview = Preview()
    for state, words in (
        ("idle", "Change"),
        ("drawing", "pictures"),
        ("making", "draft"),
        ("ready", "0.9 s"),
    ):
        session.preview.state = state
        assert words in drawn(strip)


def test_a_long_history_is_drawn_quickly(strip: Any, measured: Any) -> None:
    takes = take_strips.takes_of(strip)
    for number in range(history.MOST):
        takes = takes.added(replace(takes.takes[0], id=f"{number:032x}", parent=takes.takes[-1].id))
    take_strips.keep(strip, takes)
    drawn(strip)
    began = time.thread_time()
    drawn(strip)
    took_ms = (time.thread_time() - began) * 1000
    measured(f"the panel of {history.MOST} takes: {took_ms:.1f} ms")
    assert took_ms < 200
