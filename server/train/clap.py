# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains CLAP on the sounds of the synthetic world and their captions; writes a part for transformers.

Sounds take the worker's own path (server/models/clap.py): 16 kHz and back, repeated whole, padded to ten
seconds. As a shot is repeated, its log-mel is too, so only one turn of it and the seams are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from ..models import clap
from ..models.tokens import Tokens
from . import contrastive, mel, vocabulary
from .clip import settle
from .contrastive import Heads, Words
from .kept import Kept, Tick, keep
from .seats import Batch, Player, derive
from .starter_layout import starter_layout
from .synth import shot

if TYPE_CHECKING:
    from .settings import Settings
    from .shards import Sample

NAME = "clap"
DEFAULT_STEPS = 1500
NEEDS = ("world",)

BATCH, OTHERS = 64, 16
RATE, WEIGHT_DECAY = 1e-3, 0.05
EMA, WARMUP = 0.995, 100
HEADS_SHARE = 0.3
TEXT_TOKENS = 64  # what is learnt; the worker takes longer texts
HELD_OUT, CHECK_EVERY = 172, 100
SETTLING = 24
_VERSION = "log-mel-1"

TURN = shot.SAMPLES // clap.HOP  # frames of one turn: 256
HEAD, TAIL = 2, 3  # frames whose window reaches over the beginning, and over the end of the last turn
TURNS = clap.SAMPLES // shot.SAMPLES  # as often as a shot fits whole: 3
FRAMES = clap.SAMPLES // clap.HOP + 1  # 1001
SILENCE_DB = -100.0


class ClapTask:
    """loop.Task. ``seen``: sounds to learn from; ``held_out``: others, to watch how it goes, or None."""

    name = NAME

    def __init__(
        self,
        config: Mapping[str, Any],
        tokenizer: Path,
        seen: Kept,
        held_out: Kept | None,
        *,
        batch: int,
        seed: int,
    ) -> None:
        """``config``: the part's own; ``tokenizer``: folder with its tokenizer files."""
        self._part, self._tokenizer, self._seen = config, tokenizer, seen
        self._batch, self._seed = min(batch, len(seen)), seed
        vocabulary_size = int(config["text_config"]["vocab_size"])
        tokens = Tokens(tokenizer / "tokenizer.json", limit=TEXT_TOKENS, vocabulary=vocabulary_size)
        self._words = Words(seen.shots, tokens)
        self._codes = contrastive.codes_of(seen.shots)
        self._numbers = contrastive.numbers_of(seen.shots)
        self.module = ClapWithHeads(config, seed)
        self._exam = None if held_out is None else self._prepared(held_out, tokens)
        self.players = (
            Player(
                name=NAME,
                module=self.module,
                loss=self._loss,
                rate=RATE,
                betas=(0.9, 0.98),
                weight_decay=WEIGHT_DECAY,
                ema=EMA,
                warmup=WARMUP,
            ),
        )

    def config(self) -> dict[str, Any]:
        return {
            "part": json.loads(json.dumps(self._part)),
            "tokenizer": vocabulary.fingerprint(self._tokenizer),
            "batch": self._batch,
            "seed": self._seed,
        }

    def batch(self, step: int) -> Batch:
        """Log-mels (B, 1, 1001, 64) and what is said and known of them; E texts that answer to none."""
        chosen = contrastive.shuffled(len(self._seen), self._batch, step, self._seed)
        draw = np.random.default_rng([self._seed, step, 2])
        kept = torch.from_numpy(self._seen.rows[self._seen.start[chosen]]).float()
        generator = torch.Generator().manual_seed(derive(self._seed, NAME, step))
        numbers, own = self._words.draw(chosen, draw)
        others = self._words.others(OTHERS, draw)
        other_ids, other_lengths = self._words.rows(others)
        ids, lengths = self._words.rows(numbers, draw, width=other_ids.shape[1])
        return {
            "mels": changed(kept, generator),
            "ids": ids,
            "lengths": lengths,
            "own": torch.from_numpy(own),
            "codes": torch.from_numpy(self._codes[chosen]),
            "numbers": torch.from_numpy(self._numbers[chosen]),
            "other_ids": nn.functional.pad(other_ids, (0, ids.shape[1] - other_ids.shape[1])),
            "other_lengths": other_lengths,
            "step": torch.tensor(step),
        }

    def write_part(self, folder: Path) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        settle(self.module.tower, (self._listen(self.batch(step)) for step in range(SETTLING)))
        state = {
            name: tensor.detach().cpu().to(torch.float16).contiguous()
            for name, tensor in self.module.tower.state_dict().items()
            if tensor.is_floating_point()
        }
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        said = json.dumps(self._part, indent=2) + "\n"
        (folder / "config.json").write_text(said, encoding="utf-8")
        for path in sorted(self._tokenizer.iterdir()):
            shutil.copyfile(path, folder / path.name)

    def _loss(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        module, count = self.module, len(batch["ids"])
        ids = torch.cat([batch["ids"], batch["other_ids"]])
        shots = module.sounds(batch["mels"])
        texts = module.texts(ids, torch.cat([batch["lengths"], batch["other_lengths"]]))
        wanted = contrastive.targets(batch["codes"], batch["own"], batch["ids"], len(ids) - count)
        with torch.autocast(shots.device.type, enabled=False):
            pairs = contrastive.contrast(shots, texts, wanted, module.scale())
            heads, right = module.heads(shots, batch["codes"], batch["numbers"])
        said = {"pairs": pairs, "heads": heads, "right": right.float().mean()}
        if self._exam is not None and int(batch["step"]) % CHECK_EVERY == CHECK_EVERY - 1:
            said |= self._examined()
        return pairs + HEADS_SHARE * heads, {name: value.detach() for name, value in said.items()}

    @torch.no_grad()
    def _examined(self) -> dict[str, Tensor]:
        """How well held-out sounds and their plainest captions find each other now."""
        assert self._exam is not None
        device = next(self.module.parameters()).device
        kept, ids, lengths, families = (tensor.to(device) for tensor in self._exam)
        self.module.eval()
        rows = [self.module.sounds(unrolled(piece.float())) for piece in kept.split(self._batch)]
        found = contrastive.held_out_right(torch.cat(rows), self.module.texts(ids, lengths), families)
        self.module.train()
        return {f"scene_{name}": value for name, value in found.items()}

    def _prepared(self, held_out: Kept, tokens: Tokens) -> tuple[Tensor, ...]:
        chosen = contrastive.spread(held_out, HELD_OUT)
        kept = torch.from_numpy(held_out.rows[held_out.start[chosen]])
        words = Words([held_out.shots[number] for number in chosen], tokens)
        ids, lengths = words.rows(words.first(np.arange(len(chosen))))
        families = contrastive.codes_of(held_out.shots)[chosen, 0]
        return kept, ids, lengths, torch.from_numpy(families)

    def _listen(self, batch: Batch) -> Tensor:
        """One pass of the sound tower, for its norms."""
        device = next(self.module.parameters()).device
        return self.module.sounds(batch["mels"].to(device))


class ClapWithHeads(nn.Module):
    """transformers' ClapModel, ``tower``, and the heads beside it."""

    def __init__(self, config: Mapping[str, Any], seed: int) -> None:
        import transformers

        super().__init__()
        plain = json.loads(json.dumps(config))  # the class changes what it is given
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, NAME))
            self.tower = transformers.ClapModel(transformers.ClapConfig.from_dict(plain))
            self.heads = Heads(int(config["projection_dim"]))
        # Its scale is redundant before a convolution, and a gradient would go back through the resizing.
        self.tower.audio_model.audio_encoder.batch_norm.requires_grad_(False)

    def sounds(self, mels: Tensor) -> Tensor:
        """(N, 1, 1001, 64) decibels to unit rows (N, 512) float32."""
        rows = clap.embedding(self.tower.get_audio_features(input_features=mels))
        return normalize(rows.float(), dim=-1)

    def texts(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """(N, L) and (N,) to unit rows (N, 512) float32."""
        mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
        padding = self.tower.config.text_config.pad_token_id
        ids = torch.where(mask.bool(), ids, padding)
        rows = clap.embedding(self.tower.get_text_features(input_ids=ids, attention_mask=mask))
        return normalize(rows.float(), dim=-1)

    def scale(self) -> Tensor:
        """What cosines are multiplied with: the mean of both directions' scales."""
        both = (self.tower.logit_scale_a + self.tower.logit_scale_t) / 2
        return both.clamp(max=contrastive.LARGEST_SCALE).exp()


def rolled(sound_16k: np.ndarray) -> np.ndarray:
    """(40,960,) at 16 kHz to (HEAD + TURN + TAIL, 64) float16 decibels: all that ``unrolled`` needs."""
    wave = clap.resample(torch.from_numpy(sound_16k)[None], mel.RATE_HZ, clap.RATE_HZ)[:, : shot.SAMPLES]
    silence = torch.zeros(1, 4 * clap.HOP)
    mels = clap.log_mel(torch.cat([wave, wave, silence], dim=1))[0, 0]
    end = 2 * TURN - 1
    found = torch.cat([mels[:HEAD], mels[HEAD : HEAD + TURN], mels[end : end + TAIL]])
    return found.to(torch.float16).numpy()


def unrolled(kept: Tensor) -> Tensor:
    """(N, HEAD + TURN + TAIL, 64) to the worker's (N, 1, 1001, 64)."""
    turn = kept[:, HEAD : HEAD + TURN].roll(HEAD, 1)
    found = torch.full((len(kept), FRAMES, kept.shape[2]), SILENCE_DB)
    found[:, : TURNS * TURN] = turn.repeat(1, TURNS, 1)
    found[:, :HEAD] = kept[:, :HEAD]
    end = TURNS * TURN - 1
    found[:, end : end + TAIL] = kept[:, HEAD + TURN :]
    return found.unsqueeze(1)


def changed(kept: Tensor, generator: torch.Generator) -> Tensor:
    """As ``unrolled``, but each sound moved in time, louder or softer, of another colour, over another noise
    floor, with a band and a moment blotted out (SpecAugment, Park et al., Interspeech 2019); one in five
    goes on for the whole ten seconds.
    """
    count, _, bands = kept.shape

    def drawn(low: float, high: float) -> Tensor:
        return torch.rand((count, 1, 1), generator=generator) * (high - low) + low

    def chance(share: float) -> Tensor:
        return torch.rand((count, 1, 1), generator=generator) < share

    turn = kept[:, HEAD : HEAD + TURN].roll(HEAD, 1)
    moved = torch.randint(0, TURN, (count, 1, 1), generator=generator) * chance(0.7)
    places = (torch.arange(TURN)[None, :, None] + moved) % TURN
    turn = turn.gather(1, places.expand_as(turn))
    tilt = torch.linspace(-1.0, 1.0, bands) * drawn(-4.0, 4.0)
    turn = turn + drawn(-6.0, 6.0) + tilt
    floor = turn.amax((1, 2), keepdim=True) - drawn(45.0, 90.0)
    turn = torch.where(chance(0.5), torch.maximum(turn, floor), turn)
    mean = turn.mean((1, 2), keepdim=True)
    for axis, size, most in ((1, TURN, 32.0), (2, bands, 8.0)):
        shape = (1, size, 1) if axis == 1 else (1, 1, size)
        line = torch.arange(size).view(shape)
        start, width = drawn(0.0, float(size)), drawn(0.0, most)
        turn = torch.where((line >= start) & (line < start + width) & chance(0.5), mean, turn)
    long = turn.repeat(1, FRAMES // TURN + 1, 1)[:, :FRAMES]
    ends = torch.where(chance(0.2), FRAMES, TURNS * TURN)
    found = torch.where(torch.arange(FRAMES)[None, :, None] < ends, long, SILENCE_DB)
    return found.clamp_min(SILENCE_DB).unsqueeze(1)


def task(work: Path, settings: Settings, tick: Tick = lambda done: None) -> ClapTask:
    """Raises BadInput when the world has no sounds."""
    plan = starter_layout(tiny=settings.tiny)
    folder = work / NAME / "kept"
    seen = keep(work / "world", "train", folder, _rows, _VERSION, tick=tick)
    some = any((work / "world").glob("scene-*.tar"))
    held_out = keep(work / "world", "scene", folder, _rows, _VERSION, tick=tick) if some else None
    return ClapTask(
        plan.clap,
        vocabulary.clap_tokenizer(work, plan.vocabulary),
        seen,
        held_out,
        batch=8 if settings.tiny else BATCH,
        seed=settings.seed,
    )


def _rows(sample: Sample) -> np.ndarray:
    sound = mel.prepare(sample.sound_48k)
    wanted = shot.SAMPLES * mel.RATE_HZ // shot.RATE_HZ
    return rolled(np.pad(sound, (0, max(0, wanted - len(sound))))[:wanted])[None]
