# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall models``: what it prints, what it returns, and that ``--json`` prints one object and nothing
else.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from footfall.addon.wire.errors import BadInput, ModelMissing, ModelRefused
from footfall.cli import models
from footfall.server.models import registry
from footfall.server.models.bundle import open_bundle

Copy = Callable[[str], Path]


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    models.add_parser(parser.add_subparsers(dest="command", required=True))
    return models.run(parser.parse_args(["models", *words]))


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert run(*words, "--json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    plain = json.loads(out)
    assert plain["ok"] is True
    return plain


def test_list_names_what_is_here_and_what_can_be_pulled(
    copy_bundle: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_bundle("mine")
    folder = str(tmp_path / "models")
    assert run("list", "--models", folder) == 0
    out = capsys.readouterr().out
    assert "mine" in out
    assert "not for commercial use" in out
    plain = run_json(capsys, "list", "--models", folder)
    rows = {row["name"]: row for row in plain["models"]}
    assert rows["mine"]["installed"]
    assert {row.name for row in registry.rows()} < set(rows)


def test_the_folder_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOOTFALL_MODELS", str(tmp_path / "elsewhere"))
    assert run_json(capsys, "list")["folder"] == str(tmp_path / "elsewhere")


def test_show_tells_licence_spaces_and_hashes(tiny_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", str(tiny_root)) == 0
    out = capsys.readouterr().out
    assert "random numbers" in out
    plain = run_json(capsys, "show", str(tiny_root))
    assert plain["sha256"] == open_bundle(tiny_root).sha256
    assert plain["files"]["unet/config.json"]["sha256"] in out


@pytest.mark.parametrize("row", registry.rows(), ids=lambda row: row.name)
def test_show_tells_about_a_public_model_before_it_is_pulled(
    row: registry.Row, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", row.name, "--models", str(tmp_path)) == 0
    out = capsys.readouterr().out
    assert ("not for commercial use" in out) == (not row.commercial)
    assert ("unpinned" in out) == (not row.pinned)
    plain = run_json(capsys, "show", row.name, "--models", str(tmp_path))
    assert plain["installed"] is False
    files = {file.to: source.revision for source in row.sources for file in source.files}
    assert {path: said["revision"] for path, said in plain["files"].items()} == files


def test_verify_hashes_everything_anew(
    copy_bundle: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from .conftest import flip_byte

    root = copy_bundle("mine")
    open_bundle(root).verify()
    assert run_json(capsys, "verify", "--models", str(tmp_path / "models"))["verified"] == ["starter", "mine"]
    assert run("verify", "mine", "--models", str(tmp_path / "models")) == 0
    flip_byte(root / "clap" / "model.safetensors")
    with pytest.raises(ModelRefused, match="damaged or was changed"):
        run("verify", "mine", "--models", str(tmp_path / "models"))


def test_random_makes_a_bundle_that_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = run_json(capsys, "random", "audioldm-m-full", str(tmp_path / "x"), "--tiny", "--seed", "3")
    assert plain["random"] is True
    assert open_bundle(tmp_path / "x").sha256 == plain["sha256"]
    with pytest.raises(BadInput):
        run("random", "nothing", str(tmp_path / "y"), "--tiny")


def test_a_prior_is_made_and_added_to_a_model_with_its_clip(
    copy_bundle: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior = tmp_path / "prior"
    plain = run_json(capsys, "random", "kandinsky-2-1-prior", str(prior), "--tiny")
    assert (plain["makes"], plain["queries"]) == ([], [])
    with pytest.raises(ModelRefused, match="another CLIP"):
        run("add", str(prior), str(copy_bundle("mine")))
    other = tmp_path / "other"
    shutil.copytree(prior, other)
    added = run_json(capsys, "add", str(prior), str(other))
    assert added["sha256"] == open_bundle(other).sha256
    assert run("add", str(prior), str(other)) == 0
    assert "has the prior of" in capsys.readouterr().out


def test_pull_offline_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="may not use the internet"):
        run("pull", "audioldm-m-full", "--offline", "--models", str(tmp_path))
    with pytest.raises(ModelMissing, match="no public model"):
        run("pull", "nothing", "--models", str(tmp_path))


@pytest.mark.parametrize("answer", ["", "n\n", "\n", "maybe\n"])
def test_pull_without_consent_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(ModelRefused, match="was not accepted"):
        run("pull", "audioldm-m-full", "--models", str(tmp_path))
    assert "CC BY-NC-SA" in capsys.readouterr().err


def test_pull_asks_nobody_when_nobody_can_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(ModelRefused, match="--accept-licence"):
        run("pull", "audioldm-m-full", "--models", str(tmp_path))


def test_pull_of_an_unpinned_model_explains_itself(tmp_path: Path) -> None:
    row = next(row for row in registry.rows() if not row.pinned)
    with pytest.raises(ModelRefused, match="--pin-on-first-use"):
        run("pull", row.name, "--accept-licence", "--models", str(tmp_path))


def test_pull_of_what_is_here_needs_nothing(
    copy_bundle: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_bundle("audioldm-m-full")
    plain = run_json(capsys, "pull", "audioldm-m-full", "--offline", "--models", str(tmp_path / "models"))
    assert plain["installed"] is True
