# SPDX-License-Identifier: GPL-3.0-or-later
"""What is left of words where the sidebar is narrow: nothing is lost unseen, and what matters comes first."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import bpy
import pytest
from footfall.addon.host import settings, texts
from footfall.addon.host.panel import body as panel_body
from footfall.addon.host.panel import job_rows, ready
from footfall.addon.host.worker import line as worker_line
from footfall.addon.host.worker import setup as setup_worker
from footfall.addon.takes.history import Take
from footfall.tests.blender.panel.test_panel import context, drawn, enabled, session_with

__all__ = ["enabled"]
LONG = "The worker said something long about what it could not do. " * 3 + "Then choose Draft and try again."


@pytest.mark.usefixtures("enabled")
def test_the_end_of_an_error_says_what_to_do_and_is_shown() -> None:
    text = drawn(job_rows.draw, 35, session_with("failed", sentence=LONG))
    assert "Draft and try again." in text.replace("\n", " ")


def test_words_that_are_left_out_are_shown_by_dots() -> None:
    found = texts.wrap("some words of five letters, " * 9, 20, 3)
    assert len(found) == 3
    assert found[-1].endswith("…")
    assert all(len(line) <= 20 for line in found)


@pytest.mark.usefixtures("enabled")
def test_lines_behind_an_icon_are_shorter() -> None:
    bpy.context.scene.camera = None
    ready.forget()
    narrow = context()
    narrow.region.width = 217
    width = job_rows.characters(narrow)
    lines = drawn(panel_body.draw_shot, narrow, bpy.context.scene.footfall).splitlines()
    said = [line for line in lines if not line.startswith("<")]
    assert len(said) > 3
    assert all(len(line) <= width - job_rows.ICON for line in said)
    session = session_with("running")
    session.status = replace(session.status, state="failed", sentence=LONG)
    told = drawn(worker_line.draw, 30, session, "starter").splitlines()
    assert "".join(told).endswith("try again.[Restart Worker][Show Log]")
    assert all(len(line) <= 30 - job_rows.ICON for line in told[1:])


@pytest.mark.usefixtures("enabled")
def test_what_may_be_wrong_comes_before_what_was_heard() -> None:
    text = drawn(job_rows.draw, 40, session_with("placed"))
    assert text.index("Kept.") < text.index("Heard:")


@pytest.mark.usefixtures("enabled")
def test_how_far_the_setup_is_has_lines_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "Unpacking 48 packages; this can take some minutes"
    monkeypatch.setattr(setup_worker._setup, "run", SimpleNamespace())
    monkeypatch.setattr(setup_worker._setup, "progress", SimpleNamespace(fraction=0.5, words=words))
    lines = drawn(setup_worker.draw, settings.current(), 35).splitlines()
    assert words in " ".join(lines)
    assert words not in lines
    setup_worker._setup.run = None


@pytest.mark.usefixtures("enabled")
def test_a_worker_elsewhere_wants_no_setup_here() -> None:
    chosen = replace(settings.current(), worker_python=None)
    assert "[Set Up Worker]" in drawn(setup_worker.draw, chosen, 40)
    assert drawn(setup_worker.draw, replace(chosen, remote=True), 40) == ""


@pytest.mark.usefixtures("enabled")
def test_each_menu_of_the_panel_says_what_it_is_for() -> None:
    for name in ("FOOTFALL_MT_hits", "FOOTFALL_MT_presets", "FOOTFALL_MT_worker"):
        assert getattr(bpy.types, name).bl_description


@pytest.mark.usefixtures("enabled")
def test_the_tip_of_a_take_has_all_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    from footfall.addon.host.takes import operators, strips

    words = "wet gravel and a long squeaking door in the distance"
    story = f'{{"request": {{"prompt": "{words}", "seed": 7}}, "model": {{"bundle": "starter"}}}}'
    take = Take(id="a" * 32, path="", story=story)
    monkeypatch.setattr(operators, "active", lambda _context: object())
    monkeypatch.setattr(strips, "takes_of", lambda _strip: {take.id: take})
    tip = operators.FOOTFALL_OT_take_play.description(bpy.context, SimpleNamespace(take_id=take.id))
    assert f"{words}  ·  seed 7  ·  starter\n" in tip
    assert tip.endswith(operators.FOOTFALL_OT_take_play.__doc__ or "")
