# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs inside Blender: plays a scenario by timers, as a user's hands would, and writes down what was seen.

A scenario is a generator. It yields a condition to wait for, and goes on once that is true; one that never
comes true is a failure. Results go to a JSON file, pictures of the screen beside it; then Blender quits.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import bpy

TURN_S = 0.02
PATIENCE_S = 60.0
PACKAGE = "bl_ext.user_default.footfall"
SETTLE_S = 0.4  # until what was changed is on the screen

Condition = Callable[[], bool]
Scenario = Generator[Condition | None, None, None]


class Play:
    """What a scenario may use: its words, what it found out, the installed add-on, the screen."""

    def __init__(self, words: dict[str, Any]) -> None:
        self.words = words
        self.found: dict[str, Any] = {"done": False}
        self.folder = Path(words["folder"])
        self.longest: dict[str, float] = {}
        self.ended: dict[str, float] = {}  # when the last turn of each kind was over

    def module(self, name: str) -> Any:
        """A module of the installed extension, as ``addon.host.pump``."""
        return importlib.import_module(f"{PACKAGE}.{name}")

    def watch_ticks(self) -> None:
        """Measure every turn of the pump from now on."""
        pump = self.module("addon.host.pump")
        step = pump.step

        def measured(session: Any) -> float:
            began, waited = time.perf_counter(), run_delay_s()
            pause_s: float = step(session)
            took = time.perf_counter() - began - (run_delay_s() - waited)
            self.longest[session.did] = max(self.longest.get(session.did, 0.0), took)
            self.ended[session.did] = time.perf_counter()
            return pause_s

        pump.step = measured

    def note(self, **facts: Any) -> None:
        self.found.update(facts)

    def ticks(self) -> dict[str, float]:
        """The longest of our turns on the main thread, in milliseconds, by what they were about."""
        return {what: round(took * 1000, 2) for what, took in self.longest.items()}

    def photograph(self, name: str) -> Scenario:
        """A picture of the whole screen, once it shows what is there now."""
        for window in bpy.context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        yield pause(SETTLE_S)
        tool = shutil.which("import")
        if tool is not None:
            path = self.folder / f"{name}.png"
            subprocess.run([tool, "-window", "root", str(path)], check=True, timeout=30)
            self.found.setdefault("pictures", []).append(str(path))

    @contextlib.contextmanager
    def in_area(self, kind: str) -> Iterator[None]:
        """As if the mouse were over the sidebar of that editor."""
        window, area = find_area(kind)
        region = next(region for region in area.regions if region.type == "UI")
        with bpy.context.temp_override(window=window, area=area, region=region):
            yield

    def press(self, operator: str, area: str = "VIEW_3D", **options: Any) -> set[str]:
        """Press a button of the Footfall tab."""
        group, _, name = operator.partition(".")
        with self.in_area(area):
            return set(getattr(getattr(bpy.ops, group), name)("INVOKE_DEFAULT", **options))

    def sessions(self) -> Any:
        return self.module("addon.host.live").session()

    def last(self) -> Any:
        """The newest job."""
        return self.sessions().table.all()[-1]

    def states(self) -> list[str]:
        """The states of all jobs, oldest first."""
        session = self.sessions()
        return [job.state for job in session.table.all()] if session is not None else []


def run_delay_s() -> float:
    """How long this thread was ready to run while other programs had the processor: not our doing."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def span(strip: Any) -> tuple[int, int]:
    """First frame, and first frame after it."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def find_area(kind: str) -> tuple[Any, Any]:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == kind:
                return window, area
    raise LookupError(f"no {kind} is open")


def pause(seconds: float) -> Condition:
    """True after ``seconds``."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def show_tab(kind: str) -> Scenario:
    """Open the sidebar of an editor on the Footfall tab."""
    _, area = find_area(kind)
    area.spaces.active.show_region_ui = True
    yield pause(SETTLE_S)
    region = next(region for region in area.regions if region.type == "UI")
    region.active_panel_category = "Footfall"
    area.tag_redraw()
    yield pause(SETTLE_S)


def strips(scene: Any = None) -> list[Any]:
    """Our strips in the scene."""
    scene = scene or bpy.context.scene
    editor = scene.sequence_editor
    found = (
        [] if editor is None else editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all
    )
    return [strip for strip in found if strip.get("footfall_uuid")]


def main() -> None:
    """Play the scene that is named in the words, one JSON argument after ``--``."""
    bpy.context.preferences.view.show_splash = False
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here / "scenes")]
    play = Play(json.loads(sys.argv[sys.argv.index("--") + 1]))
    scenario: Callable[[Play], Scenario] = importlib.import_module(play.words["scene"]).scenario
    steps = scenario(play)
    state: dict[str, Any] = {"waiting": None, "until": 0.0, "file": bpy.data.filepath}

    def write() -> None:
        (play.folder / "found.json").write_text(json.dumps(play.found, indent=1))

    def end(problem: str = "") -> None:
        play.note(done=not problem, problem=problem)
        write()
        bpy.ops.wm.quit_blender()

    def turn() -> float | None:
        try:
            waiting = state["waiting"]
            if waiting is not None and not waiting():
                if time.monotonic() < state["until"]:
                    return TURN_S
                where = traceback.format_stack(steps.gi_frame)[-1] if steps.gi_frame else ""
                raise TimeoutError(f"waited in vain at {where}; jobs are {play.states()}")
            state["waiting"] = next(steps)
            state["until"] = time.monotonic() + PATIENCE_S
        except StopIteration:
            end()
            return None
        except Exception:  # noqa: BLE001 - whatever it is, the test must hear of it
            end(traceback.format_exc())
            return None
        write()
        return TURN_S

    bpy.app.timers.register(turn, first_interval=1.0, persistent=True)


if __name__ == "__main__":
    main()
