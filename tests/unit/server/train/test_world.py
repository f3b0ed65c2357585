# SPDX-License-Identifier: GPL-3.0-or-later
"""Building the world: shards are made once, in processes, and what was stopped or lost is made again."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.server.train.shards import read_shards
from footfall.server.train.synth import sound_shard
from footfall.server.train.synth.families import FAMILIES, family
from footfall.server.train.synth.shard_process import Crew
from footfall.server.train.synth.shot import SAMPLES, SECONDS, SPLITS
from footfall.server.train.synth.shots import make_shot
from footfall.server.train.synth.world import FULL, WorldProgress, build_world, frame_times, shot_key


def files(folder: Path) -> dict[str, int]:
    """When each file was written, by name."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds alone: five shots for training, two for the judge."""
    folder = tmp_path_factory.mktemp("world")
    seen: list[WorldProgress] = []
    made = build_world(folder, {"train": 5, "judge": 2}, kinds=["sounds"], per_shard=3, progress=seen.append)
    assert (made.made, made.failed, made.done) == ({"sounds": 7, "pictures": 0}, (), True)
    assert sorted(at.done for at in seen) == list(range(1, 8))
    assert {(at.kind, at.total) for at in seen} == {("sounds", 7)}
    assert seen[-1].seconds_left == 0.0
    return folder


def test_the_world_holds_the_shots_with_their_sounds(world: Path) -> None:
    assert sorted(files(world)) == ["judge-0000.tar", "train-0000.tar", "train-0001.tar"]
    told: list[str] = []
    found = list(read_shards(world, "train", told.append))
    assert [sample.shot for sample in found] == [make_shot("train", n) for n in range(5)]
    for sample in found:
        assert sample.sound_48k.shape == (SAMPLES,)
        assert 1e-4 < np.abs(sample.sound_48k).max() <= 1.0
    assert told == []


def test_what_is_there_is_kept_and_what_lacks_is_made(world: Path) -> None:
    before = files(world)
    (world / "train-0000.tar.part123").write_bytes(b"left by a kill")
    path = world / "judge-0000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30000])
    made = build_world(world, {"train": 5, "judge": 2}, kinds=["sounds"], per_shard=3)
    assert made.made["sounds"] == 2
    assert path.read_bytes() == whole
    after = files(world)
    assert {name for name in before if after[name] != before[name]} == {"judge-0000.tar"}
    (world / "train-0000.tar.part123").unlink()


def test_a_larger_world_takes_in_the_smaller(world: Path, tmp_path: Path) -> None:
    small = (world / "train-0000.tar").read_bytes()
    for name in ("train-0000.tar", "train-0001.tar"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    made = build_world(tmp_path, {"train": 6}, kinds=["sounds"], per_shard=3)
    assert made.made["sounds"] == 3
    assert (tmp_path / "train-0000.tar").read_bytes() == small
    assert len(list(read_shards(tmp_path, "train"))) == 6


def test_stop_ends_it_and_nothing_is_torn(tmp_path: Path) -> None:
    asked = iter([False, False])
    made = build_world(tmp_path, {"train": 400}, kinds=["sounds"], stop=lambda: next(asked, True))
    assert not made.done
    assert not list(tmp_path.glob("*.tar*"))


def test_worlds_that_cannot_be(tmp_path: Path) -> None:
    for wrong in ({"counts": {"nowhere": 3}}, {"kinds": ["smells"]}, {"workers": 0}, {"per_shard": 0}):
        with pytest.raises(BadInput, match="cannot be built"):
            build_world(tmp_path, **{"counts": {"train": 1}, **wrong})


def test_keys_and_times_without_making_anything() -> None:
    for split in SPLITS:
        for number in range(60):
            shot = make_shot(split, number)
            assert shot.key == shot_key(split, number)
            times = frame_times(shot)
            seen = family(shot.family).seen and split != "judge"
            assert len(times) == (0 if not seen else 4 if split == "train" else 8)
            assert all(0.0 < time_s < SECONDS for time_s in times)
            assert sorted(set(times)) == list(times)
    assert FULL["train"] == 150 * len(FAMILIES)


@pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="pictures need Blender's module")
def test_pictures_come_later_beside_the_sounds(tmp_path: Path) -> None:
    counts = {"train": 1}
    build_world(tmp_path, counts, kinds=["sounds"])
    sounds = files(tmp_path)
    made = build_world(tmp_path, counts, workers=1)
    assert (made.made, made.failed, made.done) == ({"sounds": 0, "pictures": 1}, (), True)
    assert sorted(files(tmp_path)) == ["frames-train-0000.tar", "train-0000.tar"]
    assert files(tmp_path)["train-0000.tar"] == sounds["train-0000.tar"]
    frames = next(read_shards(tmp_path, "train")).frames
    assert frames.shape == (4, 112, 112, 3)
    assert frames.std() > 5
    assert build_world(tmp_path, counts).made == {"sounds": 0, "pictures": 0}


# The processes ------------------------------------------------------------------------------------------


def command(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def go(code: str) -> list[Mapping[str, Any]]:
    """What a process said that ``code`` makes."""
    crew = Crew(1, lambda: False)
    said: list[Mapping[str, Any]] = []

    def job() -> None:
        assert crew.command(command(code), said.append, "a shard") < 2

    assert crew.run([job])
    return said


def test_lines_that_are_no_objects_are_let_be() -> None:
    code = "import json; print('Blender 5'); print('[1]'); print(json.dumps({'key': 'a'})); print('{')"
    assert go(code) == [{"key": "a"}]


def test_a_full_disk_and_a_crash_are_told_apart() -> None:
    with pytest.raises(SaveError, match="a shard could not be written; is the disk full"):
        go("raise SystemExit(3)")
    with pytest.raises(BadInput, match=r"a shard could not be made \(exit code 7\)") as caught:
        go("import sys; print('out of luck', file=sys.stderr); sys.exit(7)")
    assert "out of luck" in caught.value.detail


def test_one_failure_ends_the_others() -> None:
    crew = Crew(2, lambda: False)
    waits = "import signal; print('{}', flush=True); signal.sigwait([signal.SIGUSR1])"
    begun: list[Mapping[str, Any]] = []

    def fail() -> None:
        crew.command(command("raise SystemExit(3)"), lambda line: None, "the second")

    def endless() -> None:
        crew.command(command(waits), begun.append, "the first")

    with pytest.raises(SaveError, match="the second"):
        crew.run([endless, fail, endless])


def test_a_shot_that_fails_is_named_and_the_others_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {1: np.zeros(3, np.float32), 2: np.full(SAMPLES, np.nan, np.float32), 3: np.zeros(SAMPLES)}

    def render(shot: Any) -> np.ndarray:
        if shot.number == 4:
            raise KeyError("no such ground")
        return broken.get(shot.number, np.full(SAMPLES, 0.25, np.float32))

    monkeypatch.setattr(sound_shard, "render", render)
    out = tmp_path / "train-0000.tar"
    assert sound_shard.main(["--split", "train", "--first", "0", "--count", "6", "--out", str(out)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["key"] for line in lines if "failed" not in line] == ["train-000000", "train-000005"]
    assert len(lines) == 6
    assert [sample.shot.number for sample in read_shards(tmp_path, "train")] == [0, 5]
