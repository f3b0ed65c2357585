# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole evaluation of a tiny random bundle: what stands in its report, and what is true of any."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from footfall.addon.wire.errors import BadInput, ModelMissing
from footfall.server.evaluation import plots, references, tables
from footfall.server.evaluation.run import Plan, Report, run
from footfall.server.evaluation.shots import select
from footfall.server.evaluation.systems import System
from footfall.server.models.loaded import Models

MOST = 6


@pytest.fixture(scope="module")
def copies(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A "system" whose sounds are the true ones, for all shots but one."""
    folder = tmp_path_factory.mktemp("copies")
    for item in select(work / "world", MOST, lambda words: None).evaluated[1:]:
        soundfile.write(folder / f"{item.shot.key}.wav", item.sound, 16_000, subtype="FLOAT")
    return folder


@pytest.fixture(scope="module")
def told() -> list[tuple[str, float]]:
    return []


@pytest.fixture(scope="module")
def report(
    work: Path, models_folder: Path, models: Models, copies: Path, told: list[tuple[str, float]]
) -> Report:
    systems = tuple(
        System(model="tiny", condition=condition, mapper="bridge", steps=1)
        for condition in ("picture", "text")
    )
    plan = Plan(
        work=work, models_dir=models_folder, systems=systems, folders=(copies,), most=MOST, device="cpu"
    )
    # the bundle's models are there already
    return run(plan, lambda words, fraction, left: told.append((words, fraction)), lambda *_: models)


def test_every_condition_has_every_system_and_every_reference(report: Report, copies: Path) -> None:
    assert [section.condition for section in report.sections] == ["picture", "text"]
    for section in report.sections:
        made = "tiny, bridge, good, 1 steps" if section.condition == "picture" else "tiny, good, 1 steps"
        assert [row.name for row in section.rows] == [*references.REFERENCES, made, copies.name]
    picture, text = report.sections
    assert (picture.families, text.families) == (2, 3)
    assert len(picture.keys) == 4
    assert len(text.keys) == 6


def test_copies_of_the_true_sounds_score_as_those(report: Report) -> None:
    for section in report.sections:
        copies, real = section.rows[-1], section.row(references.REAL)
        assert copies.value("class_kl") == pytest.approx(0.0, abs=1e-3)
        assert copies.value("clap_sound") == pytest.approx(1.0, abs=1e-3)
        assert copies.value("silent") == 0
        assert real.scores["top1"].count == len(section.keys)
        assert copies.scores["top1"].count == len(section.keys) - 1
    assert any("3 of 4 shots" in words for words in report.warnings)


def test_references_are_in_the_order_that_they_must_be(report: Report) -> None:
    for section in report.sections:
        real, silence = section.row(references.REAL), section.row(references.SILENCE)
        assert real.value("clap_sound") == pytest.approx(1.0, abs=1e-6)
        assert real.value("class_kl") == pytest.approx(0.0, abs=1e-9)
        assert section.row(references.SHUFFLED).value("clap_sound") < 0.9999
        assert real.value("fd_clap") < silence.value("fd_clap")
        assert silence.value("silent") == len(section.keys)
        assert math.isnan(silence.value("loudness"))
        assert real.value("coverage") == 1.0
        assert real.value("median_ms") < 5.0
        assert section.row(references.NOISE).value("coverage") < 0.5
        # a set is what it is in any order, so only what pairs shots or families is shown
        assert "fd_clap" not in section.row(references.SHUFFLED).scores
        assert section.row(references.SHUFFLED).value("spread") < real.value("spread")
        assert section.row(references.NOISE).value("spread") < real.value("spread")


def test_the_picture_condition_has_its_own_figures(report: Report) -> None:
    picture, text = report.sections
    assert {"clip_score", "r1", "r10"} <= set(picture.rows[4].scores)
    assert "clip_score" not in text.rows[4].scores
    assert picture.rows[4].value("r10") == 1.0  # four shots


def test_bars_are_about_every_bundle_and_the_judge_alone(report: Report) -> None:
    assert report.bars[0].system == ""
    assert {bar.system for bar in report.bars[1:]} == {"tiny, bridge, good, 1 steps", "tiny, good, 1 steps"}
    found = {(bar.condition, bar.words): bar for bar in report.bars}
    assert found["picture", "the right family first"].wanted == 0.6
    assert found["text", "the right family among five"].wanted == 0.92
    assert found["picture", "silent takes"].passed == (found["picture", "silent takes"].found == 0)


def test_progress_rises_to_the_end(report: Report, told: list[tuple[str, float]]) -> None:
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1.0)


def test_json_holds_all_of_it_and_no_nan(report: Report) -> None:
    plain = tables.plain(report)
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert again["sections"][0]["systems"][4]["made_of"]["steps"] == 1
    assert again["sections"][0]["chance"]["r1"] == pytest.approx(1 / 4)
    assert again["sections"][1]["keys"] == list(report.sections[1].keys)
    assert len(again["bars"]) == len(report.bars)


def test_the_tables_are_tables(report: Report) -> None:
    lines = tables.markdown(report).splitlines()
    widths: set[int] = set()
    for line in [*lines, ""]:
        if line.startswith("|"):
            widths.add(line.count("|"))
        else:
            assert len(widths) <= 1, line
            widths = set()
    text = "\n".join(lines)
    for name in references.REFERENCES:
        assert name in text
    assert "nan" not in text.lower().replace("finance", "")


def test_pictures_are_drawn(report: Report, tmp_path: Path) -> None:
    made = plots.draw(report, tmp_path)
    assert [path.name for path in made] == [
        "scores-picture.png",
        "families-picture.png",
        "spectrograms-picture-1.png",
        "scores-text.png",
        "families-text.png",
        "spectrograms-text-1.png",
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)


def test_examples_are_one_of_each_family(report: Report) -> None:
    (examples,) = report.sections[1].examples.values()
    assert len(examples) == 3
    assert all(one.real.shape == one.made.shape == (256, 64) for one in examples)
    assert all(np.isfinite(one.made).all() for one in examples)


def test_true_sounds_are_held_against_others_alone(report: Report, copies: Path) -> None:
    for section in report.sections:
        # six of the judge's and two or more held out; were its own among them, none could be outside
        assert section.spread_of >= 7
        assert 0.5 < section.row(references.REAL).value("spread") <= 1.0
        assert section.row(copies.name).scores["spread"].count > 0


def test_a_judge_is_needed(tmp_path: Path, models_folder: Path) -> None:
    with pytest.raises(ModelMissing, match="footfall train judge"):
        run(Plan(work=tmp_path, models_dir=models_folder, systems=()))


def test_without_a_bundle_the_judge_still_judges(work: Path, models_folder: Path, copies: Path) -> None:
    plan = Plan(
        work=work, models_dir=models_folder, systems=(), folders=(copies,), conditions=("text",), most=4
    )
    found = run(plan)
    assert "clap_sound" not in found.sections[0].rows[0].scores
    assert "fd_judge" in found.sections[0].rows[0].scores
    assert [bar.system for bar in found.bars] == [""]


def test_pictures_of_nothing_that_can_be_seen_are_refused(tmp_path: Path, work: Path) -> None:
    (tmp_path / "judge").symlink_to(work / "judge")
    (tmp_path / "world").mkdir()
    (tmp_path / "world/scene-0000.tar").symlink_to(work / "world/scene-0000.tar")
    with pytest.raises(BadInput, match="condition picture"):
        run(Plan(work=tmp_path, models_dir=tmp_path, systems=(), conditions=("picture",), most=4))
