# SPDX-License-Identifier: GPL-3.0-or-later
"""Update Changed: only what differs is made anew; moved hits move their spots; nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import live, sequencer
from footfall.addon.host.takes import strips as take_strips
from footfall.addon.host.takes import update_changed
from footfall.tests.blender.host_tools import enabled_addon, movie_of_colours, our_strips, turn

pytestmark = pytest.mark.usefixtures("audio")


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shot with two hits and its sound."""
    with enabled_addon(tmp_path, monkeypatch):
        scene = bpy.context.scene
        movie_of_colours(scene)
        colour().color = (0.2, 0.4, 0.6)
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        scene.timeline_markers.new("hit glass", frame=6)
        scene.timeline_markers.new("hit wood", frame=15)
        chosen = scene.footfall
        chosen.prompt, chosen.random_seed, chosen.seed, chosen.events = "tin", False, 7, "markers"
        bpy.ops.footfall.generate()
        finish()
        yield


def colour() -> Any:
    return next(s for s in sequencer.all_strips(bpy.context.scene) if s.type == "COLOR")


def finish() -> None:
    session = live.session()
    turn(session, lambda: not any(job.active or job.state == "done" for job in session.table.all()))


def update() -> str:
    """Press it, wait, and see what it says."""
    assert bpy.ops.footfall.update_changed() == {"FINISHED"}
    finish()
    return update_changed.tally.sentence


def strip(words: str) -> Any:
    return next(s for s in our_strips(bpy.context.scene) if words in s.name.lower())


def marker(words: str) -> Any:
    return next(m for m in bpy.context.scene.timeline_markers if words in m.name)


def jobs() -> int:
    return len(live.session().table.all())


def test_nothing_has_changed() -> None:
    before = jobs()
    assert update() == "3 strips as before"
    assert jobs() == before
    assert {take_strips.place(s) for s in our_strips(bpy.context.scene)} == {(1, 1)}


def test_another_picture_redoes_the_bed_alone_with_its_own_seed() -> None:
    colour().color = (0.9, 0.1, 0.1)
    assert update() == "1 bed made anew, 2 strips as before"
    assert [take_strips.place(strip(w)) for w in ("bed", "glass", "wood")] == [(2, 2), (1, 1), (1, 1)]
    story = sequencer.story_of(strip("bed"))
    assert (story.settings["seed"], story.settings["prompt"]) == (7, "tin")
    assert take_strips.takes_of(strip("bed")).playing.how == "update"
    assert update() == "3 strips as before"


def test_a_moved_hit_moves_its_spot_and_makes_no_sound() -> None:
    before = jobs()
    span, sound = sequencer.span(strip("glass")), strip("glass").sound.filepath
    marker("glass").frame = 9
    assert update() == "1 spot moved, 2 strips as before"
    assert jobs() == before
    assert sequencer.span(strip("glass")) == (span[0] + 3, span[1] + 3)
    assert strip("glass").sound.filepath == sound
    assert update() == "3 strips as before"
    bpy.ops.ed.undo()
    assert sequencer.span(strip("glass")) == span


def test_moved_with_the_users_own_trim_and_place() -> None:
    spot = strip("glass")
    sequencer.shift(spot, 2)
    first, end = sequencer.span(spot)
    sequencer.set_span(spot, first, end - 1)
    marker("glass").frame = 4
    update()
    assert sequencer.span(strip("glass")) == (first - 2, end - 3)


def test_again_after_a_move_is_for_the_new_time() -> None:
    marker("glass").frame = 9
    update()
    scene = bpy.context.scene
    spot = strip("glass")
    for other in sequencer.all_strips(scene):
        other.select = other == spot
    scene.sequence_editor.active_strip = spot
    bpy.ops.footfall.take_again()
    finish()
    assert take_strips.place(strip("glass")) == (2, 2)
    (event,) = sequencer.story_of(strip("glass")).settings["events"]
    assert float(event.time_s) == pytest.approx(8 / 24)
    assert sequencer.span(strip("glass"))[0] == 9


def test_other_words_new_hits_and_hits_that_are_gone() -> None:
    scene = bpy.context.scene
    marker("glass").name = "hit steel"
    scene.timeline_markers.remove(marker("wood"))
    scene.timeline_markers.new("hit stone", frame=20)
    before = len(our_strips(scene))
    assert update() == "1 spot made anew, 1 new hit, 1 hit gone, its spot muted, 1 strip as before"
    assert strip("wood").mute
    assert len(our_strips(scene)) == before + 1
    assert sequencer.span(strip("stone"))[0] == 20
    (event,) = sequencer.story_of(strip("glass")).settings["events"]
    assert event.words == "steel"


def test_a_hit_that_comes_back_is_heard_again() -> None:
    marker("wood").name = "away"
    assert "1 hit gone" in update()
    assert strip("wood").mute
    marker("away").name = "hit wood"
    update()
    assert not strip("wood").mute


def test_a_spot_that_the_user_deleted_stays_deleted() -> None:
    scene = bpy.context.scene
    sequencer.remove(scene, {sequencer.uuid_of(strip("glass"))})
    assert update() == "2 strips as before"
    marker("glass").frame = 8
    assert update() == "2 strips as before"
    scene.timeline_markers.new("hit stone", frame=20)
    assert update() == "1 new hit, 2 strips as before"
    assert len(our_strips(scene)) == 3


def test_new_takes_remember_where_hits_were_looked_for() -> None:
    scene = bpy.context.scene
    bed = strip("bed")
    bed["footfall"] = bed["footfall"].replace('"hits":"markers"', '"hits":"scene"')
    take_strips.keep(
        bed, take_strips.takes_of(bed).changed(sequencer.story_of(bed).uuid, story=bed["footfall"])
    )
    for other in sequencer.all_strips(scene):
        other.select = other == bed
    scene.sequence_editor.active_strip = bed
    bpy.ops.footfall.take_again()
    finish()
    assert take_strips.place(strip("bed")) == (2, 2)
    assert sequencer.story_of(strip("bed")).shot["hits"] == "scene"


def test_a_background_is_the_users_to_change_and_no_change_of_the_picture() -> None:
    """Neither one in the panel, nor a story of before there was any."""
    bed = strip("bed")
    story = json.loads(bed["footfall"])
    del story["request"]["background"]
    bed["footfall"] = json.dumps(story)
    take_strips.keep(bed, take_strips.takes_of(bed).changed(story["uuid"], story=bed["footfall"]))
    bpy.context.scene.footfall.background = "rain"
    assert update() == "3 strips as before"
    colour().color = (0.9, 0.1, 0.1)
    assert update() == "1 bed made anew, 2 strips as before"
    assert sequencer.story_of(strip("bed")).settings["background"] == ""


def test_a_bed_that_is_made_anew_keeps_its_background() -> None:
    bed = strip("bed")
    for other in sequencer.all_strips(bpy.context.scene):
        other.select = other == bed
    bpy.context.scene.sequence_editor.active_strip = bed
    bpy.ops.footfall.take_nudge("EXEC_DEFAULT", background="rain")
    finish()
    colour().color = (0.9, 0.1, 0.1)
    assert update() == "1 bed made anew, 2 strips as before"
    assert sequencer.story_of(strip("bed")).settings["background"] == "rain"


def test_locked_strips_stay() -> None:
    take_strips.lock(strip("bed"), True)
    take_strips.lock(strip("glass"), True)
    colour().color = (0.9, 0.1, 0.1)
    marker("glass").frame = 9
    span = sequencer.span(strip("glass"))
    assert update() == "1 strip as before"
    assert sequencer.span(strip("glass")) == span
    assert take_strips.place(strip("bed")) == (1, 1)


def test_strips_of_an_older_version_say_so() -> None:
    for one in our_strips(bpy.context.scene):
        one["footfall"] = one["footfall"].replace('"picture"', '"before"')
    assert bpy.ops.footfall.update_changed() == {"CANCELLED"}
    assert "older version" in update_changed.tally.notes[0]
    assert take_strips.place(strip("bed")) == (1, 1)


def test_a_deleted_scene_is_no_trouble() -> None:
    colour().color = (0.9, 0.1, 0.1)
    bpy.ops.footfall.update_changed()
    bpy.data.scenes.new("Other")
    bpy.data.scenes.remove(bpy.context.scene)
    finish()
