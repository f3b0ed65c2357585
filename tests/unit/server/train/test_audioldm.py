# SPDX-License-Identifier: GPL-3.0-or-later
"""The UNet's training: what it is shown, what it pays for, and that it learns a world of three sounds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from footfall.server.models.audioldm import load_audioldm
from footfall.server.sampling import solvers
from footfall.server.sampling.schedules import SOLVERS, make_scheduler
from footfall.server.train import audioldm, conditioning, loop, parts
from footfall.server.train.audioldm import AudioLDMTask, Recipe
from footfall.server.train.conditioning import Heard
from footfall.server.train.features import Features
from footfall.server.train.listening import Listening, write_average
from footfall.server.train.starter_layout import starter_layout
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import normalize

SHOTS, WORDS = 24, 3
FAMILIES = ("rain", "bell", "impact_wood")
LAYOUT = starter_layout(tiny=True)
RECIPE = Recipe(batch=4, lengths={32: 1.0}, warmup=2, ema=0.8, rate=3e-3)


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def data() -> Features:
    """Three families, each of one level and with a little noise; their rows lie in a narrow cone."""
    kinds = [number % WORDS for number in range(SHOTS)]
    levels = torch.tensor([-1.2, 0.0, 1.2])
    cone, apart = drawn(512, seed=1), 0.3 * drawn(WORDS, 512, seed=2)
    rows = normalize(cone + apart[kinds] + 0.02 * drawn(SHOTS, 512, seed=3), dim=-1)
    return Features(
        split="train",
        keys=tuple(f"train-{number:06d}" for number in range(SHOTS)),
        families=tuple(FAMILIES[kind] for kind in kinds),
        latents=(levels[kinds].view(-1, 1, 1, 1) + 0.2 * drawn(SHOTS, 8, 64, 16, seed=4)).half(),
        sounds=rows,
        texts=normalize(cone + apart, dim=-1),
        words=FAMILIES,
        captions=tuple((kind,) for kind in kinds),
        empty=normalize(cone, dim=0),
        pictures=torch.zeros(0, 512),
        start=torch.zeros(SHOTS + 1, dtype=torch.int64),
    )


def made(data: Features, recipe: Recipe = RECIPE, seed: int = 0) -> AudioLDMTask:
    return AudioLDMTask(data, Heard(data), LAYOUT.unet, LAYOUT.scheduler, recipe, seed)


def test_a_batch_depends_on_seed_and_step_alone(data: Features) -> None:
    task, other = made(data), made(data)
    other.batch(3)
    for name, tensor in task.batch(7).items():
        torch.testing.assert_close(other.batch(7)[name], tensor)
        assert not torch.equal(task.batch(8)[name], tensor)
        assert not torch.equal(made(data, seed=1).batch(7)[name], tensor)


@pytest.mark.parametrize(("columns", "rows"), [(64, 8), (128, 4), (256, 2), (32, 16)])
def test_longer_sounds_come_in_smaller_batches(data: Features, columns: int, rows: int) -> None:
    batch = made(data, Recipe(batch=8, lengths={columns: 1.0})).batch(0)
    assert batch["latents"].shape == (rows, 8, columns, 16)
    assert batch["conditions"].shape == (rows, 512)
    torch.testing.assert_close(batch["conditions"].norm(dim=1), torch.ones(rows))
    assert batch["latents"].isfinite().all()
    # One sound stays one family: its level does not change along the way.
    levels = batch["latents"].mean((1, 3))
    assert float((levels.amax(1) - levels.amin(1)).max()) < 0.5


def test_conditions_are_heard_told_or_none(data: Features) -> None:
    task = made(data)
    rows = torch.cat([task.batch(step)["conditions"] for step in range(60)])
    none = (rows - data.empty).norm(dim=1) < 1e-6
    assert 0.04 < float(none.float().mean()) < 0.18
    given = rows[~none]
    far = torch.cdist(given, torch.cat([data.texts, data.sounds])).amin(1)
    assert float(far.max()) < 2.0 * audioldm.BLUR * math.sqrt(512)


def test_only_steady_sounds_begin_elsewhere(data: Features) -> None:
    assert conditioning.steady(data.families) == set(range(0, SHOTS, WORDS))


def test_kin_are_of_the_family_and_the_nearest_first(data: Features) -> None:
    for shot, others in conditioning.alike(data.sounds, data.families, 4).items():
        assert others[0] == shot
        assert len(set(others)) == 4
        assert {data.families[other] for other in others} == {data.families[shot]}


def test_a_seam_keeps_level_and_deviation() -> None:
    joined = audioldm.cross_faded(3 + drawn(64, 20, 32, seed=5), 3 + drawn(64, 20, 32, seed=6), 4)
    assert joined.shape == (64, 36, 32)
    torch.testing.assert_close(joined.std((0, 2)), torch.ones(36), atol=0.1, rtol=0)
    torch.testing.assert_close(joined.mean((0, 2)), torch.full((36,), 3.0), atol=0.1, rtol=0)


def test_conditions_start_apart(data: Features) -> None:
    linear = torch.nn.Linear(512, 16)
    rows = torch.cat([data.sounds, data.texts])
    audioldm.spread_out(linear, rows, audioldm.BLUR)
    with torch.no_grad():
        out = linear(rows)
    assert float(out.mean(0).abs().max()) < 1e-3
    strongest = out.std(0)[:2]  # three families lie in a plane
    assert ((strongest > 0.8) & (strongest < 1.2)).all()
    assert float(out.std(0).max()) < 1.2


@pytest.fixture(scope="module")
def trained(data: Features, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the UNet was trained, beside an untrained VAE and vocoder."""
    work = tmp_path_factory.mktemp("work")
    torch.manual_seed(0)
    summary = loop.train(made(data), work / audioldm.NAME, steps=150, precision="float32", device="cpu")
    assert summary.done
    from footfall.server.models.random_bundle import builders

    names = {"vae": "diffusion_pytorch_model.safetensors", "vocoder": "model.safetensors"}
    for part, file in names.items():
        folder = parts.part_folder(work, part)
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(getattr(LAYOUT, part)))
        state = builders(LAYOUT)[part]().state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, folder / file)
    return work


def test_it_learns(trained: Path) -> None:
    rows = [json.loads(line) for line in (trained / audioldm.NAME / "log.jsonl").read_text().splitlines()]
    errors = [row["audioldm/error"] for row in rows if "audioldm/error" in row]
    assert sum(errors[-3:]) / 3 < 0.6 * errors[0]


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_finds_the_level_of_a_family(
    trained: Path, data: Features, tmp_path: Path, solver: str
) -> None:
    """The loaded part, by its own schedule: level is what a schedule that ends before noise gets wrong."""
    sources = {"unet": "unet", "scheduler": "unet", "vae": "vae"}
    folders = {part: parts.part_folder(trained, name) for part, name in sources.items()}
    bundle = parts.assemble(trained, folders, tmp_path)
    model = load_audioldm(bundle, torch.device("cpu"), torch.float32)
    scheduler = make_scheduler(model.scheduler_config, solver)
    noise = drawn(WORDS, 8, 32, 16, seed=7)
    with torch.inference_mode():
        found = solvers.sample(
            lambda rows, time, sigma: model.predict(rows, time, data.texts), scheduler, noise, 12,
            lambda done, of: None,
        )  # fmt: skip
    levels = found.mean((1, 2, 3))
    assert levels.tolist() == sorted(levels.tolist())
    torch.testing.assert_close(levels, torch.tensor([-1.2, 0.0, 1.2]), atol=0.5, rtol=0)


def test_one_can_listen_to_a_saved_state(trained: Path, data: Features, tmp_path: Path) -> None:
    assert write_average(trained, tmp_path / "average") == 150
    done, average = (
        load_file(folder / "diffusion_pytorch_model.safetensors")
        for folder in (parts.part_folder(trained, "unet"), tmp_path / "average")
    )
    assert done.keys() == average.keys()
    assert all(torch.equal(done[name], average[name]) for name in done)
    listening = Listening.load(trained)
    assert listening.step == 150
    latents = listening.latents(data.texts, data.empty, columns=32)
    assert latents.shape == (WORDS, 8, 32, 16)
    alone = listening.latents(data.texts[:1], data.empty, columns=32)
    torch.testing.assert_close(alone, latents[:1], atol=1e-3, rtol=1e-3)
    sounds = listening.sounds(latents)
    assert sounds.shape == (WORDS, 32 * 640)
