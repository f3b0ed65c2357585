# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tab shows in every state, on a layout that writes down what is drawn on it.

The layout checks each word against Blender: properties and operators exist, icons are known to this version.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import footfall
import pytest
from footfall.addon.host import live, orders, texts
from footfall.addon.host.panel import body as panel_body
from footfall.addon.host.panel import job_rows
from footfall.addon.host.session import Session
from footfall.addon.host.worker import bundles
from footfall.addon.host.worker import line as worker_line
from footfall.addon.host.worker import setup as setup_worker
from footfall.addon.jobs import MOVES
from footfall.addon.wire.messages import PHASES, BundleInfo, Heard
from footfall.addon.worker.reports import WORKER_STATES, WorkerStatus
from hypothesis import given
from hypothesis import strategies as st

ICONS = set(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys())


class Layout:
    """As much of bpy.types.UILayout as we use."""

    def __init__(self, drawn: list[str] | None = None) -> None:
        self.drawn: list[str] = [] if drawn is None else drawn

    def row(self, **look: Any) -> Layout:
        self._check("row", look)
        return Layout(self.drawn)

    def column(self, **look: Any) -> Layout:
        self._check("column", look)
        return Layout(self.drawn)

    def box(self) -> Layout:
        return Layout(self.drawn)

    def separator(self, factor: float = 1.0) -> None:
        pass

    @staticmethod
    def _check(name: str, look: dict[str, Any]) -> None:
        """Blender knows these arguments, in this version."""
        known = bpy.types.UILayout.bl_rna.functions[name].parameters.keys()
        assert set(look) <= set(known), (name, look)

    def label(self, text: str, icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        assert len(text) <= 400
        assert all(c.isprintable() or c == texts.UNBROKEN for c in text), repr(text)
        self.drawn.append(text)

    def prop(self, data: Any, name: str, text: str | None = None, icon: str = "NONE", **look: Any) -> None:
        assert icon in ICONS
        self._check("prop", look)
        assert name in data.bl_rna.properties
        self.drawn.append(f"<{name}>")

    def operator(self, name: str, text: str = "", icon: str = "NONE", **look: Any) -> Any:
        assert icon in ICONS
        self._check("operator", look)
        group, _, verb = name.partition(".")
        rna = getattr(getattr(bpy.ops, group), verb).get_rna_type()  # KeyError for one that does not exist
        self.drawn.append(f"[{text or rna.name}]")
        return SimpleNamespace()

    def menu(self, name: str, text: str = "", icon: str = "NONE") -> None:
        assert icon in ICONS
        assert hasattr(bpy.types, name)

    def template_list(
        self, kind: str, list_id: str, data: Any, name: str, active: Any, active_name: str, **look: Any
    ) -> None:
        self._check("template_list", look)
        assert hasattr(bpy.types, kind)
        assert name in data.bl_rna.properties
        assert active_name in active.bl_rna.properties
        self.drawn.append(f"<{name}>")

    def progress(self, factor: float, text: str) -> None:
        assert 0.0 <= factor <= 1.0
        self._check("progress", {"factor": factor, "text": text})
        self.drawn.append(text)

    def panel(self, name: str, default_closed: bool) -> tuple[Layout, Layout]:
        assert "panel" in bpy.types.UILayout.bl_rna.functions
        return Layout(self.drawn), Layout(self.drawn)

    @property
    def text(self) -> str:
        return "\n".join(self.drawn)


@pytest.fixture
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("FOOTFALL_WORKER_PYTHON", raising=False)
    footfall.register()
    yield
    footfall.unregister()
    bundles.forget()


def context() -> Any:
    """The sidebar of a 3D view, as far as drawing asks."""
    return SimpleNamespace(
        scene=bpy.context.scene,
        area=SimpleNamespace(type="VIEW_3D"),
        region=SimpleNamespace(width=300),
        preferences=bpy.context.preferences,
    )


def drawn(function: Any, *arguments: Any, **more: Any) -> str:
    layout = Layout()
    function(layout, *arguments, **more)
    return layout.text


def session_with(state: str, **facts: Any) -> Session:
    """A session with one job in ``state``, without worker or timer."""
    session = Session(clock=lambda: 100.0)
    order = SimpleNamespace(label="wet gravel", settings={}, file_id=session.file_id, scene_name="Scene")
    job_id = "0" * 32
    job = session.table.add(job_id, "wet gravel")
    session.works[job_id] = SimpleNamespace(  # type: ignore[assignment]
        order=order,
        heard=(Heard(words="rain on glass", weight=0.5),),
        notes=["Kept."],
        took_s=9.0,
        request=None,
    )
    job.state = state
    for name, value in facts.items():
        setattr(job, name, value)
    return session


@pytest.mark.usefixtures("enabled")
def test_without_a_worker_the_panel_offers_to_set_it_up() -> None:
    text = drawn(panel_body.draw_main, context())
    assert "[Set Up Worker]" in text
    assert "[Generate Foley]" in text


@pytest.mark.usefixtures("enabled")
def test_the_main_panel_shows_every_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_WORKER_PYTHON", str(tmp_path / "python"))
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    text = drawn(panel_body.draw_main, context())
    hidden = {"rna_type", "name", "bundle_name", "words_through"}
    for name in set(bpy.context.scene.footfall.bl_rna.properties.keys()) - hidden:
        assert f"<{name}>" in text
    assert "frames\u00a01-250" in text
    assert "Set Up Worker" not in text
    bpy.context.scene.footfall.source = "words"
    assert "<words_through>" in drawn(panel_body.draw_main, context())


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("source", ["auto", "words"])
@pytest.mark.parametrize("words", ["rain", ""])
@pytest.mark.parametrize("layers", [("bed", "spots"), ("bed",), ("spots",)])
def test_words_for_the_background_count_where_they_are_shown(
    layers: tuple[str, ...], words: str, source: str
) -> None:
    """A bed alone needs no second field for words, but may come from a take or a file that has them."""
    chosen = bpy.context.scene.footfall
    chosen.background, chosen.source = words, source
    chosen.bed, chosen.spots = "bed" in layers, "spots" in layers
    shown = "<background>" in drawn(panel_body.draw_main, context())
    assert shown == ("bed" in layers and ("spots" in layers or bool(words and source == "auto")))
    assert orders.panel_settings(chosen)["background"] == (words if shown else "")


@pytest.mark.usefixtures("enabled")
def test_what_is_wrong_with_the_shot_is_said() -> None:
    bpy.context.scene.footfall.range = "preview"
    from footfall.addon.host.panel import ready as shots

    shots.forget()
    assert "preview range" in drawn(panel_body.draw_main, context())


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("state", MOVES)
def test_every_state_of_a_job_can_be_seen(state: str) -> None:
    session = session_with(state, sentence="The scene has no camera.", detail="more", code="bad_input")
    text = drawn(job_rows.draw, 40, session)
    assert "wet gravel" in text
    if session.table.all()[0].active:
        assert "[Cancel]" in text


@pytest.mark.usefixtures("enabled")
def test_errors_say_what_happened_and_offer_what_to_do() -> None:
    session = session_with("failed", sentence="The worker crashed.", code="malformed", detail="...")
    text = drawn(job_rows.draw, 60, session)
    assert "The worker crashed." in text
    assert "Press Restart Worker" in text
    assert "[Try Again]" in text
    assert "[Copy Details]" in text


@pytest.mark.usefixtures("enabled")
def test_a_finished_sound_without_a_place_can_be_placed() -> None:
    assert "[Place]" in drawn(job_rows.draw, 60, session_with("not_placed", sentence="Gone."))


@pytest.mark.usefixtures("enabled")
def test_the_last_sound_says_what_it_heard() -> None:
    text = drawn(job_rows.draw, 60, session_with("placed"))
    assert "rain on glass" in text
    assert "9.0 s" in text


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("phase", PHASES)
def test_phases_have_words(phase: str) -> None:
    session = session_with("running", phase=phase, fraction=0.43)
    assert f"{texts.PHASES[phase]}  43%" in drawn(job_rows.draw, 60, session)


@pytest.mark.usefixtures("enabled")
@pytest.mark.parametrize("state", WORKER_STATES)
def test_every_state_of_the_worker_has_a_line(state: str) -> None:
    session = session_with("running", phase="loading", fraction=0.05)
    session.status = WorkerStatus(state=state, device="CPU", sentence="The worker ended.")
    text = drawn(worker_line.draw, 40, session, "starter")
    assert "CPU" in text
    assert ("[Restart Worker]" in text) == (state == "failed")
    assert ("5%" in text) == (state == "loading")


@pytest.mark.usefixtures("enabled")
def test_bundles_in_the_models_folder_can_be_chosen_before_the_worker_runs(tmp_path: Path) -> None:
    for name, text in {
        "mine": 'title = "My Sounds"\nlicence = "CC0-1.0"\ncommercial = true\n\n[files."unet/a"]\nsize = 1',
        "broken": "title = ",
        "binary": "\0\1",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.toml").write_text(text)
    bundles.look_into(tmp_path)
    assert [row.name for row in bundles.rows()] == ["starter", "mine"]
    bpy.context.scene.footfall.bundle = "mine"
    assert bpy.context.scene.footfall.bundle_name == "mine"
    assert bundles.find("mine").note == "CC0-1.0"


@pytest.mark.usefixtures("enabled")
def test_a_licence_that_forbids_commercial_work_is_said() -> None:
    bundles.report([BundleInfo(name="m", title="AudioLDM M", licence="CC BY-NC-SA 4.0", commercial=False)])
    bpy.context.scene.footfall.bundle = "m"
    assert "not for commercial work" in drawn(worker_line.draw, 80, None, "m")
    narrow = drawn(worker_line.draw, 18, None, "m")
    assert "not for commercial" in narrow.replace("\n", " ")
    assert all(len(line) <= 18 for line in narrow.splitlines())


@pytest.mark.usefixtures("enabled")
def test_a_worker_cannot_draw_what_it_likes() -> None:
    wild = "\x1b[31m\u202e" + "x\n" * 5000
    session = session_with("failed", sentence=wild, label=wild, code="error")
    session.status = WorkerStatus(state="failed", device=wild, sentence=wild)
    drawn(job_rows.draw, 40, session)
    drawn(worker_line.draw, 40, session, wild)


@pytest.mark.usefixtures("enabled")
def test_setting_up_shows_progress_and_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from footfall.addon.host import settings
    from footfall.addon.wire.errors import SaveError

    progress = SimpleNamespace(state="running", fraction=0.3, words="Loading torch (200 MB)", error=None)
    monkeypatch.setattr(setup_worker._setup, "run", SimpleNamespace(poll=lambda: progress))
    monkeypatch.setattr(setup_worker._setup, "progress", None)
    assert setup_worker.poll()
    text = drawn(setup_worker.draw, settings.current(), 40)
    assert "30%" in text
    assert "Loading torch" in text
    assert "[Cancel Setup]" in text or "[]" not in text
    progress.state, progress.error = "failed", SaveError("The disk is full; make room.")
    assert not setup_worker.poll() or not setup_worker.running()
    text = drawn(setup_worker.draw, settings.current(), 40)
    assert "The disk is full" in text
    assert "[Set Up Worker]" in text


@pytest.mark.usefixtures("enabled")
def test_preferences_are_drawn() -> None:
    from footfall.addon.host.preferences import FOOTFALL_AP_preferences

    values = dict.fromkeys(("worker_folder", "base_python", "output_folder", "models_folder"), "")
    drawing = SimpleNamespace(
        layout=Layout(), bl_rna=FOOTFALL_AP_preferences.bl_rna, use_remote=False, **values
    )
    drawing._draw_folder = lambda *a: FOOTFALL_AP_preferences._draw_folder(drawing, *a)
    FOOTFALL_AP_preferences.draw(drawing, bpy.context)
    text = drawing.layout.text
    for name in ("device", "memory_limit_mb", "idle_minutes", "output_folder", "models_folder", "use_remote"):
        assert f"<{name}>" in text


def test_panels_without_a_session_draw_no_jobs() -> None:
    assert live.session() is None
    assert drawn(panel_body.draw_jobs, context()) == ""


@given(st.text(max_size=400), st.integers(1, 120), st.integers(1, 8))
def test_wrapping_never_breaks(text: str, width: int, lines: int) -> None:
    found = texts.wrap(text, width, lines)
    assert 1 <= len(found) <= lines
    assert all(len(line) <= max(12, width) for line in found)
    assert all(c.isprintable() or c == texts.UNBROKEN for line in found for c in line)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.42, "0.4 s"), (10, "10.0 s"), (60, "1 min"), (125, "2 min 5 s"), (59.96, "60.0 s")],
)
def test_lengths_as_people_say_them(seconds: float, words: str) -> None:
    assert texts.seconds(seconds) == words
    assert texts.seconds(float(Fraction(seconds))) == words
