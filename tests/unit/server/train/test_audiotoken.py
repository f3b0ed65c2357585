# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioToken's training: what it is shown, that nothing but the embedder changes, that it learns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, ModelError, ModelMissing
from footfall.server.models import manifest
from footfall.server.models.audiotoken import PART, PROMPT, load_audiotoken
from footfall.server.models.bundle import SpaceId, open_bundle
from footfall.server.models.clap import ClapEncoder
from footfall.server.models.painter import load_painter
from footfall.server.models.random_bundle import write_random_bundle
from footfall.server.train import audiotoken, clap, loop, painter, parts, picture_vae
from footfall.server.train.audiotoken import AudioTokenTask, Pairs, Recipe, fingerprint
from footfall.server.train.shards import Sample, read_shards
from footfall.server.train.world_pairs import space_of
from safetensors.torch import load_file
from torch import Tensor, nn

from ..models.painter_bundle import write_stable_diffusion
from ..models.tiny_painter import TinyPainter
from .clip_part import write_clip_part
from .towers_world import write_world

if TYPE_CHECKING:
    from footfall.server.models.painter import Painter

CPU = torch.device("cpu")
TINY = SimpleNamespace(tiny=True, seed=0)
KINDS, SHOTS, PLACES, WIDTH = 3, 24, 4, 10
RECIPE = Recipe(batch=8, hidden=16, ema=0.8, warmup=2, rate=1e-2)


class TinyEar:
    """Hears the loudness of a sound in ``PLACES`` pieces, through a fixed layer."""

    kind, width = "clap", WIDTH

    def __init__(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            self._layer = nn.Linear(1, WIDTH).requires_grad_(False)
        self.modules = (self._layer,)
        self.space = SpaceId(name="tiny ear", sha256="e" * 64)

    def places(self, waves: Tensor) -> Tensor:
        pieces = waves[:, : waves.shape[1] // PLACES * PLACES].reshape(len(waves), PLACES, -1)
        return self._layer(pieces.square().mean(-1, keepdim=True))


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Three kinds of sounds and the pictures that go with them, each with a little noise."""
    draw = np.random.default_rng(3)
    heard, shown = draw.normal(0, 1, (KINDS, PLACES, WIDTH)), draw.normal(0, 1, (KINDS, 4, 1, 1))

    def near(rows: np.ndarray, count: int) -> np.ndarray:
        return (rows + 0.05 * draw.standard_normal((count, *rows.shape))).astype(np.float16)

    kinds = [number % KINDS for number in range(SHOTS)]
    return Pairs(
        places=tuple(near(heard[kind], 2) for kind in kinds),
        latents=tuple(near(shown[kind] + np.zeros((4, 2, 2)), 4) for kind in kinds),
        labels=tuple(("rain", "bell tower", "impact wood")[kind] for kind in kinds),
    )


def made(pairs: Pairs, seed: int = 0, label: float = 0.0) -> AudioTokenTask:
    return AudioTokenTask(pairs, TinyEar(), cast("Painter", TinyPainter()), RECIPE, seed=seed, label=label)


def test_a_batch_depends_on_seed_and_step_alone(pairs: Pairs) -> None:
    task, other = made(pairs), made(pairs)
    other.batch(3)
    for name, tensor in task.batch(7).items():
        assert torch.equal(other.batch(7)[name], tensor)
        assert not torch.equal(task.batch(8)[name], tensor)
        assert not torch.equal(made(pairs, seed=1).batch(7)[name], tensor)


def test_sound_picture_and_label_are_of_one_shot(pairs: Pairs) -> None:
    batch = made(pairs).batch(0)
    assert batch["places"].shape == (RECIPE.batch, PLACES, WIDTH)
    assert batch["latents"].shape == (RECIPE.batch, 4, 2, 2)
    means = torch.stack([torch.from_numpy(rows.astype(np.float32)).mean(0) for rows in pairs.latents[:KINDS]])
    kinds = (batch["latents"][:, None] - means).square().mean((2, 3, 4)).argmin(1)
    sounds = torch.stack([torch.from_numpy(rows.astype(np.float32)).mean(0) for rows in pairs.places[:KINDS]])
    assert torch.equal((batch["places"][:, None] - sounds).square().mean((2, 3)).argmin(1), kinds)
    words = torch.stack([TinyPainter().word(text) for text in pairs.labels[:KINDS]])
    torch.testing.assert_close(batch["labels"], words[kinds])


def test_tokens_begin_among_the_words(pairs: Pairs) -> None:
    task = made(pairs)
    words = torch.stack([TinyPainter().word(text) for text in pairs.labels[:KINDS]])
    with torch.no_grad():
        tokens = torch.cat([task.embedder(task.batch(step)["places"]) for step in range(8)])
    assert float((tokens.mean(0) - words.mean(0)).abs().mean()) < float(words.std(0).mean())
    assert 0.02 < float(tokens.std(0).mean() / words.std(0).mean()) < 3.0


def test_it_learns_and_nothing_else_changes(pairs: Pairs, tmp_path: Path) -> None:
    task = made(pairs)
    before = task.frozen()
    first = error_of(task)
    summary = loop.train(task, tmp_path / "run", steps=120, device="cpu", precision="float32")
    assert summary.done
    assert task.frozen() == before
    assert error_of(task) < 0.4 * first
    config = json.loads((tmp_path / "run" / "part" / "config.json").read_text("utf-8"))
    assert config["trained"]["frozen"] == before
    assert set(before) == {"unet", "vae", "text_encoder", "ear"}
    assert config["paints"]["sha256"] == TinyPainter().backbone.sha256
    state = load_file(tmp_path / "run" / "part" / "model.safetensors")
    assert {tuple(value.shape) for value in state.values()} >= {(16, WIDTH), (12, 16)}
    assert config["trained"]["parameters"] == sum(value.numel() for value in state.values())


def error_of(task: AudioTokenTask) -> float:
    with torch.no_grad():
        found = [task._loss(task.batch(step), torch.Generator().manual_seed(1)) for step in range(900, 910)]
    return float(np.mean([float(said["error"]) for _, said in found]))


def test_a_stopped_training_goes_on_to_the_bit(pairs: Pairs, tmp_path: Path) -> None:
    whole, halves = made(pairs), made(pairs)
    loop.train(whole, tmp_path / "whole", steps=6, device="cpu", precision="float32")
    loop.train(halves, tmp_path / "halves", steps=3, device="cpu", precision="float32")
    again = made(pairs)
    loop.train(again, tmp_path / "halves", steps=6, device="cpu", precision="float32")
    one, other = (load_file(tmp_path / name / "part" / "model.safetensors") for name in ("whole", "halves"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_last_steps_are_small(pairs: Pairs) -> None:
    (player,) = made(pairs).players
    first, every = RECIPE.fade
    assert player.rate_at(0) == RECIPE.rate / 2  # two steps of warming up
    assert player.rate_at(1) == player.rate_at(first) == RECIPE.rate
    assert player.rate_at(first + every) == RECIPE.rate / 2
    assert player.rate_at(audiotoken.DEFAULT_STEPS - 1) < RECIPE.rate / 30


def test_a_painter_that_changed_is_an_error(pairs: Pairs, tmp_path: Path) -> None:
    task = made(pairs)
    with torch.no_grad():
        task._painter.modules["unet"].bias.add_(1e-3)
    with pytest.raises(ModelError, match="must leave alone"):
        task.write_part(tmp_path)


def test_the_label_loss_draws_tokens_to_the_words(pairs: Pairs, tmp_path: Path) -> None:
    cosines = {}
    for weight in (0.0, 1.0):
        task = made(pairs, label=weight)
        summary = loop.train(task, tmp_path / f"{weight}", steps=40, device="cpu", precision="float32")
        cosines[weight] = float(summary.losses["embedder/label"] or 0.0)
    assert cosines[1.0] > cosines[0.0] + 0.05


def test_the_world_is_heard_and_seen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_world(tmp_path / "world", 12, 2)
    ear, painter = TinyEar(), cast("Painter", TinyPainter())
    pairs = audiotoken.load_pairs(tmp_path, ear, painter)
    shown = [one for one in read_shards(tmp_path / "world", "train") if one.jpegs]
    assert len(pairs) == len(shown)
    assert [label.replace(" ", "_") for label in pairs.labels] == [one.shot.family for one in shown]
    assert pairs.places[0].shape == (2, PLACES, WIDTH)
    assert pairs.latents[0].shape == (2, 4, 2, 2)

    def never(*_: object) -> np.ndarray:
        raise AssertionError("it was heard before")

    monkeypatch.setattr(audiotoken, "hearings", never)
    monkeypatch.setattr(audiotoken, "seen", never)
    assert len(audiotoken.load_pairs(tmp_path, ear, painter)) == len(pairs)


def test_a_quiet_part_is_no_second_hearing(tmp_path: Path) -> None:
    write_world(tmp_path / "world", 1, 1)
    sample = next(iter(read_shards(tmp_path / "world", "train")))

    class Quiet(Sample):
        @property
        def sound_48k(self) -> np.ndarray:
            return np.concatenate([super().sound_48k[:1_000], np.zeros(121_880, np.float32)])

    quiet = Quiet(sample.shot, sample._flac, sample._pictures)
    rows = audiotoken.hearings(TinyEar(), quiet)
    assert np.isfinite(rows).all()
    assert np.array_equal(rows[0], rows[1])


def test_the_whole_chain_ends_in_an_embedder_that_the_worker_loads(tmp_path: Path) -> None:
    """From a world to tokens, as the commands do it: the smallest of everything, two steps each."""
    write_world(tmp_path / "world", 6, 2)
    write_clip_part(tmp_path / "clip" / "part")
    with pytest.raises(ModelMissing, match="footfall train clap"):
        audiotoken.task(tmp_path, TINY)
    for module in (clap, picture_vae, painter, audiotoken):
        loop.train(module.task(tmp_path, TINY), tmp_path / module.NAME, steps=2, device="cpu")
    left = [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not left
    bundle = parts.assemble(tmp_path, (*audiotoken.PARTS, PART), tmp_path / "bundle")
    painted, ear = load_painter(bundle, CPU, torch.float32), ClapEncoder.load(bundle, CPU, torch.float32)
    ear.space = space_of(tmp_path, "clap")
    token = load_audiotoken(bundle, painted, ear)
    found = token.tokens(np.random.default_rng(0).uniform(-0.1, 0.1, (2, 30_000)).astype(np.float32), 44_100)
    assert found.shape == (2, painted.width)
    assert painted.paint(painted.read([PROMPT] * 2, found), seed=1, steps=2).shape == (2, 1, 32, 32, 3)


def test_another_bundles_painter_can_be_learnt_for(tmp_path: Path) -> None:
    """Stable Diffusion's layout, where noise is predicted; frames go through that model's own VAE."""
    write_world(tmp_path / "world", 6, 2)
    root = tmp_path / "model"
    write_random_bundle("audioldm-s-full-v2", root, tiny=True)
    write_stable_diffusion(root)
    manifest.add_folder(root, "pictures")
    settings = SimpleNamespace(tiny=True, seed=0, model=str(root))
    task = audiotoken.task(tmp_path, settings)
    before = task.frozen()
    loop.train(task, tmp_path / "audiotoken", steps=2, device="cpu")
    config = json.loads((tmp_path / "audiotoken" / "part" / "config.json").read_text("utf-8"))
    assert config["hears"]["sha256"] == open_bundle(root).clap_space.sha256
    assert config["paints"]["sha256"] == open_bundle(root).weights_sha256("pictures/text_encoder")
    assert config["trained"]["frozen"] == before
    gradients = [parameter.grad for parameter in task.embedder.parameters()]
    assert all(gradient is not None and bool(gradient.abs().sum() > 0) for gradient in gradients)
    shutil.copytree(tmp_path / "audiotoken" / "part", root / PART)
    manifest.add_folder(root, PART)
    bundle = open_bundle(root)
    hears = ClapEncoder.load(bundle, CPU, torch.float32)
    assert load_audiotoken(bundle, load_painter(bundle, CPU, torch.float32), hears).width == 24


def test_nothing_to_learn_from_is_said() -> None:
    with pytest.raises(BadInput, match="footfall train world"):
        made(Pairs(places=(), latents=(), labels=()))


def test_a_fingerprint_sees_one_bit() -> None:
    layer = nn.Linear(3, 3)
    before = fingerprint([layer])
    assert fingerprint([layer]) == before
    with torch.no_grad():
        layer.weight[0, 0] += 1e-4
    assert fingerprint([layer]) != before
