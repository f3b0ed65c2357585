# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture This Sound, with a real worker process around a fake pipeline whose pictures are flat colours."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.addon.host import live, sequencer
from footfall.addon.host.pictures import operators as picture_operators
from footfall.addon.host.pictures import readers
from footfall.addon.host.worker import bundles
from footfall.addon.pictures import story as picture_story
from footfall.addon.sounds import wav
from footfall.addon.wire.messages import BundleInfo
from footfall.tests.blender.host_tools import enabled_addon, movie_of_colours, states, turn

pytestmark = pytest.mark.usefixtures("audio")

FPS = 24
PAINTS = BundleInfo(name="starter", makes=("sound", "pictures"), paints_sounds=True)


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The add-on over a saved shot, with a model that paints."""
    with enabled_addon(tmp_path, monkeypatch):
        bundles.report([PAINTS])
        movie_of_colours(bpy.context.scene, 24 * 12)
        bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = FPS, 1.0
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        yield


def write_sound(path: Path, seconds: float = 10.0, rate_hz: int = 8_000, channels: int = 2) -> Path:
    """Each second has a loudness of its own."""
    loud = (np.arange(round(seconds * rate_hz)) // rate_hz + 1) / 20
    with path.open("wb") as file:
        wav.write(file, np.repeat(loud[:, None], channels, axis=1).astype("<f4"), rate_hz)
    return path


def add_sound(path: Path, frame: int = 11, channel: int = 3) -> Any:
    editor = bpy.context.scene.sequence_editor
    strip = sequencer.strips(editor).new_sound("Door", str(path), channel, frame)
    for one in sequencer.all_strips(bpy.context.scene):
        one.select = one == strip
    editor.active_strip = strip
    return strip


def picture(**chosen: Any) -> Any:
    """Press the button and wait until nothing is active; the session."""
    for name, value in {"each": "whole", "kind": "strips", "takes": 1, **chosen}.items():
        setattr(bpy.context.scene.footfall_pictures, name, value)
    assert bpy.ops.footfall.picture() == {"FINISHED"}
    session = live.session()
    turn(session, lambda: not any(job.active or job.state == "done" for job in session.table.all()))
    return session


def pictures() -> list[Any]:
    found = [one for one in sequencer.all_strips(bpy.context.scene) if picture_story.KEY in one]
    return sorted(found, key=lambda one: (one.channel, sequencer.span(one)))


def test_one_picture_of_a_strip(tmp_path: Path) -> None:
    strip = add_sound(write_sound(tmp_path / "door.wav"))
    session = picture()
    assert states(session) == ["placed"]
    (made,) = pictures()
    assert made.type == "IMAGE"
    assert sequencer.span(made) == sequencer.span(strip)
    assert made.channel == strip.channel + 1
    assert made.mute  # the shot below would be covered
    story = picture_story.read(made[picture_story.KEY])
    assert story is not None
    assert (story["sound"], story["start_s"], story["end_s"]) == ("Door", 0.0, 10.0)
    assert story["model"]["licence"] == "CC0-1.0"
    path = sequencer.media(made).paths[0]
    assert path.is_file()
    assert path.parent == tmp_path / "footfall"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert session.works[session.table.all()[0].job_id].notes[0] == "These pictures are flat."


def test_what_reads_images_is_loaded_by_the_button(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not by the tick that places the first picture."""
    monkeypatch.setattr(readers._State, "loaded", False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    add_sound(write_sound(tmp_path / "door.wav"))
    assert bpy.ops.footfall.picture() == {"FINISHED"}
    assert readers._State.loaded
    assert len(bpy.data.images) == 0
    assert not list(Path(bpy.app.tempdir or tmp_path).rglob("one.png"))


def test_a_storyboard_of_windows_of_what_is_heard(tmp_path: Path) -> None:
    """The strip is trimmed: only what is left of it is heard, and the parts begin there."""
    strip = add_sound(write_sound(tmp_path / "door.wav"))
    sequencer.set_span(strip, 11 + FPS, 11 + FPS * 8)
    session = picture(each="windows", window_s=2.0, takes=2)
    assert states(session) == ["placed"]
    made = pictures()
    spans = [sequencer.span(one) for one in made[:4]]
    starts = [35, 83, 131, 179]
    assert spans == list(zip(starts, [*starts[1:], 203], strict=True))
    assert [one.channel for one in made] == [4] * 4 + [5] * 4
    told = [picture_story.read(one[picture_story.KEY]) for one in made[:4]]
    assert [(one["start_s"], one["end_s"]) for one in told] == [(1, 3), (3, 5), (5, 7), (7, 8)]
    colours = {colour_of(one) for one in made}
    assert len(colours) == 8


def test_pictures_are_seen_where_they_cover_nothing(tmp_path: Path) -> None:
    """Nor take the place of what a camera would render."""
    for strip in sequencer.all_strips(bpy.context.scene):
        strip.mute = True
    add_sound(write_sound(tmp_path / "door.wav"))
    picture(takes=2)
    assert [one.mute for one in pictures()] == [False, True]
    camera = bpy.data.objects.new("One", bpy.data.cameras.new("One"))
    bpy.context.scene.camera = camera
    picture()
    assert sorted(one.mute for one in pictures()) == [False, True, True]


def colour_of(strip: Any) -> bytes:
    image = bpy.data.images.load(str(sequencer.media(strip).paths[0]))
    found = bytes(round(value * 255) for value in image.pixels[:3])
    bpy.data.images.remove(image)
    return found


def test_a_picture_for_each_cut(tmp_path: Path) -> None:
    scene = bpy.context.scene
    camera = bpy.data.objects.new("One", bpy.data.cameras.new("One"))
    other = bpy.data.objects.new("Two", bpy.data.cameras.new("Two"))
    for frame, cut in ((1, camera), (83, other)):
        scene.timeline_markers.new("cut", frame=frame).camera = cut
    add_sound(write_sound(tmp_path / "door.wav"))
    assert states(picture(each="cuts")) == ["placed"]
    assert [sequencer.span(one) for one in pictures()] == [(11, 83), (83, 251)]


def test_without_cuts_there_is_a_sentence(tmp_path: Path) -> None:
    add_sound(write_sound(tmp_path / "door.wav"))
    bpy.context.scene.footfall_pictures.each = "cuts"
    with pytest.raises(RuntimeError, match="no cut"):
        bpy.ops.footfall.picture()


def test_pictures_as_images_of_the_file(tmp_path: Path) -> None:
    add_sound(write_sound(tmp_path / "door.wav"))
    session = picture(kind="images", each="windows", window_s=5.0)
    assert states(session) == ["placed"]
    assert not pictures()
    made = [one for one in bpy.data.images if picture_story.KEY in one]
    assert [one.name for one in made] == ["Door 1", "Door 2"]
    assert all(one.use_fake_user and tuple(one.size) == (16, 16) for one in made)


def test_undo_takes_them_away_and_they_can_be_placed_again(tmp_path: Path) -> None:
    add_sound(write_sound(tmp_path / "door.wav"))
    bpy.ops.ed.undo_push(message="Sound")
    session = picture(each="windows", window_s=5.0)
    assert len(pictures()) == 2
    bpy.ops.ed.undo()
    assert not pictures()
    turn(session, lambda: states(session) == ["not_placed"])
    assert bpy.ops.footfall.place(job_id=session.table.all()[0].job_id) == {"FINISHED"}
    assert len(pictures()) == 2
    assert states(session) == ["placed"]


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    add_sound(write_sound(tmp_path / "door.wav"))
    for _ in range(2):
        session = picture()
    assert len(pictures()) == 2
    paths = {sequencer.media(one).paths[0] for one in pictures()}
    assert len(paths) == 2
    assert len({one.channel for one in pictures()}) == 2
    assert states(session) == ["placed", "placed"]


def test_a_missing_file_is_told_at_once(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "door.wav")
    add_sound(path)
    path.unlink()
    with pytest.raises(RuntimeError, match="is missing"):
        bpy.ops.footfall.picture()


def test_a_file_that_is_no_sound_fails_with_a_sentence(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "door.wav")
    add_sound(path)
    path.write_bytes(b"no sound at all" * 99)
    assert states(picture()) == ["failed"]
    assert "cannot read" in live.session().table.all()[0].sentence
    assert not pictures()


def test_a_packed_sound_is_heard(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "door.wav")
    strip = add_sound(path)
    strip.sound.pack()
    path.unlink()
    assert states(picture()) == ["placed"]


def test_a_sound_in_a_meta_of_ours(tmp_path: Path) -> None:
    """The picture lies beside the meta."""
    path = write_sound(tmp_path / "door.wav")
    meta = sequencer.strips(bpy.context.scene.sequence_editor).new_meta("Steps", 5, 11)
    inside = sequencer.strips(meta).new_sound("Step", str(path), 1, 11)
    sequencer.fit(meta)
    for one in sequencer.all_strips(bpy.context.scene):
        one.select = one == meta
    assert states(picture()) == ["placed"]
    (made,) = pictures()
    assert sequencer.span(made) == sequencer.span(inside)
    assert made.channel == 6


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (44_100, 2), (192_000, 2)])
def test_any_rate(tmp_path: Path, rate_hz: int, channels: int) -> None:
    from footfall.addon.host.pictures.sound import Part, Reading

    path = write_sound(tmp_path / "door.wav", 6.0, rate_hz, channels)
    part = Part(path=path, name="Door", start_s=Fraction(1), length_s=Fraction(7))
    reading = Reading(part)
    while reading.step():
        pass
    heard, rate = reading.finish(), reading.rate_hz
    assert rate == min(rate_hz, 96_000)
    assert len(heard) == 7 * rate
    middles = [float(heard[round((second + 0.5) * rate)]) for second in range(7)]
    assert np.allclose(middles, [0.1, 0.15, 0.2, 0.25, 0.3, 0, 0], atol=1e-3)  # silence after its end


def test_cancel_while_it_is_read_and_try_again(tmp_path: Path) -> None:
    add_sound(write_sound(tmp_path / "door.wav"))
    bpy.context.scene.footfall_pictures.words = "slow 200 50"
    assert bpy.ops.footfall.picture() == {"FINISHED"}
    session = live.session()
    job_id = session.table.all()[0].job_id
    turn(session, lambda: states(session) == ["capturing"])
    session.cancel(job_id)
    assert states(session) == ["cancelled"]
    bpy.context.scene.footfall_pictures.words = ""
    session.retry(job_id)
    turn(session, lambda: states(session) == ["running"])
    session.cancel(session.table.all()[0].job_id)
    turn(session, lambda: states(session) == ["cancelled"])
    assert not pictures()


def test_the_button_says_why_it_cannot_be_pressed(tmp_path: Path) -> None:
    assert picture_operators.why_not(bpy.context) == "Select a sound strip"
    add_sound(write_sound(tmp_path / "door.wav"))
    assert picture_operators.why_not(bpy.context) == ""
    bundles.report([BundleInfo(name="starter")])
    assert picture_operators.why_not(bpy.context) == "No model here paints what it hears"
    assert not bpy.ops.footfall.picture.poll()


def test_another_model_paints_where_the_scene_s_cannot(tmp_path: Path) -> None:
    painter = BundleInfo(name="painter", makes=("pictures",), paints_sounds=True)
    bundles.report([BundleInfo(name="starter"), painter])
    settings = picture_operators.panel_settings(bpy.context.scene)
    assert (settings["bundle"], settings["pictures"]) == ("starter", "painter")


def test_menus_name_what_the_code_knows() -> None:
    from footfall.addon.host.pictures import orders as picture_orders
    from footfall.addon.pictures import delivery as picture_delivery

    each = [item[0] for item in picture_operators.EACH]
    assert each == [picture_orders.WHOLE, picture_orders.WINDOWS, picture_orders.CUTS]
    kinds = [item[0] for item in picture_operators.KINDS]
    assert kinds == [picture_delivery.STRIPS, picture_delivery.IMAGES]


def test_the_file_tells_its_story(tmp_path: Path) -> None:
    add_sound(write_sound(tmp_path / "door.wav"))
    picture()
    octets = sequencer.media(pictures()[0]).paths[0].read_bytes()
    begin = octets.index(picture_story.KEY.encode() + b"\0\0\0\0\0") + len(picture_story.KEY) + 5
    told = json.JSONDecoder().raw_decode(octets[begin:].decode("utf-8", "replace"))[0]
    assert told["sound"] == "Door"
