# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole comparison of pictures of sounds, with a painter of next to nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import ModelMissing
from footfall.server.evaluation import picture_systems, picture_tables, ranking
from footfall.server.evaluation.picture_systems import Painting, Told, at_size, family_words
from footfall.server.evaluation.pictures import (
    CHANCE,
    REAL,
    Hands,
    PicturePlan,
    PictureReport,
    run,
    seen_whole,
)
from footfall.server.evaluation.shots import is_seen, select
from footfall.server.evaluation.systems import System
from footfall.server.making.round_trip import UNHEARD, RoundTrip
from footfall.server.models import manifest
from footfall.server.models.audio_depths import ClapEar
from footfall.server.models.audiotoken import Embedder, embedder_config
from footfall.server.models.bundle import open_bundle
from footfall.server.models.bundle_parts import EMBEDDER
from footfall.server.models.loaded import Models
from footfall.server.models.painter import load_painter
from footfall.server.train import features
from footfall.server.train.audiotoken import write as write_embedder
from footfall.server.train.shards import read_shards, shard_name, write_frames, write_sounds

from ..models.painter_bundle import write_stable_diffusion
from .conftest import EACH, FAMILIES, jpegs_of, make_shot, sound_of
from .painting import LENGTH, WIDTH, FakeEmbedder, FakePainter


@pytest.fixture(scope="module")
def folder(work: Path, models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's folder with the tiny bundle's CLIP and CLAP, and what they make of a training split."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "world").mkdir()
    for path in (work / "world").iterdir():
        (root / "world" / path.name).symlink_to(path)
    shots = [make_shot("train", number, family) for number, family in enumerate(FAMILIES * EACH)]
    write_sounds(root / "world" / shard_name("train", 0), ((shot, sound_of(shot)) for shot in shots))
    seen = [shot for shot in shots if shot.family != FAMILIES[2]]
    pairs = ((shot.key, jpegs_of(shot)) for shot in seen)
    write_frames(root / "world" / shard_name("train", 0, frames=True), pairs)
    for part in ("clip", "clap"):
        shutil.copytree(models_folder / "tiny" / part, root / part / "part")
    features.make(root, ("train",), ("clap", "clip"), workers=1)
    return root


@pytest.fixture(scope="module")
def painter() -> FakePainter:
    return FakePainter()


@pytest.fixture(scope="module")
def hands(models: Models, painter: FakePainter) -> Hands:
    return Hands(
        bundle=models.bundle,
        clip=models.clip,
        clap=models.clap,
        painter=painter,  # type: ignore[arg-type]
        embedder=FakeEmbedder(),  # type: ignore[arg-type]
        share=0.03,
    )


@pytest.fixture(scope="module")
def told() -> list[float]:
    return []


@pytest.fixture(scope="module")
def report(folder: Path, models_folder: Path, hands: Hands, told: list[float]) -> PictureReport:
    plan = PicturePlan(work=folder, models_dir=models_folder, model="tiny", most=12, device="cpu")
    return run(plan, lambda words, fraction, left: told.append(fraction), lambda *_: hands)


def test_every_system_paints_every_shot_that_can_be_seen(report: PictureReport) -> None:
    assert [row.name for row in report.rows] == [REAL, CHANCE, *picture_systems.SYSTEMS]
    assert report.families == 2
    assert report.chance == 0.5
    assert all(row.scores["aic"].count == report.shots for row in report.rows)
    assert report.rows[0].value("iis") > 0.9
    assert "fid" not in report.rows[1].scores


def test_all_of_them_are_painted_from_the_same_noise(report: PictureReport, painter: FakePainter) -> None:
    first = painter.calls[: len(painter.calls) // len(picture_systems.SYSTEMS)]
    groups = -(-report.shots // picture_systems.AT_ONCE)
    assert len({seed for _, seed in first[:groups]}) == groups
    assert painter.calls[:groups] == painter.calls[groups : 2 * groups]


def test_progress_rises_to_the_end(report: PictureReport, told: list[float]) -> None:
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_it_is_told_in_words_numbers_and_pictures(report: PictureReport, tmp_path: Path) -> None:
    text = picture_tables.markdown(report)
    assert "nan" not in text.lower()
    for name in (REAL, CHANCE, *picture_systems.SYSTEMS):
        assert name in text
    again = json.loads(json.dumps(picture_tables.plain(report), allow_nan=False))
    assert again["chance"]["aic"] == 0.5
    assert len(again["bars"]) == 5
    assert {one["other"] for one in again["differences"]} == set(picture_systems.SYSTEMS[1:])
    made = picture_tables.draw(report, tmp_path)
    assert [path.name for path in made] == ["scores-pictures.png", "pictures-1.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)


def test_ears_that_made_other_features_are_refused(
    folder: Path, models_folder: Path, hands: Hands, tmp_path: Path
) -> None:
    for name in ("world", "features", "clap"):
        (tmp_path / name).symlink_to(folder / name)
    shutil.copytree(folder / "clip", tmp_path / "clip")
    weights = tmp_path / "clip/part/open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    plan = PicturePlan(work=tmp_path, models_dir=models_folder, model="tiny", most=12, device="cpu")
    with pytest.raises(ModelMissing, match="--ears"):
        run(plan, loader=lambda *_: hands)


@pytest.fixture(scope="module")
def words(folder: Path, hands: Hands) -> Told:
    items = [item for item in select(folder / "world", 12, lambda words: None).evaluated if is_seen(item)]
    known = features.load(folder, "train", ("clap", "clip"))
    sounds = hands.clap.encode_audio(np.stack([item.sound for item in items])).double().numpy()
    return Told(items=items, painter=hands.painter, embedder=hands.embedder, rows=sounds, known=known)


def test_what_each_system_says(words: Told) -> None:
    labels = family_words(words.known)
    assert (
        labels[FAMILIES[0]] == f"{FAMILIES[0]} far"
    )  # all are as common; the shortest, and of those the first
    assert words.prompts(picture_systems.LABEL) == [labels[item.shot.family] for item in words.items]
    assert words.prompts(picture_systems.OWN) == [item.shot.captions[0] for item in words.items]
    assert set(words.prompts(picture_systems.CAPTION)) <= set(words.known.words)
    for system in picture_systems.SYSTEMS:
        assert words.conditions(system).shape == (len(words.items), LENGTH, WIDTH)


def test_the_nearest_caption_is_the_nearest(words: Told) -> None:
    own = replace(words, rows=words.known.texts[[3, 5]].double().numpy(), items=words.items[:2])
    assert own.prompts(picture_systems.CAPTION) == [words.known.words[3], words.known.words[5]]


def test_pictures_are_held_against_whole_ones(folder: Path, hands: Hands) -> None:
    """What was trained looks closer (views); the features of a shot without pictures are none."""
    known = features.load(folder, "train", ("clap", "clip"))
    whole = seen_whole(known, folder, hands.clip)
    assert torch.equal(whole.start, known.start)
    for number, sample in enumerate(read_shards(folder / "world", "train")):
        first, stop = whole.start[number : number + 2].tolist()
        assert stop - first == len(sample.frames)
        if stop > first:
            wanted = hands.clip.encode_images(sample.frames, whole=True)
            torch.testing.assert_close(whole.pictures[first:stop], wanted, atol=1e-4, rtol=1e-4)
    assert (whole.pictures - known.pictures).abs().max() > 1e-3


def test_pictures_are_brought_to_the_painters_size() -> None:
    frames = np.full((2, 40, 80, 3), 7, np.uint8)
    assert at_size(frames, 20).shape == (2, 20, 40, 3)
    assert (at_size(frames, 20) == 7).all()
    assert at_size(frames, 64) is frames


def test_painting_stops_where_it_is_told_to(painter: FakePainter) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        picture_systems.paint(painter, torch.zeros(2, LENGTH, WIDTH), Painting(), stop)  # type: ignore[arg-type]


def test_a_round_trip_prefers_the_sound_that_paints_the_shot(hands: Hands) -> None:
    trip = RoundTrip(painter=hands.painter, embedder=hands.embedder, clip=hands.clip)
    draw = np.random.default_rng(0)
    low, high = np.cumsum(draw.standard_normal(16_000)), np.diff(draw.standard_normal(16_001))
    low, high = (wave / np.abs(wave).max() for wave in (low, high))
    shown = hands.painter.paint(hands.painter.read([""], hands.embedder.tokens([low], 16_000)), seed=9)[0]
    seen = hands.clip.encode_images(shown)[0]
    found = trip.scores([high, low, np.zeros(16_000)], 16_000, seen)
    assert int(found.argmax()) == 1
    assert found[2] == UNHEARD
    assert found.tolist() == trip.scores([high, low, np.zeros(16_000)], 16_000, seen).tolist()


def test_takes_are_ranked_by_what_they_paint(
    folder: Path, models_folder: Path, hands: Hands, models: Models, work: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(ranking, "TAKES", 2)
    monkeypatch.setattr(ranking, "System", lambda **how: System(**how, steps=1))
    for name in ("world", "judge"):
        (tmp_path / name).symlink_to((folder if name == "world" else work) / name)
    plan = PicturePlan(work=tmp_path, models_dir=models_folder, model="tiny", most=4, device="cpu")
    fractions: list[float] = []
    found = ranking.run(
        plan, lambda words, fraction, left: fractions.append(fraction), lambda *_: hands, lambda *_: models
    )
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)
    assert (found.takes, found.sounds) == (2, "tiny")
    assert [row.name for row in found.rows] == [ranking.ANY, ranking.TRIP, ranking.BRIDGED, ranking.BEST]
    text = ranking.markdown(found)
    assert "round trip" in text
    assert "nan" not in text.lower()
    assert json.loads(json.dumps(ranking.plain(found), allow_nan=False))["shots"] == found.shots
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in ranking.draw(found, tmp_path))


def test_a_ranking_is_judged_by_its_first_take() -> None:
    right = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    scores = np.array([[0.1, 0.2], [0.1, 0.2], [0.3, 0.2]])
    takes = ranking.Takes(
        right=right, five=np.ones((3, 2)), sound=right, words=right, trip=scores, bridged=-scores, sure=right
    )
    found = {row.name: row.value("top1") for row in ranking.rows(takes)}
    assert found[ranking.ANY] == pytest.approx(1 / 3)
    assert found[ranking.TRIP] == pytest.approx(1 / 3)
    assert found[ranking.BRIDGED] == pytest.approx(1 / 3)
    assert found[ranking.BEST] == pytest.approx(2 / 3)


@pytest.fixture(scope="module")
def paints(models_folder: Path, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny bundle with a tiny Stable Diffusion, and an embedder for it that was never trained."""
    root = tmp_path_factory.mktemp("paints") / "paints"
    shutil.copytree(models_folder / "tiny", root)
    write_stable_diffusion(root)
    said, _ = manifest.read(root)
    manifest.seal(root, said)
    painter = load_painter(open_bundle(root), torch.device("cpu"), torch.float32, lambda: None)
    ear = ClapEar(models.clap)
    embedder = Embedder(ear.width, painter.width)
    config = embedder_config(ear, painter.backbone, embedder, {"share": 0.01})
    write_embedder(embedder, config, root / EMBEDDER)
    manifest.seal(root, said)
    return root


def test_a_bundle_that_paints_is_measured_from_end_to_end(folder: Path, paints: Path) -> None:
    plan = PicturePlan(
        work=folder,
        models_dir=paints.parent,
        model="paints",
        most=4,
        device="cpu",
        painting=Painting(steps=1),
    )
    found = run(plan)
    assert found.model["name"] == "paints"
    assert found.seconds_each > 0
    assert {bar.words: bar.found for bar in found.bars}["share of all parameters that was learnt"] == 0.01
    assert all(len(pictures) == len(found.example_families) for pictures in found.examples.values())
