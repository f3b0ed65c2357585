# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound into what goes away meanwhile: scenes, files, strips, the folder beside the file.

Whatever happens: no error but a sentence, the files stay, and what the user made is as it was.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import pytest
from footfall.addon.host import sequencer
from footfall.addon.host.sounds import placing
from footfall.addon.host.sounds.placing import Placing
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.tests.blender.sounds.placed import block, kept, ours, scene_now, users

pytestmark = pytest.mark.usefixtures("audio")


class TestScenesThatGo:
    def test_deleted(self, job: Any) -> None:
        gone = bpy.data.scenes.new("Shot")
        where, stored = placing.home(gone), job()
        bpy.data.scenes.remove(gone)
        with pytest.raises(BadInput, match=r"“Shot” is gone.*another scene"):
            placing.place(stored, where)
        assert kept(stored)
        assert ours(scene_now()) == []
        placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_deleted_and_another_of_its_name(self, job: Any) -> None:
        gone = bpy.data.scenes.new("Shot")
        where, stored = placing.home(gone), job()
        bpy.data.scenes.remove(gone)
        bpy.data.scenes.new("Shot")
        with pytest.raises(BadInput, match="gone"):
            placing.place(stored, where)
        assert ours(bpy.data.scenes["Shot"]) == []

    def test_deleted_and_brought_back_by_undo(self, job: Any) -> None:
        shot = bpy.data.scenes.new("Shot")
        where = placing.home(shot)
        bpy.ops.ed.undo_push(message="New scene")
        bpy.data.scenes.remove(shot)
        bpy.ops.ed.undo_push(message="Delete scene")
        bpy.ops.ed.undo()
        stored = job()
        placing.place(stored, where)
        assert len(ours(bpy.data.scenes["Shot"])) == len(stored.sounds)

    def test_deleted_in_the_middle(self, job: Any) -> None:
        shot = bpy.data.scenes.new("Shot")
        stored = job()
        under_way = Placing(stored, placing.home(shot))
        assert under_way.step(budget_s=0) is None
        bpy.data.scenes.remove(shot)
        with pytest.raises(BadInput, match="gone"):
            under_way.step()
        assert kept(stored)

    def test_renamed(self, job: Any) -> None:
        where, stored = placing.home(scene_now()), job()
        scene_now().name = "Renamed"
        assert placing.place(stored, where).scene_name == "Renamed"

    def test_only_into_its_own(self, job: Any) -> None:
        where, stored = placing.home(scene_now()), job()
        bpy.context.window.scene = bpy.data.scenes.new("Newer")
        placing.place(stored, where)
        assert ours(bpy.data.scenes["Newer"]) == []
        assert len(ours(bpy.data.scenes["Scene"])) == len(stored.sounds)

    def test_another_file(self, job: Any, tmp_path: Path) -> None:
        where, stored = placing.home(scene_now()), job()
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
        bpy.ops.wm.read_factory_settings(use_empty=True)
        assert scene_now().name == where.scene_name
        with pytest.raises(BadInput, match="gone"):
            placing.place(stored, where)
        assert ours(scene_now()) == []
        assert kept(stored)
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
        placing.place(stored, replace(where, uid=0))
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_another_file_in_the_middle(self, job: Any) -> None:
        stored = job()
        under_way = Placing(stored, placing.home(scene_now()))
        assert under_way.step(budget_s=0) is None
        bpy.ops.wm.read_factory_settings(use_empty=True)
        with pytest.raises(BadInput, match="gone"):
            under_way.step()
        assert ours(scene_now()) == []

    def test_linked(self, job: Any, tmp_path: Path) -> None:
        scene_now().name = "Linked"
        bpy.data.libraries.write(str(tmp_path / "library.blend"), {scene_now()})
        bpy.ops.wm.read_factory_settings(use_empty=True)
        with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
            wanted.scenes = ["Linked"]
        linked = next(s for s in bpy.data.scenes if s.library is not None)
        stored = job()
        with pytest.raises(BadInput, match="linked"):
            placing.place(stored, placing.home(linked))
        assert kept(stored)


class TestStripsThatGo:
    def test_deleted_ones_are_missing(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        sequencer.remove(scene_now(), {stored.strips[1].strip.uuid})
        assert placing.missing(stored, placing.home(scene_now())) == (stored.strips[1].strip.uuid,)
        placing.place(stored, placing.home(scene_now()))
        assert placing.missing(stored, placing.home(scene_now())) == ()

    def test_the_whole_sequencer(self, job: Any) -> None:
        stored = job()
        under_way = Placing(stored, placing.home(scene_now()))
        assert under_way.step(budget_s=0) is None
        scene_now().sequence_editor_clear()
        while under_way.step(budget_s=0) is None:
            pass
        assert len(ours(scene_now())) == len(stored.sounds)

    def test_a_file_that_is_gone_takes_the_job_back(self, job: Any) -> None:
        mine = block(scene_now(), 1, 90, 300)
        before = users(scene_now())
        stored = job()
        stored.strips[-1].path.unlink()
        with pytest.raises(SaveError, match="gone"):
            placing.place(stored, placing.home(scene_now()))
        assert ours(scene_now()) == []
        assert users(scene_now()) == before
        assert mine.name == "Mine"

    def test_a_failure_leaves_what_was_placed_before(self, job: Any) -> None:
        stored = job()
        placing.place(stored, placing.home(scene_now()))
        sequencer.remove(scene_now(), {stored.strips[1].strip.uuid})
        stored.strips[1].path.unlink()
        with pytest.raises(SaveError):
            placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == len(stored.sounds) - 1


class TestSaveTargets:
    def test_unsaved(self, job: Any, tmp_path: Path) -> None:
        stored = job()
        assert "not been saved" in stored.sentence
        assert str(tmp_path / "sounds") in stored.sentence
        placing.place(stored, placing.home(scene_now()))
        assert all(Path(s.sound.filepath).parent == tmp_path / "sounds" for s in ours(scene_now()))

    def test_saved(self, job: Any, tmp_path: Path) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        stored = job()
        assert {item.path.parent for item in stored.strips} == {tmp_path / "footfall"}
        placing.place(stored, placing.home(scene_now()))
        assert all(s.sound.filepath.startswith("//footfall") for s in ours(scene_now()))

    def test_beside_it_something_is_in_the_way(self, job: Any, tmp_path: Path) -> None:
        bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
        (tmp_path / "footfall").write_text("in the way")
        stored = job()
        assert {item.path.parent for item in stored.strips} == {tmp_path / "sounds"}
        assert str(tmp_path / "footfall") in stored.sentence
        placing.place(stored, placing.home(scene_now()))
        assert len(ours(scene_now())) == len(stored.sounds)
