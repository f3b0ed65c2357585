# SPDX-License-Identifier: GPL-3.0-or-later
"""CLAP, AudioLDM's ear: transformers' ClapModel from a bundle's ``clap`` part. All embeddings have length 1.

The audio path is AudioLDM's own: 16 kHz to 48 kHz, the first 10 seconds, shorter sounds repeated whole and
then padded with silence, no fusion. Nothing in it is random.
"""

from __future__ import annotations

import functools
import math
import mmap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...addon.wire.errors import ModelRefused
from .bundle import Bundle, SpaceId
from .device import memory_guard
from .tokens import Tokens, batches
from .weights import FLOATS, load_weights, read_header

if TYPE_CHECKING:
    import torch
    from torch import Tensor

RATE_HZ = 48_000
SAMPLES = 480_000
TEXT_TOKENS = 512  # as AudioLDM; LAION's own tools cut at 77
SOUNDS_AT_ONCE = 8
N_FFT, HOP, MELS, LOW_HZ, HIGH_HZ = 1024, 480, 64, 50.0, 14_000.0


class ClapEncoder:
    """Texts and sounds to CLAP's space. ``space`` names it."""

    def __init__(self, model: Any, tokens: Tokens) -> None:
        """Use ``load``."""
        self._model = model
        self._tokens = tokens
        self._device = next(model.parameters()).device
        self._dtype = next(model.parameters()).dtype
        self.space = SpaceId(name="", sha256="")

    @classmethod
    def load(cls, bundle: Bundle, device: torch.device, dtype: torch.dtype) -> ClapEncoder:
        """Raises ModelMissing; ModelRefused, also when AudioLDM knows another CLAP; OutOfMemory."""
        import transformers
        from huggingface_hub.errors import StrictDataclassError

        config = bundle.config("clap")
        path = bundle.weights("clap")
        check_text_tower(bundle)
        try:
            settings: Any = transformers.ClapConfig.from_dict(config)
            if settings.audio_config.enable_fusion or settings.projection_dim != 512:
                raise ModelRefused(f"The CLAP of {bundle.title} is of a kind that AudioLDM cannot use.")
            vocabulary = int(settings.text_config.vocab_size)
            bundle.check("clap/tokenizer.json")
            tokens = Tokens(bundle.file("clap/tokenizer.json"), limit=TEXT_TOKENS, vocabulary=vocabulary)
            with memory_guard(device, "CLAP"):
                build = functools.partial(transformers.ClapModel, settings)
                model = load_weights(build, path, device=device, dtype=dtype)
        except (TypeError, KeyError, ValueError, AttributeError, StrictDataclassError) as error:
            raise ModelRefused(
                f"The CLAP of {bundle.title} has a damaged configuration; pull it again.", repr(error)
            ) from error
        encoder = cls(model, tokens)
        encoder.space = bundle.clap_space
        return encoder

    def encode_text(self, texts: Sequence[str], progress: Callable[[float], None] | None = None) -> Tensor:
        """Texts to (N, 512) float32 on the CPU, each of length 1. The empty text is AudioLDM's unconditional
        side. ``progress`` is called with 0..1 after each batch, and may raise to stop.
        """
        import torch

        rows, done = torch.zeros(len(texts), 512), 0
        if not len(texts):
            return rows
        ids, mask = self._tokens(texts)
        counts = mask.sum(1)
        with torch.inference_mode(), memory_guard(self._device, "reading the words"):
            for batch in batches(counts):
                kept, seen = (
                    torch.from_numpy(array[batch, : counts[batch[-1]]]).to(self._device)
                    for array in (ids, mask)
                )
                found = embedding(self._model.get_text_features(input_ids=kept, attention_mask=seen))
                rows[batch] = _unit(found).cpu()
                done += len(batch)
                if progress:
                    progress(done / len(texts))
        return rows

    def encode_audio(self, sounds: np.ndarray | Tensor, rate_hz: int = 16_000) -> Tensor:
        """(N, samples) float32 sounds at ``rate_hz`` to (N, 512) float32 on the CPU, each of length 1."""
        import torch

        waves = torch.as_tensor(sounds, dtype=torch.float32)
        rows = [torch.zeros(0, 512)]
        with torch.inference_mode(), memory_guard(self._device, "listening to the sounds"):
            for start in range(0, len(waves), SOUNDS_AT_ONCE):
                features = self.features(waves[start : start + SOUNDS_AT_ONCE].to(self._device), rate_hz)
                rows.append(_unit(embedding(self._model.get_audio_features(input_features=features))).cpu())
        return torch.cat(rows).clone()

    @property
    def audio_tower(self) -> Any:
        """transformers' ClapAudioEncoder, which takes what ``features`` makes."""
        return self._model.audio_model.audio_encoder

    def features(self, waves: Tensor, rate_hz: int) -> Tensor:
        """(N, samples) to the model's (N, 1, 1001, 64) log-mel in decibels, in its dtype."""
        return log_mel(fit(resample(waves, rate_hz, RATE_HZ))).to(self._dtype)


def embedding(output: Any) -> Tensor:
    """The projected embedding: transformers 4 returned it, transformers 5 wraps it as ``pooler_output``."""
    rows: Tensor = getattr(output, "pooler_output", output)
    return rows


def _unit(rows: Tensor) -> Tensor:
    import torch

    return torch.nn.functional.normalize(rows.float(), dim=-1)


def fit(waves: Tensor) -> Tensor:
    """(N, samples at 48 kHz) to (N, 480,000): the beginning of long ones; short ones repeated whole, then
    silence.
    """
    import torch

    length = waves.shape[-1]
    if length >= SAMPLES:
        return waves[..., :SAMPLES]
    if length:
        waves = waves.repeat(1, SAMPLES // length)
    return torch.nn.functional.pad(waves, (0, SAMPLES - waves.shape[-1]))


def log_mel(waves: Tensor) -> Tensor:
    """(N, 480,000) at 48 kHz to (N, 1, 1001, 64): power in Slaney mel bands, 50 Hz to 14 kHz, decibels."""
    import torch

    window = torch.hann_window(N_FFT, device=waves.device)
    spectrum = torch.stft(waves, N_FFT, HOP, window=window, pad_mode="reflect", return_complex=True)
    power = spectrum.abs().square().transpose(-1, -2)
    bands = torch.from_numpy(_mel_bands()).to(waves.device, torch.float32)
    return (10.0 * torch.log10((power @ bands).clamp_min(1e-10))).unsqueeze(1)


@functools.cache
def _mel_bands() -> np.ndarray:
    from transformers.audio_utils import mel_filter_bank

    return mel_filter_bank(N_FFT // 2 + 1, MELS, LOW_HZ, HIGH_HZ, RATE_HZ, norm="slaney", mel_scale="slaney")


def resample(waves: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Windowed-sinc resampling of (N, samples), six zero crossings, roll-off 0.99: what AudioLDM was trained
    behind.
    """
    import torch

    if from_hz == to_hz:
        return waves
    divisor = math.gcd(from_hz, to_hz)
    old, new = from_hz // divisor, to_hz // divisor
    crossings, cutoff = 6, min(old, new) * 0.99
    reach = math.ceil(crossings * old / cutoff)
    # Time of each tap against each of the `new` output phases, in input periods.
    taps = torch.arange(-reach, reach + old, dtype=torch.float64) / old
    phases = -torch.arange(new, dtype=torch.float64) / new
    time = ((taps[None] + phases[:, None]) * cutoff).clamp(-crossings, crossings)
    kernel = torch.sinc(time) * torch.cos(time * math.pi / crossings / 2).square() * (cutoff / old)
    kernel = kernel.to(waves.dtype).to(waves.device)[:, None]
    length = waves.shape[-1]
    padded = torch.nn.functional.pad(waves, (reach, reach + old))
    out = torch.nn.functional.conv1d(padded[:, None], kernel, stride=old)
    return out.transpose(1, 2).reshape(len(waves), -1)[:, : math.ceil(new * length / old)]


def check_text_tower(bundle: Bundle) -> None:
    """Refuses a bundle whose AudioLDM brought another text tower than that of its CLAP.

    Both are 512 wide, so a wrong pairing raises no error anywhere: it only sounds wrong. Compared bit by bit,
    once. Raises ModelMissing, ModelRefused.
    """
    if not bundle.has("text_encoder") or bundle.remembers(_TOWER):
        return
    different = _first_difference(bundle.weights("text_encoder"), bundle.weights("clap"))
    if different:
        raise ModelRefused(
            f"AudioLDM in {bundle.title} was trained with another CLAP than the one beside it and would "
            "sound wrong; convert that checkpoint's own CLAP with scripts/convert_laion_clap.py and use it.",
            f"first difference: {different}",
        )
    bundle.remember(_TOWER)


_TOWER = "text tower"


def _first_difference(part: Path, whole: Path) -> str:
    """Name of the first tensor of ``part`` that is not the same, bit by bit, in ``whole``; or nothing."""
    ours, theirs = read_header(part), read_header(whole)
    with part.open("rb") as left, whole.open("rb") as right:
        one = mmap.mmap(left.fileno(), 0, access=mmap.ACCESS_READ)
        other = mmap.mmap(right.fileno(), 0, access=mmap.ACCESS_READ)
    with one, other:
        ahead, behind = (8 + int.from_bytes(data[:8], "little") for data in (one, other))
        for name, row in ours.items():
            if row.dtype not in FLOATS:
                continue
            pair = theirs.get(name)
            if pair is None or (pair.dtype, pair.shape) != (row.dtype, row.shape):
                return name
            if one[ahead + row.start : ahead + row.end] != other[behind + pair.start : behind + pair.end]:
                return name
    return ""
