# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the synthetic world: they touch at the hits, come out the same again, and never alike."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from footfall.server.train.synth.families import FAMILIES
from footfall.server.train.synth.shot import SECONDS, Shot
from footfall.server.train.synth.shots import make_shot
from footfall.server.train.synth.stage import render
from footfall.server.train.synth.stage.__main__ import read_shot
from footfall.server.train.synth.stage.build import clear
from footfall.server.train.synth.stage.scenes import SCENES
from footfall.tests.blender.host_tools import IS_MODULE

pytestmark = pytest.mark.skipif(
    not IS_MODULE or bpy.app.version < (5, 0),
    reason="the synthetic world is made with the bpy module that trainings are installed with",
)
SEEN = [family.name for family in FAMILIES if family.seen]
ROUND = len(FAMILIES)


def shot_of(family: str, turn: int = 0, split: str = "train") -> Shot:
    """The ``turn``-th shot of a family."""
    place = [kin.name for kin in FAMILIES].index(family)
    shot = make_shot(split, place + turn * ROUND)
    assert shot.family == family
    return shot


@pytest.fixture
def scene() -> Iterator[bpy.types.Scene]:
    yield render.prepare(32, 1)
    clear()


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) float of a picture file."""
    image = bpy.data.images.load(str(path))
    wide, high = image.size
    found = np.array(image.pixels[:]).reshape(high, wide, 4)[:, :, :3]
    bpy.data.images.remove(image)
    return found


def lowest(thing: bpy.types.Object) -> float:
    """Height of a thing's lowest vertex, in the world."""
    bpy.context.view_layer.update()
    return min((thing.matrix_world @ corner.co).z for corner in thing.data.vertices)


def in_view(scene: bpy.types.Scene, point: Any) -> bool:
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    bpy.context.view_layer.update()
    place = world_to_camera_view(scene, scene.camera, Vector(point))
    return 0 < place.x < 1 and 0 < place.y < 1 and place.z > 0


# Scenes -------------------------------------------------------------------------------------------------


def test_every_family_that_can_be_seen_has_a_scene() -> None:
    assert set(SEEN) == set(SCENES)


@pytest.mark.parametrize("family", SEEN)
def test_a_scene_stands_for_every_object_and_moves(family: str, scene: bpy.types.Scene) -> None:
    shown: set[str] = set()
    for turn in range(8):
        shot = shot_of(family, turn, "scene" if turn % 2 else "train")
        kind = f"{shot.parameters.get('object')} {'' if shot.hits else shot.parameters.get('ground')}"
        if kind in shown:
            continue
        shown.add(kind)
        stage = render.build(shot, scene)
        for time_s in (0.0, SECONDS / 2, SECONDS):
            stage.pose(time_s)
            assert in_view(scene, stage.middle(time_s))
    assert len(scene.objects) > 3


def test_nothing_of_a_shot_stays_for_the_next(scene: bpy.types.Scene) -> None:
    kinds = ("objects", "meshes", "materials", "lights", "cameras", "worlds")

    def counts() -> list[int]:
        return [len(getattr(bpy.data, kind)) for kind in kinds]

    render.build(shot_of("engine"), scene)
    first = counts()
    render.build(shot_of("waves"), scene)
    render.build(shot_of("engine"), scene)
    assert counts() == first


# Hits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("material", ["wood", "metal", "glass", "stone", "plastic", "rubber"])
def test_what_falls_touches_the_ground_exactly_at_its_hits(material: str, scene: bpy.types.Scene) -> None:
    for turn in range(4):
        shot = shot_of(f"impact_{material}", turn)
        stage = render.build(shot, scene)
        falling = scene.objects[0]  # the first that the scene puts up
        times = [hit.time_s for hit in shot.hits]
        for time_s in times:
            stage.pose(time_s)
            assert abs(lowest(falling)) < 1e-4
        for before, after in pairwise(times):
            stage.pose((before + after) / 2)
            assert lowest(falling) > 1e-3
        stage.pose(max(times[0] - 0.05, 0.0))
        assert lowest(falling) > 0.005 * min(times[0] / 0.05, 1.0)


@pytest.mark.parametrize("ground", ["wood", "snow"])
def test_each_hit_of_a_walk_is_a_sole_that_comes_down(ground: str, scene: bpy.types.Scene) -> None:
    shot = shot_of(f"steps_{ground}", 1)
    stage = render.build(shot, scene)
    feet = [thing for thing in scene.objects if thing.type == "EMPTY"]
    assert len(feet) == 2
    for number, hit in enumerate(shot.hits):
        foot = feet[number % 2]
        stage.pose(hit.time_s)
        assert foot.location.z == pytest.approx(0, abs=1e-5)
        stage.pose(hit.time_s - 0.04)
        assert foot.location.z > 1e-3


def test_glass_is_whole_before_its_hit_and_in_pieces_after(scene: bpy.types.Scene) -> None:
    shot = shot_of("glass_break")
    stage = render.build(shot, scene)
    whole, *pieces = scene.objects[:20]
    hit = shot.hits[0].time_s
    stage.pose(hit - 0.001)
    assert not whole.hide_render
    assert all(piece.hide_render for piece in pieces)
    assert 0 < lowest(whole) < 0.1
    stage.pose(hit + 0.001)
    assert whole.hide_render
    assert not any(piece.hide_render for piece in pieces)


def test_a_door_is_shut_at_its_hit_and_not_before(scene: bpy.types.Scene) -> None:
    shot = next(s for s in (shot_of("door", n) for n in range(9)) if s.hits[0].time_s > 0.2)
    stage = render.build(shot, scene)
    hinge = next(thing for thing in scene.objects if thing.type == "EMPTY")
    stage.pose(shot.hits[0].time_s - 0.1)
    assert hinge.rotation_euler.z < -0.02
    stage.pose(shot.hits[0].time_s)
    assert hinge.rotation_euler.z == pytest.approx(0, abs=1e-6)


# Pictures -----------------------------------------------------------------------------------------------


def test_the_same_shot_gives_the_same_picture_and_another_seed_another(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    shot = shot_of("impact_metal")
    found = []
    for name, made in (("a", shot), ("b", shot), ("c", dataclasses.replace(shot, seed=shot.seed + 1))):
        (tmp_path / name).mkdir()
        assert render.render(made, [0.5, 1.5], tmp_path / name, scene) == 2
        found.append([render.picture(tmp_path / name, shot.key, n).read_bytes() for n in range(2)])
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0][0] != found[0][1]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [f"{shot.key}.0.jpg", f"{shot.key}.1.jpg"]


def test_no_picture_is_empty(scene: bpy.types.Scene, tmp_path: Path) -> None:
    for family in SEEN[::4]:
        shot = shot_of(family, 2)
        render.render(shot, [1.4], tmp_path, scene)
        seen = pixels(render.picture(tmp_path, shot.key, 0))
        assert seen.shape == (32, 32, 3)
        assert seen.std() > 0.02, family
        assert 0.02 < seen.mean() < 0.97, family


def test_layouts_held_out_are_never_trained_on() -> None:
    from footfall.server.train.synth.stage.build import HELD_OUT, TRAINED

    for name in ("far", "elevation", "azimuth", "lens", "sun_height", "hues"):
        trained, kept = getattr(TRAINED, name), getattr(HELD_OUT, name)
        assert trained[1] <= kept[0] or kept[1] <= trained[0], name


# The command --------------------------------------------------------------------------------------------


def command(jobs: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = [
        sys.executable,
        "-m",
        "footfall.server.train.synth.stage",
        "--jobs",
        str(jobs),
        "--out",
        str(out),
    ]
    return subprocess.run(
        [*words, "--size", "16", "--samples", "1", *more],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def job(shot: Shot, **changes: Any) -> dict[str, Any]:
    return {"shot": {**dataclasses.asdict(shot), **changes}, "times_s": [0.4, 1.2]}


def test_a_bad_shot_is_named_and_the_others_are_made_and_kept(tmp_path: Path) -> None:
    good, other = shot_of("bell"), shot_of("fire")
    jobs, out = tmp_path / "jobs.json", tmp_path / "out"
    wrong = [job(other, key="unseen", family="purr"), job(other, key="../out-of-place"), {"times_s": [0.0]}]
    jobs.write_text(json.dumps([job(good), *wrong, job(other)]))
    done = command(jobs, out)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert [("failed" in line) for line in lines[:-1]] == [False, True, True, True, False]
    assert [line["done"] for line in lines[:-1]] == [1, 2, 3, 4, 5]
    assert "no pictures" in lines[1]["failed"]
    total = {key: lines[-1][key] for key in ("finished", "made", "skipped", "failed")}
    assert total == {"finished": True, "made": 2, "skipped": 0, "failed": 3}
    expected = sorted(f"{shot.key}.{n}.jpg" for shot in (good, other) for n in (0, 1))
    assert sorted(p.name for p in out.iterdir()) == expected
    assert sorted(p.name for p in tmp_path.iterdir()) == ["jobs.json", "out"]

    (out / expected[0]).unlink()  # as if it had been killed: only what is missing is made
    kept = (out / expected[1]).stat().st_mtime_ns
    jobs.write_text(json.dumps([job(good), job(other)]))
    again = command(jobs, out)
    assert again.returncode == 0, again.stderr
    last = json.loads(again.stdout.splitlines()[-1])
    assert (last["made"], last["skipped"], last["failed"]) == (1, 1, 0)
    assert (out / expected[1]).stat().st_mtime_ns == kept
    assert sorted(p.name for p in out.iterdir()) == expected


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[{]"])
def test_an_unusable_job_file_is_refused(text: str, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.json"
    jobs.write_text(text)
    done = command(jobs, tmp_path / "out")
    assert done.returncode == 2
    assert "jobs" in done.stderr
    assert done.stdout == ""


def test_a_shot_survives_its_json_form() -> None:
    shot = shot_of("impact_wood", 3)
    assert read_shot(json.loads(json.dumps(dataclasses.asdict(shot)))) == shot
