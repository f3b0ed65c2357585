# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter is put together from finished parts, and its card says what logs and report say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from footfall.addon.wire.errors import BadInput, ModelError, ModelMissing
from footfall.server.models.bundle import open_bundle
from footfall.server.models.bundle_parts import CONFIGS
from footfall.server.models.random_bundle import write_random_bundle
from footfall.server.train import card, starter
from footfall.server.train.parts import part_folder
from PIL import Image


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's folder with all parts (random numbers, tiny) and one log."""
    folder = tmp_path_factory.mktemp("trained")
    write_random_bundle("audioldm-s-full-v2", folder / "random", tiny=True)
    work = folder / "work"
    for part in CONFIGS:
        if part != "text_encoder":
            shutil.copytree(folder / "random" / part, part_folder(work, part), dirs_exist_ok=True)
    for path in work.rglob("*.safetensors"):
        path.chmod(0o600)  # as trainings of before wrote them
    rows = [{"step": 10, "seconds": 60.0, "vae/loss": 0.5}, {"step": 20, "seconds": 120.0, "vae/loss": 0.25}]
    cut_short = '{"step": 30, "sec'
    (work / "vae" / "log.jsonl").write_text("\n".join([*map(json.dumps, rows), cut_short]))
    return work


def test_the_parts_become_a_bundle(trained: Path, tmp_path: Path) -> None:
    bundle = starter.assemble(trained, tmp_path / "starter")
    assert (bundle.name, bundle.commercial, bundle.random) == ("starter", True, False)
    assert set(bundle.sampling) == {"draft", "good", "best"}
    assert (bundle.root / "scheduler/scheduler_config.json").is_file()
    assert not (bundle.root / "unet/scheduler_config.json").exists()
    assert not list((bundle.root / "scheduler").glob("*.safetensors"))
    assert bundle.mappers == ("bridge",)
    bundle.check(*bundle.files)
    for part in ("clip", "clap"):  # mappers name these files by their hash
        source = next(part_folder(trained, part).glob("*.safetensors"))
        assert bundle.weights(part).read_bytes() == source.read_bytes()
    listed = (bundle.root / "bundle.toml").stat().st_mode
    assert {(bundle.root / path).stat().st_mode for path in bundle.files} == {listed}  # for others too


def test_it_replaces_the_one_before(trained: Path, tmp_path: Path) -> None:
    target = tmp_path / "starter"
    target.mkdir()
    (target / "old").write_text("old")
    assert "old" not in starter.assemble(trained, target).files
    assert [path.name for path in tmp_path.iterdir()] == ["starter"]


def test_a_part_that_is_missing_leaves_the_one_before(trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    target = tmp_path / "starter"
    starter.assemble(work, target)
    shutil.rmtree(work / "vae" / "part")
    with pytest.raises(ModelMissing, match="footfall train vae"):
        starter.assemble(work, target)
    assert open_bundle(target).has("vae")


def test_too_large_a_bundle_is_refused(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "MOST_BYTES", 1000)
    with pytest.raises(ModelError, match="at most 1,000 may ship"):
        starter.assemble(trained, tmp_path / "starter")
    assert not any(tmp_path.iterdir())


def test_the_card(trained: Path, tmp_path: Path) -> None:
    bundle = starter.assemble(trained, tmp_path / "starter")
    report = tmp_path / "report"
    report.mkdir()
    (report / "report.md").write_text("# Evaluation\n\nA figure of 0.123.\n\n## Bars\n")
    Image.new("RGB", (4000, 1000), "red").save(report / "spectrograms-text-1.png")
    other = tmp_path / "report-audiotoken"
    other.mkdir()
    (other / "report.md").write_text("# Pictures of sounds\n\n200 shots.\n\n## Bars\n")
    sealed = card.write_card(trained, bundle.root, [report, other])
    words = (bundle.root / "README.md").read_text()
    assert "## Measured\n\nA figure of 0.123.\n\n### Bars" in words
    assert "## Pictures of sounds\n\n200 shots.\n\n### Bars" in words
    assert "| `footfall train vae` | 20 | 2 | loss 0.25 |" in words  # the last whole row
    assert "sounds-from-words.png" in words
    assert "sounds-from-pictures.png" not in words
    with Image.open(bundle.root / "sounds-from-words.png") as shown:
        assert shown.size == (1100, 275)
    assert {"README.md", "sounds-from-words.png"} <= set(sealed.files)
    assert sealed.sampling == bundle.sampling
    sealed.check(*sealed.files)


def test_no_card_without_a_report(trained: Path, tmp_path: Path) -> None:
    bundle = starter.assemble(trained, tmp_path / "starter")
    with pytest.raises(BadInput, match="footfall eval"):
        card.write_card(trained, bundle.root, [tmp_path / "nowhere"])
