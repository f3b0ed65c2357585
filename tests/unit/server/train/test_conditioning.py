# SPDX-License-Identifier: GPL-3.0-or-later
"""What the UNet is told while it learns, and that no text reaches it where it learns from frames alone."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import ModelMissing, ModelRefused
from footfall.addon.wire.messages import FoleyRequest
from footfall.cli.__main__ import main
from footfall.server.making.pipeline import FoleyPipeline
from footfall.server.models.bundle import open_bundle
from footfall.server.train import audioldm, clipsonic, conditioning, features
from footfall.server.train.audioldm import AudioLDMTask
from footfall.server.train.shards import shard_name, write_frames, write_sounds
from footfall.server.train.starter_layout import starter_layout
from footfall.server.train.synth.shot import SAMPLES, Shot
from footfall.server.train.synth.shots import make_shot
from footfall.server.worker.outcome import check_rendering
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from ..conftest import Recorder, settings_for, shot

SHOTS = 6
LAYOUT = starter_layout(tiny=True)


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.kron(pixels, np.ones((7, 7, 1), np.uint8))).save(buffer, "JPEG")
    return buffer.getvalue()


def write_world(work: Path, shots: Sequence[Shot]) -> None:
    """Sounds and pictures by the shots' numbers, words as the shots say; the second cannot be seen."""
    sounds = [
        (one, 0.1 * np.random.default_rng(one.number).standard_normal(SAMPLES).astype(np.float32))
        for one in shots
    ]
    write_sounds(work / "world" / shard_name("train", 0), sounds)
    seen = [(one.key, [jpeg(10 * one.number + n) for n in range(3)]) for one in shots if one.number != 1]
    write_frames(work / "world" / shard_name("train", 0, frames=True), seen)


def make_work(folder: Path, models_folder: Path, *, words: str = "") -> Path:
    """A training's folder with random parts. ``words``: said of every shot instead of the truth."""
    for part in ("vae", "vocoder", "clap", "clip"):
        shutil.copytree(models_folder / "tiny" / part, folder / part / "part")
    shots = [make_shot("train", number) for number in range(SHOTS)]
    if words:
        shots = [replace(one, captions=(words,), family="bell") for one in shots]
    write_world(folder, shots)
    return folder


@pytest.fixture(scope="module")
def work(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("told"), models_folder)


@pytest.fixture(scope="module")
def mistold(models_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sounds and pictures, and other words and labels for all of them."""
    return make_work(tmp_path_factory.mktemp("mistold"), models_folder, words="a brass bell is struck")


def task(work: Path, condition: str) -> AudioLDMTask:
    data, source = conditioning.load_source(work, condition)
    return AudioLDMTask(data, source, LAYOUT.unet, LAYOUT.scheduler, audioldm.TINY, 0)


def everything(made: AudioLDMTask) -> list[torch.Tensor]:
    """The network as it begins, and what it is shown and told in many steps."""
    batches = [made.batch(step) for step in range(12)]
    return [*made.unet.state_dict().values(), *(rows for batch in batches for rows in batch.values())]


def test_no_text_reaches_what_learns_from_frames(work: Path, mistold: Path) -> None:
    """Other words and other labels for every shot change not a bit of it."""
    for one, other in zip(everything(task(work, "clip")), everything(task(mistold, "clip")), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("condition", ["clap", "clip_text"])
def test_the_others_would_notice(work: Path, mistold: Path, condition: str) -> None:
    """What makes the test above worth anything."""
    one, other = everything(task(work, condition)), everything(task(mistold, condition))
    assert not all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


def test_nothing_that_it_reads_holds_words(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither CLIP's nor CLAP's text tower is asked, and no caption stands in the files that are opened."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("words were read")

    for kind in (features.ClipEncoder, features.ClapEncoder):
        monkeypatch.setattr(kind, "encode_text", never)
    monkeypatch.setattr(features, "clip_texts", never)
    shutil.rmtree(work / features.FOLDER, ignore_errors=True)
    made = task(work, "clip")
    everything(made)
    opened = sorted(path.name for path in (work / features.FOLDER).glob("*.safetensors"))
    assert opened == ["train-clip.safetensors", "train-latents.safetensors"]
    for name in opened:
        with safe_open(work / features.FOLDER / name, "pt") as file:
            assert not {"words", "captions"} & set(json.loads(file.metadata()["head"]))


def test_one_frame_of_the_shot_is_told_drawn_anew(work: Path) -> None:
    data, source = conditioning.load_source(work, "clip")
    assert source.shots == [0, 2, 3, 4, 5]  # the second cannot be seen
    frames = normalize(data.pictures[data.start[2] : data.start[3]], dim=-1)
    draw = np.random.default_rng(0)
    found = torch.stack([source.row([2], draw) for _ in range(40)])
    which = torch.cdist(found, frames).argmin(1)
    torch.testing.assert_close(found, frames[which])
    assert set(which.tolist()) == {0, 1, 2}


def test_told_nothing_is_zeros_which_no_frame_is(work: Path) -> None:
    made = task(work, "clip")
    rows = torch.cat([made.batch(step)["conditions"] for step in range(60)])
    lengths = rows.norm(dim=1)
    none = lengths == 0.0
    assert 0.03 < float(none.float().mean()) < 0.2
    torch.testing.assert_close(lengths[~none], torch.ones(int((~none).sum())))


def test_the_twin_is_told_a_caption_of_the_shot(work: Path) -> None:
    data, source = conditioning.load_source(work, "clip_text")
    texts = normalize(features.clip_texts(work, data.words), dim=-1)
    draw = np.random.default_rng(0)
    for number in source.shots:
        row = source.row([number], draw)
        own = texts[list(data.captions[number])]
        assert float(torch.cdist(row[None], own).min()) < 1e-5
    assert source.shots == conditioning.load_source(work, "clip")[1].shots


def test_each_condition_says_what_must_be_trained_before() -> None:
    from argparse import Namespace

    needs = {name: audioldm.needs(Namespace(condition=name)) for name in conditioning.CONDITIONS}
    assert needs["clap"] == audioldm.NEEDS
    assert needs["clip"] == ("world", "vae", "clip")
    assert needs["clip_text"] == ("world", "vae", "clip", "clap")


def train(work: Path, *words: str) -> None:
    line = ["train", *words, "--work", str(work), "--tiny", "--json", "--device", "cpu"]
    assert main([*line, "--precision", "float32"]) == 0


def test_one_command_trains_and_seals_it_and_goes_on_exactly(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two steps and two more are four; the bundle sounds from pictures and from words."""
    other = tmp_path / "other"
    shutil.copytree(work, other)
    for steps in ("2", "4"):
        train(other, "audioldm", "--condition", "clip", "--steps", steps)
    train(work, "audioldm", "--condition", "clip", "--steps", "4")
    weights = "clipsonic/part/diffusion_pytorch_model.safetensors"
    assert (other / weights).read_bytes() == (work / weights).read_bytes()
    capsys.readouterr()
    train(other, "clipsonic", "--steps", "2")
    report = json.loads(capsys.readouterr().out)
    assert set(report["parts"]) == {"prior"}  # all else was there
    folder = Path(report["bundle"])
    assert folder == other / "bundles" / "clipsonic"
    pipeline = FoleyPipeline(settings_for(folder.parent))
    for query in ("picture", "clip_text", "clip_text_prior"):
        request: FoleyRequest = shot(bundle="clipsonic", condition=query, prompt="rain", steps=1)
        made = check_rendering(pipeline.run(request, Recorder()), request)
        assert made.provenance.mapper == "none"
        assert np.isfinite(made.clips[0].waveform).all()
    (info,) = (info for info in pipeline.bundles() if info.name == "clipsonic")
    assert info.queries == ("picture", "clip_text", "clip_text_prior")


def test_other_parts_may_come_from_another_model_if_they_are_the_same(
    work: Path, models_folder: Path, tmp_path: Path
) -> None:
    copy = make_empty(work, tmp_path / "work")
    shutil.copytree(models_folder / "tiny" / "unet", copy / "clipsonic" / "part")
    shutil.copy2(models_folder / "tiny" / "scheduler" / "scheduler_config.json", copy / "clipsonic" / "part")
    base = open_bundle(models_folder / "tiny")
    made = clipsonic.assemble(copy, tmp_path / "bundle", "clip", base)
    assert made.weights_sha256("vocoder") == base.weights_sha256("vocoder")
    assert (made.condition, made.queries) == ("clip", ("picture", "clip_text"))
    weights = copy / "vae" / "part" / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    save_file(state | {"decoder.conv_in.bias": state["decoder.conv_in.bias"] + 1.0}, weights)
    clipsonic.assemble(copy, tmp_path / "bundle", "clip", base)  # latents mean the same
    save_file(state | {"encoder.conv_in.bias": state["encoder.conv_in.bias"] + 1.0}, weights)
    with pytest.raises(ModelRefused, match="another VAE"):
        clipsonic.assemble(copy, tmp_path / "bundle", "clip", base)


def test_what_is_missing_is_named(work: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="footfall train clipsonic"):
        clipsonic.assemble(make_empty(work, tmp_path), tmp_path / "bundle")


def make_empty(work: Path, folder: Path) -> Path:
    for part in ("vae", "vocoder", "clap", "clip"):
        shutil.copytree(work / part, folder / part)
    return folder
