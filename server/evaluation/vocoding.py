# SPDX-License-Identifier: GPL-3.0-or-later
"""How a vocoder does on recordings that it has never heard, beside Griffin-Lim from the very same mels.

``python -m footfall.server.evaluation.vocoding RECORDINGS --vocoder DIR`` prints a Markdown table. Every file
below the folder is brought to 16 kHz, one channel and the trainings' common level, analysed, and made anew
from its log-mel alone. The distance is that of Yamamoto et al. (ICASSP 2020): spectral convergence and
log-magnitude distance, mean over three resolutions.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from ...addon.wire.errors import BadInput, FootfallError, ModelRefused
from ..models import phases
from ..models.mel import HOP, N_FFT, magnitude
from ..models.spectral_vocoder import SpectralVocoder
from ..models.vocoder import Vocoder, vocoder_of
from ..sound.finishing import resample
from ..train import mel
from ..train.griffin_lim import ITERATIONS, griffin_lim

RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))  # transform, hop, window
SUFFIXES = frozenset({".aif", ".aiff", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav"})
SHORTEST_S, LONGEST_S = 0.15, 5.12
QUIET = 1e-4  # a file without a sample above this has nothing to hear
DRAWS = 2000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One recording. ``vocoder``, ``griffin_lim``: distances; ``phases_alone``: that of Griffin-Lim from the
    true magnitudes, which no mel tells; ``*_mel``: mean distance of the log-mels.
    """

    name: str
    seconds: float
    vocoder: float
    griffin_lim: float
    phases_alone: float
    vocoder_mel: float
    griffin_lim_mel: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """``better``: by what share the vocoder's mean distance is smaller; ``low`` and ``high``: 95 % interval
    over the recordings (bootstrap).
    """

    rows: tuple[Row, ...]
    vocoder: float
    griffin_lim: float
    better: float
    low: float
    high: float
    wins: int


def compare(
    recordings: Path, vocoder: Path, *, most: int = 200, tick: Callable[[int, int], None] = lambda n, of: None
) -> Comparison:
    """Every recording below a folder, at most ``most`` spread over them, through the vocoder of the part
    folder ``vocoder`` (config.json, model.safetensors).

    Raises BadInput when there is nothing to hear, ModelMissing, ModelRefused.
    """
    play = load(vocoder)
    found = sorted(path for path in recordings.rglob("*") if path.suffix.lower() in SUFFIXES)
    chosen = [
        found[int(n)] for n in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))
    ]
    rows = []
    for number, path in enumerate(chosen):
        sound = _read(path)
        if sound is not None:
            rows.append(_row(path.relative_to(recordings).as_posix(), sound, play))
        tick(number + 1, len(chosen))
    if not rows:
        raise BadInput(f"There are no recordings that can be read below {recordings}.")
    return _summed(tuple(rows))


def load(folder: Path) -> Vocoder | SpectralVocoder:
    """The worker's vocoder of a part folder. Raises ModelMissing, ModelRefused."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ModelRefused(f"There is no vocoder in {folder} that can be read.", repr(error)) from error
    if not isinstance(config, dict):
        raise ModelRefused(f"There is no vocoder in {folder} that can be read.")
    return vocoder_of(config, folder / "model.safetensors", "cpu", torch.float32)


@torch.inference_mode()
def distance(made: Tensor, real: Tensor) -> float:
    """(samples,) each: the multi-resolution STFT distance, 0 for the same sound."""
    total = 0.0
    for size, hop, window in RESOLUTIONS:
        ours, theirs = (_magnitudes(sound, size, hop, window) for sound in (made, real))
        total += float(torch.linalg.norm(theirs - ours) / torch.linalg.norm(theirs))
        total += float((ours.log() - theirs.log()).abs().mean())
    return total / len(RESOLUTIONS)


def noise_apart() -> tuple[float, float]:
    """The distance of noise from other noise of the same envelope, and from magnitudes without any grain.

    Exact for steady noise: its magnitudes are Rayleigh distributed, their squares exponential. The logarithm
    of the ratio of two such squares is logistic, so log-magnitudes are log 2 apart; from their median they
    are (2 Ein(log 2) - log log 2 - Euler's gamma) / 2, where Ein(m) is the integral of (1 - exp(-t)) / t from
    0 to m. The square of spectral convergence is 2 - pi / 2, and half of that from their mean.
    """
    median = math.log(2.0)
    ein = sum(-((-median) ** k) / (k * math.factorial(k)) for k in range(1, 30))
    logs = (2.0 * ein - math.log(median) - float(np.euler_gamma)) / 2.0
    return median + math.sqrt(2.0 - math.pi / 2.0), logs + math.sqrt(1.0 - math.pi / 4.0)


def _magnitudes(sound: Tensor, size: int, hop: int, window: int) -> Tensor:
    spectrum = torch.stft(
        sound, size, hop, window, torch.hann_window(window), pad_mode="reflect", return_complex=True
    )
    return spectrum.abs().square().clamp_min(1e-7).sqrt()


def _read(path: Path) -> np.ndarray | None:
    """(N,) float32 at 16 kHz and the common level, in whole frames; None if there is nothing in it."""
    try:
        sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        _log.warning("%s cannot be read and is left out: %s", path, error)
        return None
    mono = sound.mean(1)[: round((LONGEST_S + 1.0) * rate_hz)]
    sound_16k = resample(mono[:, None], rate_hz, mel.RATE_HZ)[:, 0][: round(LONGEST_S * mel.RATE_HZ)]
    sound_16k = sound_16k[: len(sound_16k) // mel.HOP * mel.HOP]
    if len(sound_16k) < SHORTEST_S * mel.RATE_HZ or np.abs(sound_16k).max() < QUIET:
        return None
    return mel.level(sound_16k)


@torch.inference_mode()
def _row(name: str, sound: np.ndarray, play: Vocoder | SpectralVocoder) -> Row:
    real = torch.from_numpy(sound)
    mels = mel.log_mel(real[None])
    made = play(mels)[0]
    simple = griffin_lim(mels[0])
    true = magnitude(real[None], N_FFT, HOP)[:, : mels.shape[1]]
    known = phases.sound_of(true, rounds=ITERATIONS)[0]
    return Row(
        name=name,
        seconds=len(sound) / mel.RATE_HZ,
        vocoder=distance(made, real),
        griffin_lim=distance(simple, real),
        phases_alone=distance(known, real),
        vocoder_mel=float((mel.log_mel(made[None]) - mels).abs().mean()),
        griffin_lim_mel=float((mel.log_mel(simple[None]) - mels).abs().mean()),
    )


def _summed(rows: tuple[Row, ...]) -> Comparison:
    ours = np.array([row.vocoder for row in rows])
    theirs = np.array([row.griffin_lim for row in rows])
    chosen = np.random.default_rng(0).integers(len(rows), size=(DRAWS, len(rows)))
    drawn = 1.0 - ours[chosen].mean(1) / theirs[chosen].mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Comparison(
        rows=rows,
        vocoder=float(ours.mean()),
        griffin_lim=float(theirs.mean()),
        better=float(1.0 - ours.mean() / theirs.mean()),
        low=float(low),
        high=float(high),
        wins=int((ours < theirs).sum()),
    )


def markdown(found: Comparison) -> Iterator[str]:
    """Lines of a table: one for each folder of recordings, one for all, and the verdict."""
    yield (
        "| recordings | files | vocoder | Griffin-Lim | better by | Griffin-Lim, true magnitudes "
        "| mel: vocoder | mel: Griffin-Lim |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    folders = sorted({row.name.split("/")[0] if "/" in row.name else "." for row in found.rows})
    for folder in [*folders, "all"]:
        rows = [
            row for row in found.rows if folder in ("all", row.name.split("/")[0] if "/" in row.name else ".")
        ]
        ours, theirs, known, our_mel, their_mel = np.mean(
            [
                (row.vocoder, row.griffin_lim, row.phases_alone, row.vocoder_mel, row.griffin_lim_mel)
                for row in rows
            ],
            axis=0,
        )
        yield (
            f"| {folder} | {len(rows)} | {ours:.3f} | {theirs:.3f} | {1 - ours / theirs:.0%} | {known:.3f} "
            f"| {our_mel:.3f} | {their_mel:.3f} |"
        )
    yield ""
    yield (
        f"Multi-resolution STFT distance: {found.vocoder:.3f} against {found.griffin_lim:.3f}, smaller by "
        f"{found.better:.1%} (95 % interval {found.low:.1%} to {found.high:.1%}), on {found.wins} of "
        f"{len(found.rows)} recordings."
    )
    again, flat = noise_apart()
    yield (
        "Of noise, a log-mel tells the envelope at most. Another draw of exactly that envelope is "
        f"{again:.3f} apart, a spectrum without any grain, which no sound has, {flat:.3f}: "
        f"smaller by {1 - flat / again:.1%}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table. Returns an exit code."""
    parser = argparse.ArgumentParser(prog="vocoding", description="Measures a vocoder on real recordings.")
    parser.add_argument("recordings", type=Path, help="a folder of recordings (ogg, wav, flac, mp3)")
    parser.add_argument(
        "--vocoder", type=Path, required=True, metavar="DIR", help="a bundle's vocoder folder"
    )
    parser.add_argument("--most", type=int, default=200, help="how many files at most, spread over all (200)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    try:
        found = compare(options.recordings, options.vocoder, most=max(1, options.most))
    except FootfallError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    lines = [json.dumps(asdict(found))] if options.json else markdown(found)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
