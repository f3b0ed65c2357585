# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a farm job in Blender: requests come out of a file without a worker, results go back in."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import footfall
import numpy as np
import pytest
from footfall.addon import words_only
from footfall.addon.batch import farm, message_file
from footfall.addon.batch.farm import Farm, FarmShot
from footfall.addon.host import live, sequencer
from footfall.addon.host.commands import run as commands
from footfall.addon.takes import provenance
from footfall.addon.wire.messages import Clip, Result
from footfall.tests.blender.host_tools import movie_of_colours, our_strips
from footfall.tests.fakes.stories import MODEL

pytestmark = pytest.mark.usefixtures("audio")
NAMES = ("sh010", "sh020")


@pytest.fixture(autouse=True)
def enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file of two shots; there is no worker to be found."""
    monkeypatch.delenv("FOOTFALL_WORKER_PYTHON", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    footfall.register()
    scene = bpy.context.scene
    movie_of_colours(scene, frames=48)
    for frame, name in zip((1, 25), NAMES, strict=True):
        camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
        scene.collection.objects.link(camera)
        scene.timeline_markers.new(name, frame=frame).camera = camera
    scene.timeline_markers.new("hit wood", frame=31)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shots.blend"))
    yield
    footfall.unregister()


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capfd.readouterr()
    code = commands.run([*words, "--json"])
    return code, json.loads(capfd.readouterr().out)


def capture(capfd: pytest.CaptureFixture[str], folder: Path, *words: str) -> Farm:
    usual = ["--to", str(folder), "--shots", "markers", "--source", "sequencer", "--layers", "bed,spots"]
    code, report = run(capfd, "farm-capture", *usual, *words)
    assert code == 0, report
    return farm.read_list(folder)


def answer(job: Farm, shot: FarmShot) -> None:
    """What a worker might have made of a request: a bed, and a spot on every hit."""
    request = job.request(shot).request
    bed = np.full((round(request.duration_s * 48_000), 1), 0.1, np.float32)
    clips = [Clip(take=0, layer="bed", start_s=request.duration_s * 0, rate_hz=48_000, waveform=bed)]
    clips += [
        dataclasses.replace(clips[0], layer="spots", start_s=event.time_s, waveform=bed[:4_800], event=number)
        for number, event in enumerate(request.events)
    ]
    result = Result(job_id=shot.job_id, clips=tuple(clips), provenance=MODEL, events=request.events)
    message_file.write(job.result_path(shot), result)


def test_there_and_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = capture(capfd, tmp_path / "job")
    assert live.session() is None
    assert [shot.name for shot in job.shots] == list(NAMES)
    first, second = (job.request(shot).request for shot in job.shots)
    assert first.duration_s == second.duration_s == 1
    assert first.seed != second.seed, "each shot has a seed of its own"
    assert [float(event.time_s) for event in second.events] == [0.25]
    assert not first.events

    for shot in job.shots:
        answer(job, shot)
    code, report = run(
        capfd, "farm-place", "--from", str(job.folder), "--save-as", str(tmp_path / "out" / "done.blend")
    )
    assert code == 0, report
    assert report["shots"] == [1, 2]
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out" / "done.blend"))
    starts = sorted(sequencer.span(strip)[0] for strip in our_strips(bpy.context.scene))
    assert starts == [1, 25, 31]
    for strip in our_strips(bpy.context.scene):
        assert Path(bpy.path.abspath(strip.sound.filepath)).is_file()


def test_words_for_the_background_travel_with_the_request(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = capture(capfd, tmp_path / "job", "--background", "rain", "--prompt", "boots")
    for shot in job.shots:
        assert (job.request(shot).request.background, job.request(shot).request.prompt) == ("rain", "boots")
        answer(job, shot)
    code, report = run(
        capfd, "farm-place", "--from", str(job.folder), "--save-as", str(tmp_path / "done.blend")
    )
    assert code == 0, report
    stories = [provenance.read(strip[provenance.KEY]) for strip in our_strips(bpy.context.scene)]
    assert {story.settings["background"] for story in stories if story is not None} == {"rain"}


def test_words_alone_there_and_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No picture is taken, and the strips say so: another take of them takes none either."""
    job = capture(capfd, tmp_path / "job", "--source", "words", "--prompt", "far thunder")
    first, second = (job.request(shot).request for shot in job.shots)
    for asked in (first, second):
        assert (len(asked.frames), asked.prompt, asked.condition) == (0, "far thunder", "clap_text")
        assert asked.motion is None
    assert first.layers == ("bed",)
    assert second.layers == ("bed", "spots"), "a marker is a wish"
    for shot in job.shots:
        answer(job, shot)
    code, report = run(
        capfd, "farm-place", "--from", str(job.folder), "--save-as", str(tmp_path / "done.blend")
    )
    assert code == 0, report
    strips = our_strips(bpy.context.scene)
    assert sorted(sequencer.span(strip)[0] for strip in strips) == [1, 25, 31]
    for strip in strips:
        story = provenance.read(strip[provenance.KEY])
        assert story is not None
        assert story.shot["source"] == words_only.SOURCE
        assert story.shot["shot"] in {shot.key for shot in job.shots}
        assert story.settings["condition"] == "clap_text"


def test_words_alone_without_words_are_refused_at_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, report = run(capfd, "farm-capture", "--to", str(tmp_path / "job"), "--source", "words")
    assert code == 3
    assert "the words decide" in report["error"]
    assert not (tmp_path / "job" / farm.LIST).exists()


def test_what_has_no_result_yet_is_told_and_the_rest_is_placed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = capture(capfd, tmp_path / "job")
    answer(job, job.shots[1])
    target = tmp_path / "done.blend"
    code, report = run(capfd, "farm-place", "--from", str(job.folder), "--save-as", str(target))
    assert code == 3
    assert report["missing"] == [1]
    assert report["shots"] == [2]
    assert target.is_file()


def test_a_second_capture_makes_old_results_worthless(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    job = capture(capfd, tmp_path / "job")
    answer(job, job.shots[0])
    again = capture(capfd, tmp_path / "job")
    assert again.result(again.shots[0]) is None


def test_a_shot_that_is_gone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = capture(capfd, tmp_path / "job")
    for shot in job.shots:
        answer(job, shot)
    markers = bpy.context.scene.timeline_markers
    markers.remove(markers["sh010"])
    code, report = run(
        capfd, "farm-place", "--from", str(job.folder), "--save-as", str(tmp_path / "done.blend")
    )
    assert code == 3
    assert "“sh010” is not in this file any more" in report["error"]
    assert not (tmp_path / "done.blend").exists()


def test_a_folder_that_vanishes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    job = capture(capfd, tmp_path / "job")
    shutil.rmtree(job.folder)
    code, report = run(
        capfd, "farm-place", "--from", str(job.folder), "--save-as", str(tmp_path / "done.blend")
    )
    assert code == 3
    assert "holds no farm job" in report["error"]
