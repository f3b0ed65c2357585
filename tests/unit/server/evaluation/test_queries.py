# SPDX-License-Identifier: GPL-3.0-or-later
"""CLIPSonic's comparison: who is asked how, what gap there is and how it closes, and a whole tiny run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from footfall.server.evaluation import plots, queries, references, tables
from footfall.server.evaluation.ears import Hearing
from footfall.server.evaluation.intervals import Estimate
from footfall.server.evaluation.run import Plan, Report, run
from footfall.server.evaluation.scores import Truth
from footfall.server.evaluation.shots import Item, select
from footfall.server.evaluation.systems import System, resolved
from footfall.server.models import manifest
from footfall.server.models.bundle import open_bundle
from footfall.server.models.loaded import Models
from footfall.server.models.random_mapper import write_random_mapper
from footfall.server.train.judge import Verdicts

from .conftest import make_shot

BASE = System(model="tiny", condition="query", steps=1)


@pytest.fixture(scope="module")
def seeing(models: Models, models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The tiny bundle as one whose generator takes rows of CLIP, with a prior."""
    root = tmp_path_factory.mktemp("clip") / "seeing"
    shutil.copytree(models_folder / "tiny", root)
    said, _ = manifest.read(root)
    manifest.write(root, replace(said, condition="clip"))
    write_random_mapper(root, "text_prior", tiny=True)
    return replace(models, bundle=open_bundle(root), _mappers={})


def names(models: Models, labels: bool = False, mappers: tuple[str, ...] = ("auto",)) -> list[str]:
    return [one.name for one in queries.systems_of(models.bundle, BASE, mappers, labels)]


def test_a_generator_that_sees_is_asked_in_three_ways(seeing: Models) -> None:
    assert names(seeing) == [f"tiny, {query}, good, 1 steps" for query in ("IQ", "ZS", "PD")]


def test_one_that_learnt_from_words_is_asked_with_words(seeing: Models) -> None:
    assert names(seeing, labels=True) == ["tiny, labels, good, 1 steps"]


def test_before_a_mapper_the_same_queries_stand_and_words_go_straight_to_clap(models: Models) -> None:
    found = names(models, mappers=("bridge", "auto"))
    assert found == [
        "tiny, IQ, bridge, good, 1 steps",
        "tiny, ZS, bridge, good, 1 steps",
        "tiny, CLAP's words, good, 1 steps",
    ]


@pytest.mark.parametrize("frames", [1, 3, 0], ids=str)
def test_as_many_pictures_are_shown_as_are_wished(work: Path, frames: int) -> None:
    item = _items(work)[0]
    request = replace(BASE, query="IQ", frames=frames).request(item, "tiny")
    assert len(request.frames) == len(request.times_s) == (frames or len(item.frames))
    if frames == 1:
        assert request.times_s[0] == item.times_s[len(item.times_s) // 2]
    assert not len(replace(BASE, query="ZS", frames=frames).request(item, "tiny").frames)


def _items(work: Path) -> tuple[Item, ...]:
    return select(work / "world", 6, lambda words: None, families=("rain", "impact_wood")).evaluated


def test_words_are_the_same_whoever_is_asked(work: Path) -> None:
    item = _items(work)[0]
    told = {replace(BASE, query=query).request(item, "x").prompt for query in ("ZS", "PD", "CLAP's words")}
    assert len(told) == 1
    assert told <= set(item.shot.captions)


COUNT = 24


def hearing(moved: float, right: int) -> Hearing:
    """Sounds whose rows lie ``moved`` off the true ones; the judge names the first ``right`` of them."""
    rows = np.random.default_rng(5).standard_normal((COUNT, 6))
    rows[:, 0] += moved
    said = np.tile([0.9, 0.1], (COUNT, 1))
    said[right:] = [0.1, 0.9]
    clap = np.column_stack([np.ones(COUNT), np.full(COUNT, moved)])
    return Hearing(
        verdicts=Verdicts(said, rows),
        clap=clap / np.linalg.norm(clap, axis=1, keepdims=True),
        described=({},) * COUNT,
        loudness=np.zeros(COUNT),
        silent=np.zeros(COUNT, bool),
        onsets_s=(np.zeros(0),) * COUNT,
    )


def truth() -> Truth:
    items = [
        Item(shot=make_shot("scene", n, "rain"), sound=np.zeros(4), frames=np.zeros(0), times_s=np.zeros(0))
        for n in range(COUNT)
    ]
    return Truth(
        items=items,
        paired=hearing(0.0, COUNT),
        others=hearing(0.0, COUNT),
        labels=np.zeros(COUNT, np.int64),
        real={},
        words=np.tile([1.0, 0.0], (COUNT, 1)),
    )


def asked(zs: float, pd: float) -> list[tuple[System, Hearing]]:
    moved = {"IQ": (0.0, COUNT), "ZS": (zs, 6), "PD": (pd, 15)}
    return [(replace(BASE, query=query), hearing(*how)) for query, how in moved.items()]


def test_half_the_way_back_is_three_quarters_of_a_squared_distance() -> None:
    found = {gap.score: gap for gap in queries.gaps(asked(2.0, 1.0), truth())}
    assert set(found) == {"fd_judge", "fd_clap", "clap_text", "top1"}
    assert found["fd_judge"].closed.value == pytest.approx(0.75)
    assert found["fd_judge"].closed.low < 0.75 < found["fd_judge"].closed.high
    assert found["fd_judge"].verdict == "closed"
    assert found["top1"].closed.value == pytest.approx((15 - 6) / (COUNT - 6))
    assert found["top1"].image == 1.0
    assert found["clap_text"].zero_shot == pytest.approx(1 / np.sqrt(5))
    assert {gap.system for gap in found.values()} == {"tiny, auto, good, 1 steps"}


def test_where_words_do_as_well_there_is_no_gap() -> None:
    found = {gap.score: gap for gap in queries.gaps(asked(0.0, 1.0), truth())}
    assert found["fd_judge"].verdict == "no gap"
    assert found["top1"].verdict == "closed"


def test_without_all_three_nothing_is_said_of_a_gap() -> None:
    assert queries.gaps(asked(2.0, 1.0)[1:], truth()) == ()
    assert queries.gaps(asked(2.0, 1.0)[:2], truth()) == ()


@pytest.mark.parametrize(
    ("low", "closed", "verdict"), [(0.1, 0.6, "closed"), (0.1, 0.4, "not closed"), (-0.1, 0.6, "no gap")]
)
def test_a_verdict_is_what_the_interval_says(low: float, closed: float, verdict: str) -> None:
    one = queries.gaps(asked(2.0, 1.0), truth())[0]
    changed = replace(one, gap=Estimate(1.0, low, 2.0, 5), closed=Estimate(closed, 0.0, 1.0, 5))
    assert changed.verdict == verdict


@pytest.fixture(scope="module")
def report(work: Path, models_folder: Path, models: Models, seeing: Models) -> Report:
    there = {"tiny": models, "seeing": seeing}
    systems = [
        *queries.systems_of(seeing.bundle, replace(BASE, model=str(seeing.bundle.root)), (), False),
        replace(BASE, query="ZS", mapper="bridge"),
        replace(BASE, query="CLAP's words"),
    ]
    plan = Plan(
        work=work, models_dir=models_folder, systems=tuple(systems), conditions=("query",), most=6,
        device="cpu", ears="tiny",
    )  # fmt: skip
    return run(plan, load=lambda bundle, *rest: there[bundle.root.name])


def test_all_are_asked_about_the_same_shots(report: Report) -> None:
    (section,) = report.sections
    assert section.condition == "query"
    assert len(section.keys) == 4
    asked_as = [row.made_of["query"] for row in section.rows if row.kind == "bundle"]
    assert asked_as == ["IQ", "ZS", "PD", "ZS", "CLAP's words"]
    assert [row.name for row in section.rows[:4]] == list(references.REFERENCES)
    assert all(np.isfinite(row.value("seconds")) for row in section.rows[4:])


def test_the_query_itself_is_held_against_the_picture(report: Report) -> None:
    picture, words, prior, mapped = report.sections[0].rows[4:8]
    assert picture.value("asked") == pytest.approx(1.0, abs=1e-4)
    assert words.value("asked") < 0.99
    assert prior.value("asked") < 0.99
    assert "asked" not in mapped.scores


def test_bars_are_about_words_through_the_prior(report: Report) -> None:
    own = [bar for bar in report.bars if bar.system]
    assert {bar.condition for bar in own} == {"query"}
    assert sum(bar.words == "the right family first" and bar.wanted == 0.6 for bar in own) == 1
    said = {gap.score for gap in report.sections[0].gaps if gap.verdict != "no gap"} - {"top1"}
    assert sum("PD closes" in bar.words for bar in own) == len(said)


def test_it_is_told_with_what_others_published(report: Report, tmp_path: Path) -> None:
    text = tables.markdown(report)
    assert "other data" in text
    assert "CLIPSonic, IQ, VGGSound, test: FD 27.124" in text
    again = json.loads(json.dumps(tables.plain(report), allow_nan=False))
    assert len(again["sections"][0]["gaps"]) == len(report.sections[0].gaps)
    assert "scores-query.png" in {path.name for path in plots.draw(report, tmp_path)}


def test_a_generator_that_sees_needs_no_mapper(seeing: Models, models: Models) -> None:
    assert resolved(BASE, seeing).mapper == "none"
    assert resolved(BASE, models).mapper == "bridge"
