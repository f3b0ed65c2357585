# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall eval``: what its words mean, and a run over another system's sounds from end to end."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest
import soundfile
from footfall.addon.options import Parser
from footfall.addon.wire.errors import BadInput, ModelMissing, SaveError, WrongUsage
from footfall.cli import eval as command
from footfall.server.evaluation.plots import pyplot, save
from footfall.server.models import finding
from footfall.tests.fakes.small_disk import small_disk

from ..server.evaluation.conftest import write_judge, write_world


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser(prog="footfall")
    command.add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(["eval", *words])


def names(*words: str) -> list[str]:
    return [f"{one.condition}: {one.name}" for one in command._systems(parsed(*words))]


def test_alone_it_measures_the_starter_under_both_conditions() -> None:
    assert names() == ["picture: starter, auto, good", "text: starter, good"]


def test_everything_is_tried_with_everything_and_once() -> None:
    found = names(
        *("--model", "a", "--model", "b", "--model", "a"),
        *("--mapper", "generative", "--mapper", "regression", "--condition", "picture"),
        *("--quality", "draft", "--quality", "good"),
    )
    assert len(found) == len(set(found)) == 8
    assert "picture: b, regression, draft" in found


def test_words_need_no_mapper() -> None:
    found = names("--mapper", "generative", "--mapper", "bridge", "--condition", "text", "--steps", "5")
    assert found == ["text: starter, good, 5 steps"]


def test_layers_that_use_the_hits_are_systems_of_their_own() -> None:
    found = names("--condition", "text", "--layers", "bed", "--layers", "bed,spots", "--layers", "in-sync")
    assert found == [
        "text: starter, good",
        "text: starter, good, bed and spots",
        "text: starter, good, in sync",
    ]


def test_each_way_to_ask_is_a_system_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(finding, "find_bundle", lambda name, *rest, **more: KINDS[name])
    words = ("--compare", "clipsonic", "--model", "sees", "--model", "maps", "--labels", "told")
    found = command._asked(parsed(*words, "--mapper", "bridge", "--quality", "draft"), tmp_path)
    assert [one.name for one in found] == [
        *("sees, IQ, draft", "sees, ZS, draft", "sees, PD, draft"),
        *("maps, IQ, bridge, draft", "maps, ZS, bridge, draft", "maps, CLAP's words, draft"),
        "told, labels, draft",
    ]
    assert {one.condition for one in found} == {"query"}


def test_without_a_model_what_was_trained_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(finding, "find_bundle", lambda name, *rest, **more: KINDS.get(name, KINDS["sees"]))
    ours = [one.model for one in command._asked(parsed("--compare", "clipsonic"), tmp_path)]
    assert set(ours) == {"starter"}
    for name in ("clipsonic", "clipsonic-labels"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
    found = command._asked(parsed("--compare", "clipsonic"), tmp_path)
    assert {Path(one.model).name for one in found} == {"starter", "clipsonic", "clipsonic-labels"}
    assert [one.query for one in found if one.model.endswith("labels")] == ["labels"]


class Kind:
    """What of a bundle decides how it is asked."""

    mappers = ("bridge",)

    def __init__(self, condition: str, *queries: str) -> None:
        self.condition, self.queries = condition, queries


KINDS = {
    "sees": Kind("clip", "picture", "clip_text", "clip_text_prior"),
    "maps": Kind("clap", "picture", "clap_text", "clip_text"),
    "told": Kind("clip", "picture", "clip_text", "clip_text_prior"),
}


def test_pictures_are_measured_with_one_model_at_a_time(work: Path) -> None:
    words = ("--compare", "audiotoken", "--model", "a", "--model", "b", "--work", str(work), "--json")
    with pytest.raises(WrongUsage, match="one --model"):
        command.run(parsed(*words))


@pytest.mark.parametrize("compare", ["audiotoken", "round-trip"])
def test_a_painter_is_needed_for_pictures(compare: str, work: Path) -> None:
    with pytest.raises(ModelMissing):
        command.run(parsed("--compare", compare, "--model", "nowhere", "--work", str(work), "--json"))


def test_each_comparison_has_a_folder_of_its_own(tmp_path: Path) -> None:
    places = {command._out(parsed("--compare", name), tmp_path) for name in command.COMPARISONS}
    assert len(places) == len(command.COMPARISONS)
    assert tmp_path / "eval" / "report" in places


def test_sounds_alone_need_no_model() -> None:
    assert names("--sounds", "x") == []
    assert names("--sounds", "x", "--model", "a", "--condition", "text") == ["text: a, good"]
    assert names("--no-model", "--model", "a") == []


@pytest.mark.parametrize(
    "words",
    [
        ("--mapper", "best"),
        ("--condition", "smell"),
        ("--limit", "1"),
        ("--limit", "many"),
        ("--steps", "0"),
        ("--guidance", "nan"),
        ("--seed", "-1"),
        ("--nonsense",),
    ],
    ids=str,
)
def test_wrong_words_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(WrongUsage):
        parsed(*words)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    write_world(folder / "world")
    write_judge(folder / "judge" / "part")
    return folder


@pytest.fixture(scope="module")
def sounds(work: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from footfall.server.train.shards import read_shards

    folder = tmp_path_factory.mktemp("theirs")
    for split in ("scene", "combo"):
        for sample in read_shards(work / "world", split):
            soundfile.write(folder / f"{sample.shot.key}.wav", sample.sound_48k, 48_000)
    return folder


def test_another_systems_sounds_from_end_to_end(
    work: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--sounds", str(sounds), "--condition", "text", "--limit", "4", "--work", str(work), "--json")
    assert command.run(parsed(*words)) == 0
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.count("\n") == 1
    found = json.loads(output.out)
    assert found["ok"] is True
    theirs = found["sections"][0]["systems"][-1]
    assert theirs["name"] == sounds.name
    assert theirs["scores"]["class_kl"]["value"] == pytest.approx(0.0, abs=1e-3)
    out = work / "eval" / "report"
    assert {path.name for path in out.iterdir()} == {Path(path).name for path in found["files"]}
    assert json.loads((out / "report.json").read_text())["bars"] == found["bars"]
    assert (out / "report.md").read_text().startswith("# Evaluation")


def test_a_report_that_cannot_be_written_is_told(work: Path, sounds: Path, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    words = ("--sounds", str(sounds), "--condition", "text", "--limit", "4", "--work", str(work))
    with pytest.raises(SaveError, match="--out"):
        command.run(parsed(*words, "--out", str(place), "--json"))


def test_a_full_disk_leaves_the_report_before(tmp_path: Path) -> None:
    def draw() -> list[Path]:
        figure = pyplot().figure()
        figure.add_subplot().plot([0, 1])
        return [save(figure, tmp_path / "scores.png")]

    command._write(tmp_path, "old", {}, draw)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for most_bytes in (100, 5000):  # of the table, and of a picture
        with small_disk(most_bytes), pytest.raises(SaveError, match=re.escape(f"{tmp_path}; make room")):
            command._write(tmp_path, "new" * 1000, {}, draw)
        assert (tmp_path / "scores.png").read_bytes() == before["scores.png"]
        assert {path.name for path in tmp_path.iterdir()} == before.keys()


def test_what_is_missing_is_told(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="footfall train judge"):
        command.run(parsed("--no-model", "--work", str(tmp_path), "--json"))
    with pytest.raises(ModelMissing):
        command.run(parsed("--model", "nowhere", "--work", str(work), "--json"))
    with pytest.raises(BadInput, match="no folder"):
        command.run(
            parsed(
                "--sounds", "nowhere", "--condition", "text", "--limit", "4", "--work", str(work), "--json"
            )
        )
