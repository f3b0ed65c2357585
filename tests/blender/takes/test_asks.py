# SPDX-License-Identifier: GPL-3.0-or-later
"""New takes for strips that are there, with a real worker process around a fake pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest
from footfall.addon.host import live, orders, sequencer
from footfall.addon.host.panel import preset_menu
from footfall.addon.host.takes import asks
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.takes import history, provenance
from footfall.tests.blender.host_tools import enabled_addon, movie_of_colours, our_strips, turn

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The add-on over a shot that is saved in a folder of its own."""
    with enabled_addon(tmp_path, monkeypatch):
        movie_of_colours(bpy.context.scene)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        yield


def generate(prompt: str = "tin", takes: int = 1, seed: int = 7, hits: tuple[int, ...] = ()) -> Any:
    """Placed strips, the last of them active; the session."""
    scene = bpy.context.scene
    for frame in hits:
        scene.timeline_markers.new("hit glass", frame=frame)
    chosen = scene.footfall
    chosen.prompt, chosen.takes, chosen.random_seed, chosen.seed = prompt, takes, False, seed
    chosen.events = "markers"
    assert bpy.ops.footfall.generate() == {"FINISHED"}
    session = live.session()
    finish(session)
    chosen.takes = 1
    activate(our_strips(scene)[-1])
    return session


def finish(session: Any) -> Any:
    """Turn until nothing is active; the newest job."""
    turn(session, lambda: not any(job.active or job.state == "done" for job in session.table.all()))
    return session.table.all()[-1]


def activate(*chosen: Any) -> None:
    for strip in sequencer.all_strips(bpy.context.scene):
        strip.select = strip in chosen
    bpy.context.scene.sequence_editor.active_strip = chosen[0]


def strip() -> Any:
    return bpy.context.scene.sequence_editor.active_strip


def takes() -> history.Takes:
    found = take_strips.takes_of(strip())
    assert found is not None
    return found


def told() -> dict[str, Any]:
    """The settings that made what is heard now."""
    return dict(sequencer.story_of(strip()).settings)


def test_again_has_another_seed_and_plays_at_once() -> None:
    session = generate()
    before = strip().sound.filepath
    assert bpy.ops.footfall.take_again() == {"FINISHED"}
    assert finish(session).state == "placed"
    assert len(our_strips(bpy.context.scene)) == 1
    assert takes().place == (2, 2)
    assert strip().sound.filepath != before
    assert (told()["prompt"], told()["seed"] == 7) == ("tin", False)
    assert takes().playing.parent == takes().takes[0].id


def test_again_makes_as_many_as_the_panel_says() -> None:
    session = generate()
    bpy.context.scene.footfall.takes = 3
    bpy.ops.footfall.take_again()
    finish(session)
    assert takes().place == (2, 4)


def test_more_like_this_turns_the_same_noise_a_little() -> None:
    session = generate(takes=3)
    bpy.ops.footfall.take_step(by=-1)
    bpy.context.window_manager.footfall_desk.vary = 0.3
    bpy.ops.footfall.take_more()
    finish(session)
    made = told()
    assert (made["seed"], made["first_take"], made["takes"]) == (7, 2, 1)
    assert made["vary"] == pytest.approx(0.3)
    assert takes().playing.how == "more"
    bpy.ops.footfall.take_more()  # further along the same way
    finish(session)
    assert told()["vary_seed"] == made["vary_seed"]
    assert 0.15 <= told()["vary"] - made["vary"] <= 0.301


def test_nudge_keeps_the_seed() -> None:
    session = generate()
    words = {"prompt": "wet tin", "background": "rain", "negative_prompt": "music"}
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", **words, nudge=0.8)
    finish(session)
    made = told()
    assert {name: made[name] for name in words} == words
    assert made["seed"] == 7
    assert made["nudge"] == pytest.approx(0.8)


def test_from_a_script_what_is_not_given_stays_as_the_take_has_it() -> None:
    session = generate()
    words = {"prompt": "wet tin", "background": "rain", "negative_prompt": "music"}
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", **words, nudge=0.8)
    finish(session)
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", prompt="dry tin")
    finish(session)
    assert {name: told()[name] for name in words} == {**words, "prompt": "dry tin"}
    assert told()["nudge"] == pytest.approx(0.8)
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", background="")
    finish(session)
    assert (told()["prompt"], told()["background"]) == ("dry tin", "")


def test_the_dialog_begins_with_what_made_the_take_and_with_nothing_of_another() -> None:
    session = generate()
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", background="rain")
    finish(session)
    asked = SimpleNamespace(layout=Dialog(), background="of another take")
    manager = SimpleNamespace(invoke_props_dialog=lambda *_, **__: {"FINISHED"})
    context = SimpleNamespace(scene=bpy.context.scene, area=None, window_manager=manager)
    nudge = asks.FOOTFALL_OT_take_nudge
    assert nudge.invoke(asked, context, None) == {"FINISHED"}
    assert (asked.prompt, asked.background) == ("tin", "rain")
    nudge.draw(asked, context)
    assert asked.layout.shown == ["(prompt)", "background", "negative_prompt", "nudge"]
    of_before_there_was_a_background(strip())
    nudge.invoke(asked, context, None)
    assert asked.background == ""
    asked.layout = Dialog()
    nudge.draw(asked, context)
    assert asked.layout.shown[:2] == ["prompt", "background"]


def test_the_dialog_asks_for_no_background_where_there_are_spots_alone() -> None:
    generate(hits=(5,))
    activate(next(s for s in our_strips(bpy.context.scene) if sequencer.story_of(s).layer == "spots"))
    asked = SimpleNamespace(layout=Dialog(), background="rain")
    asks.FOOTFALL_OT_take_nudge.draw(asked, SimpleNamespace(scene=bpy.context.scene, area=None))
    assert asked.layout.shown == ["prompt", "negative_prompt", "nudge"]


class Dialog:
    """Writes down the fields that are drawn; in brackets those that do nothing."""

    def __init__(self, shown: list[str] | None = None) -> None:
        self.shown: list[str] = [] if shown is None else shown
        self.active = True

    def row(self) -> Dialog:
        return Dialog(self.shown)

    def prop(self, _data: Any, name: str, **_look: Any) -> None:
        self.shown.append(name if self.active else f"({name})")


def of_before_there_was_a_background(strip: Any) -> None:
    """Tell the strip's take as a version did that knew no background."""
    found = take_strips.takes_of(strip)
    plain = json.loads(strip[provenance.KEY])
    del plain["request"]["background"]
    strip[provenance.KEY] = json.dumps(plain)
    take_strips.keep(strip, found.changed(found.current, story=strip[provenance.KEY]))


def test_one_hit_of_several() -> None:
    generate(hits=(5, 9, 17))
    scene = bpy.context.scene
    spots = [s for s in our_strips(scene) if sequencer.story_of(s).layer == "spots"]
    assert len(spots) == 3
    activate(spots[1])
    session = live.session()
    bpy.ops.footfall.take_again()
    finish(session)
    assert [take_strips.place(s) for s in spots] == [(1, 1), (2, 2), (1, 1)]
    assert [float(event.time_s) for event in told()["events"]] == [pytest.approx(8 / 24)]
    assert told()["layers"] == ("spots",)


def test_several_strips_in_one_job() -> None:
    generate(hits=(5, 9, 17))
    session = live.session()
    jobs = len(session.table.all())
    strips = our_strips(bpy.context.scene)
    activate(*strips)
    bpy.ops.footfall.take_again()
    finish(session)
    assert len(session.table.all()) == jobs + 1
    assert {take_strips.place(s) for s in strips} == {(2, 2)}
    assert len(our_strips(bpy.context.scene)) == len(strips)


def test_one_undo_step_and_the_take_can_be_placed_again() -> None:
    session = generate()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.footfall.take_again()
    job = finish(session)
    name = strip().name
    bpy.ops.ed.undo()
    turn(session, lambda: job.state == "not_placed")
    activate(
        bpy.context.scene.sequence_editor.strips_all[name]
        if hasattr(bpy.context.scene.sequence_editor, "strips_all")
        else our_strips(bpy.context.scene)[0]
    )
    assert takes().place == (1, 1)
    bpy.ops.footfall.place(job_id=job.job_id)
    assert takes().place == (2, 2)


def test_a_strip_deleted_meanwhile_loses_nothing() -> None:
    session = generate()
    bpy.ops.footfall.take_again()
    sequencer.remove(bpy.context.scene, {sequencer.uuid_of(strip())})
    finish(session)
    assert len(our_strips(bpy.context.scene)) == 1
    activate(our_strips(bpy.context.scene)[0])
    assert takes().place == (1, 1)


def test_of_two_copies_the_one_that_asked_gets_it() -> None:
    session = generate()
    first = strip()
    collection = sequencer.strips(bpy.context.scene.sequence_editor)
    copy = collection.new_sound("Copy", first.sound.filepath, 20, 200)
    for name in (history.KEY, "footfall", sequencer.UUID_KEY):
        copy[name] = first[name]
    activate(copy)
    bpy.ops.footfall.take_again()
    finish(session)
    assert (take_strips.place(first), take_strips.place(copy)) == ((1, 1), (2, 2))


def test_both_parts_of_a_strip_that_was_cut_get_the_new_take() -> None:
    session = generate()
    left = strip()
    first, end = sequencer.span(left)
    right = sequencer.strips(bpy.context.scene.sequence_editor).new_sound(
        "Right", left.sound.filepath, left.channel, first
    )
    for name in (history.KEY, "footfall", sequencer.UUID_KEY):
        right[name] = left[name]
    sequencer.set_span(left, first, first + 10)
    sequencer.set_span(right, first + 10, end)
    activate(left, right)
    bpy.ops.footfall.take_again()
    finish(session)
    assert (take_strips.place(left), take_strips.place(right)) == ((2, 2), (2, 2))
    assert left.sound == right.sound
    assert (sequencer.span(left), sequencer.span(right)) == ((first, first + 10), (first + 10, end))


def test_a_copy_of_the_scene_keeps_its_own_takes() -> None:
    session = generate()
    copy = bpy.context.scene.copy()
    bpy.ops.footfall.take_again()
    finish(session)
    assert takes().place == (2, 2)
    (other,) = [s for s in sequencer.all_strips(copy) if take_strips.is_ours(s)]
    assert take_strips.place(other) == (1, 1)


def test_a_moved_strip_stays_where_it_is() -> None:
    session = generate()
    strip().channel = 9
    moved = strip()
    if hasattr(moved, "content_start"):
        moved.content_start = 300
    else:
        moved.frame_start = 300
    before = sequencer.span(moved)
    bpy.ops.footfall.take_again()
    finish(session)
    assert (sequencer.span(strip()), strip().channel) == (before, 9)


def test_a_locked_strip_refuses() -> None:
    session = generate()
    bpy.ops.footfall.take_lock()
    with pytest.raises(RuntimeError, match="locked"):
        bpy.ops.footfall.take_again()
    assert len(session.table.all()) == 1


def test_locked_meanwhile_it_is_listed_and_not_played() -> None:
    session = generate()
    bpy.ops.footfall.take_again()
    bpy.ops.footfall.take_lock()
    finish(session)
    assert takes().place == (1, 2)


def test_a_purged_take_is_made_again() -> None:
    session = generate(takes=2)
    gone = takes().current
    bpy.ops.footfall.take_delete()
    bpy.ops.footfall.take_purge()
    assert takes().get(gone).path == ""
    bpy.ops.footfall.take_remake(take_id=gone)
    finish(session)
    assert (told()["seed"], told()["first_take"]) == (7, 0)
    assert takes().playing.parent == gone


def test_what_made_a_take_travels_with_the_file(tmp_path: Path) -> None:
    session = generate()
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", prompt="wet tin")
    finish(session)
    bpy.ops.wm.save_mainfile()
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    activate(our_strips(bpy.context.scene)[0])
    assert [take.told.settings["prompt"] for _, take in takes().rows()] == ["tin", "wet tin"]
    assert [depth for depth, _ in takes().rows()] == [0, 1]
    bpy.ops.footfall.take_again()
    finish(live.session())
    assert takes().place == (3, 3)


class TestWhatItHears:
    def test_pushed_words_go_into_the_next_take(self) -> None:
        session = generate()
        heard = [one.words for one in sequencer.story_of(strip()).heard]
        assert heard == ["a click", "noise"]
        bpy.ops.footfall.take_pull(words="a click", weight=0.5)
        bpy.ops.footfall.take_pull(words="noise", weight=-1.0)
        bpy.ops.footfall.take_pull(words="rain", weight=-0.5)
        bpy.ops.footfall.take_pull(words="rain", weight=-0.5)  # again: leave it alone
        assert dict(takes().pulls) == {"a click": 0.5, "noise": -1.0}
        bpy.ops.footfall.take_pulled()
        finish(session)
        assert {pull.words: pull.weight for pull in told()["pulls"]} == {"a click": 0.5, "noise": -1.0}
        assert (told()["seed"], told()["prompt"]) == (7, "tin")

    def test_they_follow_the_take_that_is_heard(self) -> None:
        session = generate()
        bpy.ops.footfall.take_pull(words="noise", weight=-1.0)
        bpy.ops.footfall.take_pulled()
        finish(session)
        bpy.ops.footfall.take_step(by=-1)
        assert takes().pulls == ()
        bpy.ops.footfall.take_step(by=1)
        assert takes().pulls == (("noise", -1.0),)


class TestSettings:
    def test_from_one_strip_to_another(self) -> None:
        session = generate("wet tin")
        first = strip()
        generate("wood", seed=9)
        second = strip()
        assert first != second
        activate(first)
        bpy.ops.footfall.settings_copy()
        text = bpy.context.window_manager.clipboard
        if not text:
            pytest.skip("this Blender has no clipboard without a window")
        activate(second)
        bpy.ops.footfall.settings_paste()
        finish(session)
        assert (told()["prompt"], told()["seed"]) == ("wet tin", 9)

    def test_of_a_take_of_before_there_was_a_background(self) -> None:
        """Neither the panel nor the strip that it is pasted to keeps a background that this take had not."""
        session = generate("wet tin")
        first = strip()
        of_before_there_was_a_background(first)
        chosen = bpy.context.scene.footfall
        chosen.background = "rain"
        generate("wood", seed=9)
        second = strip()
        assert told()["background"] == "rain"
        activate(first)
        bpy.ops.footfall.settings_to_panel()
        assert (chosen.prompt, chosen.background) == ("wet tin", "")
        clipboard = SimpleNamespace(clipboard="")
        context = SimpleNamespace(scene=bpy.context.scene, area=None, window_manager=clipboard)
        operator = SimpleNamespace(report=lambda *_: None)
        assert preset_menu.FOOTFALL_OT_settings_copy.execute(operator, context) == {"FINISHED"}
        activate(second)
        assert preset_menu.FOOTFALL_OT_settings_paste.execute(operator, context) == {"FINISHED"}
        finish(session)
        assert (told()["prompt"], told()["background"], told()["seed"]) == ("wet tin", "", 9)

    def test_the_panel_makes_what_a_bed_alone_was_made_with(self) -> None:
        session = generate(hits=(5,))
        bed = next(s for s in our_strips(bpy.context.scene) if sequencer.story_of(s).layer == "bed")
        activate(bed)
        bpy.ops.footfall.take_nudge("EXEC_DEFAULT", background="rain")
        finish(session)
        assert told()["layers"] == ("bed",)
        bpy.ops.footfall.settings_to_panel()
        chosen = bpy.context.scene.footfall
        assert chosen.layers() == ("bed",)
        assert orders.panel_settings(chosen)["background"] == "rain"

    def test_back_into_the_panel(self) -> None:
        generate("wet tin", seed=7)
        chosen = bpy.context.scene.footfall
        chosen.prompt, chosen.random_seed, chosen.spots = "other", True, False
        bpy.ops.footfall.settings_to_panel()
        assert (chosen.prompt, chosen.seed, chosen.random_seed, chosen.spots) == ("wet tin", 7, False, True)
