# SPDX-License-Identifier: GPL-3.0-or-later
"""Capturing in a real Blender window, one step a tick, as the add-on does it.

``blender --factory-startup --python tests/gui/check_capture.py -- [REPORT.json]`` prints one line of JSON
that begins with ``{"checks"`` (and writes it to REPORT.json), then quits: 0 when every check holds. Times in
milliseconds of the main thread's own, whatever else the machine does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

ROOT = Path(__file__).resolve().parents[2]


def find_footfall() -> None:
    """Make ``footfall`` the package at the root, as nothing is installed into this Blender."""
    if importlib.util.find_spec("footfall") is None:
        spec = importlib.util.spec_from_file_location(
            "footfall", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
        )
        sys.modules["footfall"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["footfall"])


find_footfall()

from footfall.addon.host.capture import capture  # noqa: E402
from footfall.addon.host.capture.capture import CaptureOptions  # noqa: E402
from footfall.addon.wire.errors import BadInput  # noqa: E402
from footfall.tests.blender import media  # noqa: E402
from footfall.tests.blender.traces import changes, snapshot, values  # noqa: E402
from footfall.tests.blender.tracks import coded_scene  # noqa: E402

report: dict[str, Any] = {"checks": {}, "ms": {}}


def check(name: str, holds: bool, detail: object = "") -> None:
    report["checks"][name] = True if holds else f"FAILED {detail}"


def areas(kind: str) -> list[bpy.types.Area]:
    return [a for w in bpy.context.window_manager.windows for a in w.screen.areas if a.type == kind]


def view_settings() -> dict[str, Any]:
    space = areas("VIEW_3D")[0].spaces.active
    return {"space": values(space), "shading": values(space.shading), "overlay": values(space.overlay)}


def state() -> dict[str, Any]:
    preferences = bpy.context.preferences
    own = {"system": values(preferences.system), "unsaved": preferences.is_dirty}
    return snapshot() | {"view": view_settings() if areas("VIEW_3D") else {}, "preferences": own}


def run(name: str, wanted: CaptureOptions, *, evaluated: bool = True) -> Iterator[None]:
    """Capture, one step a tick; checks pictures, times and that nothing has changed.

    ``evaluated``: False for a scene that nothing has shown before; its matrices are not made yet.
    """
    before = state()
    began = time.thread_time()
    running = capture.begin(bpy.context, wanted)
    opening = time.thread_time() - began
    drawing, whole = [], []
    picture = running._source.picture

    def timed(*given: Any) -> Any:
        start = time.thread_time()
        pixels = picture(*given)
        drawing.append(time.thread_time() - start)
        return pixels

    running._source.picture = timed
    more = True
    while more:
        yield
        start = time.thread_time()
        more = running.step()
        whole.append(time.thread_time() - start)
    yield
    start = time.thread_time()
    frames, times_s = running.finish()
    closing = time.thread_time() - start
    shown = [coded_scene.decode(picture) for picture in frames]
    expected = [running.span.start + round(t * float(running.rate.per_second)) for t in times_s]
    check(f"{name}: route", running.route == wanted.route or wanted.route == "auto", running.route)
    check(f"{name}: pictures", shown == expected, (shown, expected))
    yield
    lost = [line for line in changes(before, state()) if evaluated or "/matrix_" not in line]
    check(f"{name}: all as before", not lost, lost)
    rest = [all_ - draw for all_, draw in zip(whole, drawing, strict=True)]
    report["ms"][name] = {
        "route": running.route,
        "reason": running.reason,
        "pictures": len(shown),
        "size": list(frames.shape[1:3]),
        "begin": ms(opening),
        "first picture": ms(drawing[0]),
        "picture": ms(statistics.median(drawing[1:])),
        "slowest picture": ms(max(drawing[1:])),
        "rest of tick": ms(statistics.median(rest)),
        "slowest rest": ms(max(rest)),
        "finish": ms(closing),
    }


def ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def camera_route(scene: bpy.types.Scene) -> Iterator[None]:
    scene.frame_set(117, subframe=0.5)
    scene.objects["bit 2"].location.y = 1.75  # not keyed
    scene.objects["bit 4"].select_set(True)
    space = areas("VIEW_3D")[0].spaces.active
    space.shading.type = "WIREFRAME"
    space.shading.show_xray_wireframe = True
    space.overlay.show_floor = False
    yield
    yield from run("camera", CaptureOptions(end=196, per_second=8, shading="solid"))
    scene.render.fps, scene.render.fps_base = 60, 1.001
    yield from run("camera 59.94", CaptureOptions(end=196, per_second=8))
    scene.render.fps, scene.render.fps_base = 24, 1.0


def aborted(scene: bpy.types.Scene) -> Iterator[None]:
    before = state()
    running = capture.begin(bpy.context, CaptureOptions(route="camera"))
    for _ in range(3):
        running.step()
        yield
    running.abort()
    yield
    lost = changes(before, state())
    check("abort: all as before", not lost, lost)


def scrubbed(scene: bpy.types.Scene) -> Iterator[None]:
    running = capture.begin(bpy.context, CaptureOptions(route="camera", end=140))
    running.step()
    yield
    scene.frame_set(222)
    yield
    while running.step():
        yield
    frames, times_s = running.finish()
    expected = [101 + round(t * 24) for t in times_s]
    check("user moves to another frame: stays there", scene.frame_current == 222, scene.frame_current)
    check("user moves to another frame: pictures", [coded_scene.decode(p) for p in frames] == expected)


def view_gone(scene: bpy.types.Scene) -> Iterator[None]:
    """The 3D view becomes another editor meanwhile: what is left comes by small renders."""
    scene.frame_set(101)
    running = capture.begin(bpy.context, CaptureOptions(route="camera", end=125, engine="cycles"))
    running.step()
    yield
    running.step()
    area = areas("VIEW_3D")[0]
    area.type = "TEXT_EDITOR"
    yield
    while running.step():
        yield
    frames, times_s = running.finish()
    expected = [101 + round(t * 24) for t in times_s]
    shown = [coded_scene.decode(picture) for picture in frames]
    check("view gone: goes on", shown == expected, (shown, expected))
    check("view gone: frame restored", scene.frame_current == 101, scene.frame_current)
    choice = capture.choose_route(scene, running.span, window=True)
    check("view gone: renders instead", choice.route == "render", choice)
    yield from run("render without a view", CaptureOptions(end=125, side=96, engine="cycles"))
    area.type = "VIEW_3D"
    yield


def scene_gone(scene: bpy.types.Scene) -> Iterator[None]:
    other = bpy.data.scenes.new("other")
    coded_scene.build(other, 101, 130)
    running = capture.begin(bpy.context, CaptureOptions(scene="other", route="camera", per_second=24))
    running.step()
    yield
    running.step()
    bpy.data.scenes.remove(other)
    yield
    try:
        running.step()
        check("scene gone: a sentence", False)
    except BadInput as error:
        check("scene gone: a sentence", "is gone" in str(error), error)


def other_scene(scene: bpy.types.Scene) -> Iterator[None]:
    """A scene that no window shows."""
    coded_scene.build(bpy.data.scenes.new("hidden"), 51, 90)
    yield from run("camera, scene not shown", CaptureOptions(scene="hidden", route="camera"), evaluated=False)


def rendered(scene: bpy.types.Scene) -> Iterator[None]:
    for name, engine in (("render, Cycles", "cycles"), ("render, Workbench", "workbench")):
        wanted = CaptureOptions(end=172, route="render", engine=engine, per_second=4)
        yield from run(name, wanted)


def sequenced(scene: bpy.types.Scene) -> Iterator[None]:
    from footfall.addon.host import sequencer

    edit = bpy.data.scenes.new("edit")
    edit.frame_start, edit.frame_end = 101, 172
    edit.render.resolution_x, edit.render.resolution_y = 320, 180
    edit.view_settings.view_transform = "Standard"
    strips = sequencer.strips(edit.sequence_editor_create())
    strips.new_scene("shot", scene, 1, 101)
    wanted = CaptureOptions(scene="edit", route="sequencer", engine="cycles", per_second=4)
    yield from run("sequencer, scene strip", wanted)


def filmed(scene: bpy.types.Scene) -> Iterator[None]:
    """A film in the sequencer, and the same frames as rendered files."""
    from footfall.addon.host import sequencer

    folder = Path(bpy.app.tempdir) / "check capture"
    images = media.write_images(folder, range(101, 173))
    film = bpy.data.scenes.new("film")
    film.frame_start, film.frame_end = 101, 172
    film.render.resolution_x, film.render.resolution_y = media.WIDTH, media.HEIGHT
    film.view_settings.view_transform = "Standard"
    movie = media.write_movie(folder / "film.mp4", images, 24, 1.0)
    sequencer.strips(film.sequence_editor_create()).new_movie("film", str(movie), 1, 101)
    yield
    yield from run("sequencer, movie", CaptureOptions(scene="film", per_second=8))
    film.render.filepath = str(folder / "####")
    yield from run("rendered images", CaptureOptions(scene="film", route="rendered", per_second=8))


def all_checks() -> Iterator[None]:
    scene = bpy.context.scene
    for one in list(bpy.data.objects):
        bpy.data.objects.remove(one)
    coded_scene.build(scene, 101, 400)
    yield
    for part in (
        camera_route,
        aborted,
        scrubbed,
        other_scene,
        view_gone,
        scene_gone,
        rendered,
        sequenced,
        filmed,
    ):
        yield from part(scene)


def finish(code: int) -> None:
    report["blender"] = bpy.app.version_string
    line = json.dumps(report)
    print(line)
    if "--" in sys.argv and sys.argv[-1] != "--":
        Path(sys.argv[-1]).write_text(line, encoding="utf-8")
    sys.stdout.flush()
    os._exit(code)


def main() -> None:
    steps = all_checks()

    def tick() -> float:
        try:
            next(steps)
        except StopIteration:
            finish(0 if all(held is True for held in report["checks"].values()) else 1)
        except Exception:  # noqa: BLE001 - the root of this process
            traceback.print_exc()
            report["checks"]["no error"] = traceback.format_exc()
            finish(1)
        return 0.01

    bpy.app.timers.register(tick, first_interval=1.0)


main()
