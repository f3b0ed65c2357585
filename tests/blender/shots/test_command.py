# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall batch`` inside Blender: several files through one worker, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host.commands import run as commands
from footfall.tests.blender.host_tools import our_strips
from footfall.tests.blender.shots.coloured import shots_of_colours

pytestmark = pytest.mark.usefixtures("audio")


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capfd.readouterr()
    code = commands.run(["batch", "--json", *words])
    out, _ = capfd.readouterr()
    assert out.count("\n") == 1, out
    return code, json.loads(out)


class TestCommand:
    def test_several_files_through_one_worker(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from footfall.addon.host.session import Session

        pids = set()
        take = Session.take

        def noticed(self: Session, event: Any) -> None:
            pids.add(self.status.pid)
            take(self, event)

        monkeypatch.setattr(Session, "take", noticed)
        shots_of_colours(2, path=tmp_path / "a.blend")
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "b.blend"))
        (tmp_path / "broken.blend").write_text("nonsense")
        names = ["a.blend", "broken.blend", "b.blend", "none.blend"]
        words = [str(tmp_path / name) for name in names]
        code, report = run(capfd, *words, "--source", "sequencer", "--report", str(tmp_path / "report.json"))
        assert code == 3
        assert [blend["ok"] for blend in report["blends"]] == [True, False, True, False]
        assert json.loads((tmp_path / "report.json").read_text()) == report
        assert len(pids - {0}) == 1
        for name in ("a", "b"):
            bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "with_sound" / f"{name}.blend"))
            strips = our_strips(bpy.context.scene)
            assert len(strips) == 2
            assert all(strip.sound.filepath.startswith("//footfall") for strip in strips)
            assert (tmp_path / "with_sound" / f"{name}.mix.wav").is_file()
            assert (tmp_path / "with_sound" / f"{name}.otio").is_file()

    def test_the_open_file(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        shots_of_colours(2, path=tmp_path / "a.blend")
        before = (tmp_path / "a.blend").read_bytes()
        code, report = run(capfd, "--out", str(tmp_path / "out"), "--source", "sequencer")
        assert code == 0
        assert report["blends"][0]["blend"] == str(tmp_path / "out" / "a.blend")
        assert (tmp_path / "a.blend").read_bytes() == before

    def test_words_for_the_background_of_a_jobs_file(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        shots_of_colours(2, path=tmp_path / "a.blend")
        jobs = tmp_path / "jobs.toml"
        jobs.write_text(
            'background = "rain"\nsource = "sequencer"\n[[file]]\npath = "a.blend"\n'
            '[[file.shot]]\nname = "sh1"\nbackground = "frogs"\n'
        )
        told = []
        for _ in range(2):
            code, report = run(capfd, "--jobs", str(jobs))
            assert code == 0
            told.append([shot["kept"] for shot in report["blends"][0]["shots"]])
        assert told == [[False, False], [True, True]]
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "with_sound" / "a.blend"))
        stories = [json.loads(strip["footfall"]) for strip in our_strips(bpy.context.scene)]
        found = {story["shot"]["shot"]: story["request"]["background"] for story in stories}
        assert found == {"markers/Scene/sh0": "rain", "markers/Scene/sh1": "rain, frogs"}

    @pytest.mark.parametrize(
        ("words", "code", "name"),
        [
            (["--scene", "Nowhere"], 3, "bad_input"),
            (["--shots", "movie_strips"], 3, "bad_input"),
            (["--jobs", "none.toml"], 3, "bad_input"),
            (["--out", "."], 3, "bad_input"),
            (["--prompt", "missing"], 4, "model_missing"),
            (["--prompt", "oom"], 5, "out_of_memory"),
            (["--only", "some"], 2, "usage"),
        ],
    )
    def test_exit_codes(
        self,
        words: list[str],
        code: int,
        name: str,
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        shots_of_colours(2, path=tmp_path / "a.blend")
        ended, report = run(capfd, "--source", "sequencer", *words)
        assert (ended, report["code"]) == (code, name), report
        assert report["error"]

    def test_a_shot_that_the_jobs_file_names_must_exist(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        shots_of_colours(2, path=tmp_path / "a.blend")
        jobs = tmp_path / "jobs.toml"
        jobs.write_text('[[file]]\npath = "a.blend"\n[[file.shot]]\nname = "sh9"\n')
        code, report = run(capfd, "--jobs", str(jobs))
        assert code == 3
        assert "'sh9'" in report["blends"][0]["error"]
        assert "sh0" in report["blends"][0]["error"]
