# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds for evaluation are those that the add-on would get, are made once, and may come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from footfall.addon.wire.errors import BadInput, Cancelled, ModelMissing
from footfall.server.evaluation.shots import Item, select
from footfall.server.evaluation.systems import System, folder_sounds, made, resolved, together
from footfall.server.making.pipeline import FoleyPipeline
from footfall.server.models.loaded import Models
from footfall.tests.fakes.small_disk import small_disk

PICTURE = System(model="tiny", condition="picture", mapper="bridge", steps=1)
TEXT = System(model="tiny", condition="text", steps=1)


class Anyone:
    """A JobControl for a job of its own."""

    def check(self) -> None: ...

    def progress(self, phase: str, fraction: float) -> None: ...


class Counter:
    def __init__(self, stop_at: int = 0) -> None:
        self.count, self.stop_at = 0, stop_at

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.stop_at:
            raise Cancelled


@pytest.fixture(scope="module")
def items(work: Path) -> tuple[Item, ...]:
    return select(work / "world", 6, lambda words: None, families=("rain", "impact_wood")).evaluated[:2]


@pytest.mark.parametrize("system", [PICTURE, TEXT], ids=["picture", "text"])
def test_shots_made_together_sound_as_each_by_itself(
    system: System, items: tuple[Item, ...], models: Models, make_pipeline: Callable[[], FoleyPipeline]
) -> None:
    requests = [system.request(item, "tiny") for item in items]
    found = list(together(requests, models))
    for request, sound in zip(requests, found, strict=True):
        alone = make_pipeline().run(request, Anyone()).clips[0].waveform[:, 0]
        assert sound.shape == alone.shape == (40_960,)
        assert sound == pytest.approx(alone, abs=2e-3 * float(np.abs(alone).max()))


def test_shots_have_noise_of_their_own(items: tuple[Item, ...]) -> None:
    seeds = {PICTURE.request(item, "tiny").seed for item in items}
    assert len(seeds) == len(items)
    assert PICTURE.request(items[0], "tiny").seed == PICTURE.request(items[0], "tiny").seed
    assert replace(PICTURE, seed=1).request(items[0], "tiny").seed not in seeds


def test_what_cannot_be_made_together_is_refused(items: tuple[Item, ...], models: Models) -> None:
    requests = [PICTURE.request(items[0], "tiny"), replace(PICTURE, steps=2).request(items[1], "tiny")]
    with pytest.raises(ValueError, match="together"):
        list(together(requests, models))


def test_a_run_that_was_stopped_goes_on(items: tuple[Item, ...], models: Models, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        made(PICTURE, items, models, tmp_path, Counter(stop_at=2))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.flac")}
    assert kept
    tick = Counter()
    found = made(PICTURE, items, models, tmp_path, tick)
    assert tick.count == len(items)
    assert len(list(tmp_path.rglob("*.flac"))) == len(items)
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    again = made(PICTURE, items, models, tmp_path, Counter())
    for one, other in zip(found, again, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def test_a_damaged_sound_is_made_again(items: tuple[Item, ...], models: Models, tmp_path: Path) -> None:
    found = made(TEXT, items[:1], models, tmp_path, Counter())
    path = next(tmp_path.rglob("*.flac"))
    path.write_bytes(path.read_bytes()[:100])
    again = made(TEXT, items[:1], models, tmp_path, Counter())
    for one, other in zip(found, again, strict=True):
        assert one == pytest.approx(other, abs=2e-3 * float(np.abs(one).max()))


@pytest.mark.parametrize("change", [{"seed": 1}, {"steps": 2}, {"guidance": 1.0}], ids=str)
def test_another_setting_is_another_sound(
    change: dict[str, int], items: tuple[Item, ...], models: Models, tmp_path: Path
) -> None:
    made(TEXT, items[:1], models, tmp_path, Counter())
    made(replace(TEXT, **change), items[:1], models, tmp_path, Counter())
    assert len(list(tmp_path.rglob("*.flac"))) == 2


def test_spots_are_made_for_the_shots_own_hits(
    items: tuple[Item, ...], models: Models, tmp_path: Path
) -> None:
    spots = replace(TEXT, layers=("spots",))
    for item, sound in zip(items, made(spots, items, models, tmp_path, Counter()), strict=True):
        assert sound.shape == (40_960,)
        hits = [hit.time_s for hit in item.shot.hits]
        assert [float(event.time_s) for event in spots.request(item, "tiny").events] == pytest.approx(hits)
        if hits:  # silence up to the first one
            assert not sound[: int(min(hits) * 16_000) - 1].any()
            assert sound[int(min(hits) * 16_000) :].any()
        else:  # a bed, as there is nothing to put spots on
            assert spots.request(item, "tiny").layers == ("bed",)
            assert sound[:1000].any()


def test_auto_is_named_and_what_a_bundle_lacks_is_told(models: Models) -> None:
    found = resolved(replace(PICTURE, mapper="auto"), models)
    assert found.mapper in ("bridge", "regression", "generative")
    assert found.name == f"tiny, {found.mapper}, good, 1 steps"
    assert TEXT.name == "tiny, good, 1 steps"
    assert replace(TEXT, model="/somewhere/mine", steps=0, guidance=2.0).name == "mine, good, guidance 2"
    lacking = {"regression", "generative"} - set(models.bundle.mappers)
    for mapper in lacking:
        with pytest.raises(ModelMissing):
            resolved(replace(PICTURE, mapper=mapper), models)


def test_sounds_from_elsewhere_of_any_rate_and_width(items: tuple[Item, ...], tmp_path: Path) -> None:
    clock = np.arange(44_100) / 44_100
    tone = 0.5 * np.sin(2 * np.pi * 440 * clock)
    soundfile.write(tmp_path / f"{items[0].shot.key}.wav", np.stack([tone, np.zeros_like(tone)], 1), 44_100)
    soundfile.write(tmp_path / f"{items[1].shot.key}.flac", tone[:1000], 8_000)
    (tmp_path / "notes.txt").write_text("unrelated")
    found = folder_sounds(tmp_path, items)
    assert sorted(found) == [0, 1]
    assert len(found[0]) == 16_000
    wanted = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert found[0][1000:-1000] == pytest.approx(wanted[1000:-1000], abs=1e-3)
    assert len(found[1]) == 2000


def test_a_folder_of_nothing_or_of_rubbish_is_refused(items: tuple[Item, ...], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder"):
        folder_sounds(tmp_path / "nowhere", items)
    with pytest.raises(BadInput, match=items[0].shot.key):
        folder_sounds(tmp_path, items)
    path = tmp_path / f"{items[0].shot.key}.wav"
    path.write_bytes(b"RIFF rubbish")
    with pytest.raises(BadInput, match="cannot be read"):
        folder_sounds(tmp_path, items)
    soundfile.write(path, np.zeros(0), 16_000)
    with pytest.raises(BadInput, match="holds no sound"):
        folder_sounds(tmp_path, items)


def test_a_full_disk_keeps_no_half_sound(items: tuple[Item, ...], models: Models, tmp_path: Path) -> None:
    with small_disk(1000), pytest.raises(OSError, match="too large"):
        made(PICTURE, items, models, tmp_path, Counter())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    made(PICTURE, items, models, tmp_path, Counter())
