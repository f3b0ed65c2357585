# SPDX-License-Identifier: GPL-3.0-or-later
"""The study of mappers: each number against a case whose answer is known, and a whole report."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelMissing, ModelRefused
from footfall.cli import study as command
from footfall.server.models.bundle import SpaceId
from footfall.server.models.prior import GenerativePrior
from footfall.server.train import mapped
from footfall.server.train.loop import train
from footfall.server.train.mapper import MapperTask, recipe
from footfall.server.train.pairs import Pairs, Row, pairs_of, write_shard
from footfall.server.train.study import Scope, study, work_mappers
from torch import Tensor
from torch.nn.functional import normalize

CPU = torch.device("cpu")
EYE, EAR = SpaceId(name="eye", sha256="a" * 64), SpaceId(name="ear", sha256="b" * 64)


def rows(count: int, size: int = 12, seed: int = 0) -> Tensor:
    return normalize(torch.randn(count, size, generator=torch.Generator().manual_seed(seed)), dim=-1)


def some_pairs(count: int = 40, frames: int = 4, size: int = 12, split: str = "") -> Pairs:
    generator = torch.Generator().manual_seed(3)
    clean = torch.randn(5, size, generator=generator)[torch.arange(count) % 5]
    seen = clean[:, None] + 0.2 * torch.randn(count, frames, size, generator=generator)
    heard = clean @ torch.randn(size, size, generator=generator)
    words = [Row(file=f"{number}.mp4", split=split) for number in range(count)]
    return pairs_of(seen, normalize(heard, dim=-1), words, EYE, EAR)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny mapper of each kind."""
    folder = tmp_path_factory.mktemp("work")
    for kind, steps in (("regression", 300), ("generative", 30)):
        task = MapperTask(kind, recipe(kind, "starter", tiny=True), some_pairs(split="train"))
        train(task, folder / task.name, steps=steps, device="cpu", precision="float32")
    return folder


def test_one_row_is_sampled_as_the_worker_does() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = GenerativePrior(size=16, layers=1, heads=2, head_size=8, clip_size=12).eval()
    unit = rows(1)
    with torch.no_grad():
        here, there = mapped.sampled(prior, unit, seed=4, steps=5), prior.sample(unit, seed=4, steps=5)
    torch.testing.assert_close(here, there)


def test_guidance_leads_from_no_condition_to_more_of_it() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        prior = GenerativePrior(size=16, layers=1, heads=2, head_size=8, clip_size=12).eval()
    unit, blind = rows(3), torch.zeros(3, 12)

    def sample(condition: Tensor, strength: float) -> Tensor:
        with torch.no_grad():
            return mapped.sampled(prior, condition, seed=1, steps=3, guidance=strength)

    torch.testing.assert_close(sample(unit, 0.0), sample(blind, 1.0))
    torch.testing.assert_close(sample(unit, 1.0 + 1e-7), sample(unit, 1.0), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(sample(unit, 3.0), sample(unit, 1.0), atol=1e-4)


def test_the_frechet_distance_of_known_gaussians() -> None:
    draw = np.random.default_rng(0)
    one = torch.from_numpy(draw.normal(0.0, 1.0, (200_00, 3)))
    other = torch.from_numpy(draw.normal([1.0, 0.0, 2.0], 2.0, (200_00, 3)))
    assert mapped.frechet(one, other) == pytest.approx(1.0 + 4.0 + 3.0 * (2.0 - 1.0) ** 2, rel=0.03)
    assert mapped.frechet(one, one) == pytest.approx(0.0, abs=1e-6)


def test_the_frechet_distance_is_that_of_the_evaluation() -> None:
    from footfall.server.evaluation.metrics import frechet_distance

    one, other = rows(9, 30, 1).double(), rows(7, 30, 2).double()
    assert mapped.frechet(one, other) == pytest.approx(frechet_distance(one.numpy(), other.numpy()))


def test_scores_of_the_truth_and_of_one_answer_for_all() -> None:
    true = rows(50)
    right = mapped.scores(true, true)
    assert right["cosine"] == pytest.approx(1.0)
    assert (right["r1"], right["r10"], right["chance10"]) == (1.0, 1.0, 0.2)
    assert right["spread"] == pytest.approx(1.0)
    same = mapped.scores(true.mean(0, keepdim=True).expand(50, -1), true)
    assert same["spread"] == pytest.approx(0.0, abs=1e-9)
    assert same["fd"] > 0.5
    assert 0.0 <= same["r10"] <= 0.5


def test_ties_count_against_a_mapper() -> None:
    """Rows that cannot be told apart find nothing."""
    same = torch.ones(20, 4)
    assert mapped.rank(same, same).tolist() == [19] * 20


def test_gap_of_two_narrow_cones() -> None:
    """Two tight bundles at a right angle: centres root two apart, 90 degrees."""
    noise = 0.001 * torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    left = normalize(torch.eye(4)[0] + noise, dim=-1)
    right = normalize(torch.eye(4)[1] + noise.flip(0), dim=-1)
    found = mapped.gap(left, right)
    assert found is not None
    assert found["centres"] == pytest.approx(math.sqrt(2.0), abs=0.01)
    assert found["angle"] == pytest.approx(90.0, abs=0.5)
    assert found["pairs"] == pytest.approx(0.0, abs=0.01)
    assert found["cone_seen"] == pytest.approx(1.0, abs=0.01)
    assert mapped.gap(left, rows(30, 5)) is None


def test_aggregations() -> None:
    frames = torch.tensor([[[2.0, 0.0], [0.0, 4.0], [0.0, 4.2]]])
    assert mapped.mean_plain(frames)[0].tolist() == pytest.approx([2 / 3, 8.2 / 3])
    assert mapped.mean_unit(frames)[0].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert mapped.first_frame(frames)[0].tolist() == [2.0, 0.0]
    assert mapped.middle_frame(frames)[0].tolist() == [0.0, 4.0]
    assert mapped.typical_frame(frames)[0].tolist()[0] == 0.0
    eight = torch.arange(8.0)[None, :, None]
    assert mapped.evenly(eight, 2).flatten().tolist() == [2.0, 6.0]
    assert mapped.evenly(eight, 8).flatten().tolist() == list(range(8))


def test_principal_directions() -> None:
    along = torch.linspace(-1, 1, 50)[:, None] * torch.tensor([[3.0, 4.0, 0.0]])
    axes = mapped.principal(along)
    assert abs(float(axes[1][0] @ torch.tensor([0.6, 0.8, 0.0]))) == pytest.approx(1.0, abs=1e-4)
    assert mapped.flat(rows(1), mapped.principal(rows(1))).shape == (1, 2)


def test_a_whole_study(tmp_path: Path, work: Path) -> None:
    pairs = some_pairs(30)
    told: list[float] = []
    scope = Scope(most=20, steps=(1, 4), guidance=(0.0, 1.0))
    report = study(
        pairs, work_mappers(work, pairs, CPU), tmp_path / "out", scope, lambda what, done: told.append(done)
    )
    assert json.loads((tmp_path / "out" / "study.json").read_text()) == report
    assert [row["mapper"] for row in report["parameters"]] == ["generative", "regression"]
    assert report["pairs"] == 20
    table = {row["mapper"]: row for row in report["mappers"]}
    assert table["true sounds"]["cosine"] == pytest.approx(1.0)
    assert table["regression"]["cosine"] > table["shuffled"]["cosine"]
    assert table["their mean"]["spread"] == pytest.approx(0.0, abs=1e-9)
    before, *after = report["gap"]
    assert after[1]["pairs"] > before["pairs"]  # the regression's; the other had few steps
    assert {row["count"] for row in report["frame_count"]} == {1, 2, 4}
    assert [row["steps"] for row in report["steps"]] == [1, 4]
    best = [row for row in report["aggregation"] if row["frames"].startswith("best")]
    plain = [row for row in report["aggregation"] if row["frames"].startswith("mean, as")]
    assert best[1]["cosine"] >= plain[1]["cosine"]  # the regression's: it was told
    for name in ("study-gap.png", "study-curves.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "study.md").read_text()
    assert page.count("\n## ") == 7
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_study_is_the_same_every_time(tmp_path: Path, work: Path) -> None:
    pairs = some_pairs(12)
    scope = Scope(steps=(2,), guidance=(1.0,))
    one, other = (
        study(pairs, work_mappers(work, pairs, CPU), tmp_path / str(number), scope) for number in range(2)
    )
    for report in (one, other):
        for row in (*report["mappers"], *report["steps"]):
            row.pop("seconds", None)
    assert one == other


def test_what_cannot_be_studied(tmp_path: Path, work: Path) -> None:
    pairs = some_pairs(12)
    with pytest.raises(BadInput, match="no trained mapper"):
        work_mappers(tmp_path, pairs, CPU)
    with pytest.raises(BadInput, match="at least two"):
        study(pairs.some(1), work_mappers(work, pairs, CPU), tmp_path)
    with pytest.raises(ModelRefused, match="other spaces"):
        mapped.open_mapper(work / "mapper-regression" / "part", EAR, EYE, CPU)
    with pytest.raises(ModelMissing, match="no mapper"):
        mapped.open_mapper(tmp_path, EYE, EAR, CPU)
    (tmp_path / "config.json").write_text(json.dumps({"clip": 1}))
    with pytest.raises(ModelRefused, match="damaged"):
        mapped.open_mapper(tmp_path, EYE, EAR, CPU)


def test_the_command(tmp_path: Path, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    pairs = some_pairs(10, split="test")
    write_shard(data / "pairs-00000.safetensors", pairs.clip[0], pairs.clap[0], pairs.rows)
    said = {"clip": {"name": "eye", "sha256": EYE.sha256}, "clap": {"name": "ear", "sha256": EAR.sha256}}
    (data / "embed.json").write_text(json.dumps(said))
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    words = [
        "study",
        "--work",
        str(work),
        "--data",
        str(data),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    assert command.run(parser.parse_args([*words, "--pairs", "6", "--json"])) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["pairs"], report["frames"]) == (True, 6, 4)
    with pytest.raises(BadInput, match="at least two"):
        command.run(parser.parse_args([*words, "--pairs", "1"]))
