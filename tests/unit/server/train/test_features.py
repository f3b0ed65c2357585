# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts make of the world: the same as without the cache, made once, and anew when it must be."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelMissing
from footfall.server.models.bundle import open_bundle
from footfall.server.models.clap import ClapEncoder
from footfall.server.models.clip import ClipEncoder
from footfall.server.train import features, mel, parts
from footfall.server.train.shards import read_shards, shard_name, write_frames, write_sounds
from footfall.server.train.starter_layout import VIEWS
from footfall.server.train.synth.shot import SAMPLES
from footfall.server.train.synth.shots import make_shot
from PIL import Image

SHOTS = 5


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (112, 112, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def sound(seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(SAMPLES)).astype(np.float32)


def add_shots(work: Path, index: int, start: int, count: int) -> None:
    shots = [make_shot("train", number) for number in range(start, start + count)]
    world = work / "world"
    write_sounds(world / shard_name("train", index), [(shot, sound(shot.number)) for shot in shots])
    # The second shot of each shard cannot be seen.
    seen = [(shot.key, [jpeg(10 * shot.number + n) for n in range(2)]) for shot in shots[:1] + shots[2:]]
    write_frames(world / shard_name("train", index, frames=True), seen)


@pytest.fixture
def work(tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(features, "PIECE", 2)
    for part in ("vae", "clap", "clip"):
        shutil.copytree(models_folder / "tiny" / part, tmp_path / part / "part")
    add_shots(tmp_path, 0, 0, SHOTS)
    return tmp_path


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many pieces were computed since it was asked last."""
    made: list[str] = []
    plain = features._Makers.__call__

    def count(self, samples, kinds):  # type: ignore[no-untyped-def]
        for kind, tensors in plain(self, samples, kinds):
            made.append(kind)
            yield kind, tensors

    monkeypatch.setattr(features._Makers, "__call__", count)

    def ask() -> int:
        found = len(made)
        made.clear()
        return found

    return ask


def test_they_are_what_the_parts_say(work: Path, models_folder: Path) -> None:
    assert features.make(work, workers=2)
    found = features.load(work, "train")
    bundle = replace(open_bundle(models_folder / "tiny"), views=VIEWS)
    cpu = torch.device("cpu")
    clap, clip = (kind.load(bundle, cpu, torch.float32) for kind in (ClapEncoder, ClipEncoder))
    vae = features.load_vae(bundle, cpu)
    for number, sample in enumerate(read_shards(work / "world", "train")):
        wave = torch.from_numpy(mel.prepare(sample.sound_48k))[None]
        exact = features.latents_of(vae, mel.log_mel(wave))[0]
        assert found.latents[number].shape == (8, 64, 16)
        assert float((found.latents[number] - exact).std() / exact.std()) < 0.03  # bfloat16 at worst
        torch.testing.assert_close(found.sounds[number], clap.encode_audio(wave)[0], atol=1e-4, rtol=0)
        said = [found.words[place] for place in found.captions[number]]
        assert tuple(said) == sample.shot.captions
        rows = found.texts[list(found.captions[number])]
        torch.testing.assert_close(rows, clap.encode_text(said), atol=1e-4, rtol=0)
        start, stop = found.start[number : number + 2].tolist()
        assert stop - start == len(sample.frames) == (0 if number == 1 else 2)
        if stop > start:
            shown = clip.encode_images(sample.frames)
            torch.testing.assert_close(found.pictures[start:stop], shown, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found.empty, clap.encode_text([""])[0])
    assert found.families[0] == make_shot("train", 0).family


def test_nothing_is_made_twice(work: Path, counted: Callable[[], int]) -> None:
    assert features.make(work)
    assert counted() == 9  # three pieces of each kind
    assert features.make(work)
    assert counted() == 0


def test_a_part_trained_anew_costs_its_own_kind(work: Path, counted: Callable[[], int]) -> None:
    features.make(work)
    counted()
    before = parts.fingerprint(work, "clip")
    with (work / "clip" / "part" / "open_clip_config.json").open("a", encoding="utf-8") as stream:
        stream.write("\n")
    assert parts.fingerprint(work, "clip") != before
    features.make(work)
    assert counted() == 3


def test_a_world_that_grew_is_seen(work: Path) -> None:
    features.make(work, kinds=("clap",))
    add_shots(work, 1, SHOTS, 3)
    features.make(work, kinds=("clap",))
    assert len(features.load(work, "train", ("clap",))) == SHOTS + 3


def test_a_run_that_was_stopped_goes_on(work: Path, counted: Callable[[], int]) -> None:
    calls = iter([False, True])
    assert not features.make(work, kinds=("clap",), workers=1, stop=lambda: next(calls))
    first = counted()
    assert 0 < first < 3
    with pytest.raises(ModelMissing):
        features.load(work, "train", ("clap",))
    assert features.make(work, kinds=("clap",), workers=1)
    assert first + counted() == 3
    assert not list((work / features.FOLDER / ".pieces").iterdir())


def test_what_is_missing_is_said(work: Path) -> None:
    with pytest.raises(BadInput, match="no shots of scene"):
        features.make(work, ("scene",), ("clap",))
    shutil.rmtree(work / "clap")
    with pytest.raises(ModelMissing, match="footfall train clap"):
        features.make(work)
