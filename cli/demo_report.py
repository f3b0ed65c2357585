# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo measures of its own sound, and the picture of it: the waveform under the frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

SEARCH_S = 0.08  # an onset further than this from its hit does not belong to it
RISE_S, RISE_DB = 0.01, 2.0  # how much louder the sound is behind an attack than before it, at least


def measure(out: Path, hits: list[dict[str, Any]], job: dict[str, Any]) -> dict[str, Any]:
    """Onset error of each hit in the spots stem, loudness and peak of the mix, and the strips' own frames."""
    from ..server.sound.finishing import loudness, true_peak

    mix, rate = soundfile.read(out / "demo.wav", dtype="float32", always_2d=True)
    spots, _ = soundfile.read(_spots(out), dtype="float32", always_2d=True)
    errors = [_onset_error_ms(spots, rate, float(hit["time_s"])) for hit in hits]
    heard = sorted(abs(error) for error in errors if error is not None)
    return {
        "onsets": {
            "hits": len(hits),
            "heard": len(heard),
            "median_ms": float(np.median(heard)) if heard else float("inf"),
            "worst_ms": heard[-1] if heard else float("inf"),
            "errors_ms": errors,
        },
        "loudness_lufs": round(loudness(mix, rate), 2),
        "true_peak_dbtp": round(20 * float(np.log10(max(true_peak(mix, rate), 1e-9))), 2),
        "duration_s": len(mix) / rate,
        "rate_hz": rate,
        "strips": len(job["strips"]),
    }


def _spots(out: Path) -> Path:
    stem = out / "demo.spots.wav"
    return stem if stem.exists() else out / "demo.wav"


def _onset_error_ms(sound: np.ndarray, rate: int, time_s: float) -> float | None:
    """Milliseconds from the hit to the attack nearest to it (late is positive); None where nothing rises."""
    from ..server.sound.onsets import attack

    window, centre = round(SEARCH_S * rate), round(time_s * rate)
    low = max(0, centre - window)
    part = sound[low : centre + window].mean(axis=1)
    found = attack(part, rate)
    width = round(RISE_S * rate)
    before = float(np.square(part[max(0, found - width) : found]).mean()) if found else 0.0
    after = float(np.square(part[found : found + width]).mean())
    if after < 1e-9 or after < before * 10.0 ** (RISE_DB / 10.0):
        return None
    return round((found + low - centre) / rate * 1000.0, 3)


def picture(out: Path, frames: list[Path], hits: list[dict[str, Any]], fps: float, columns: int = 8) -> None:
    """DIR/demo.png: pictures of the shot, the waveform below, hits as lines, and the spectrogram."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    mix, rate = soundfile.read(out / "demo.wav", dtype="float32", always_2d=True)
    duration = len(mix) / rate
    figure = pyplot.figure(figsize=(14, 6), layout="constrained")
    rows = figure.add_gridspec(3, columns, height_ratios=(1.4, 1, 1.2))
    for column in range(columns):
        index = min(len(frames) - 1, round((column + 0.5) / columns * duration * fps))
        axes = figure.add_subplot(rows[0, column])
        axes.imshow(_decode(frames[index]))
        axes.set_title(f"{index / fps:.2f} s", fontsize=9)
        axes.axis("off")
    wave = figure.add_subplot(rows[1, :])
    wave.plot(np.arange(len(mix)) / rate, mix.mean(axis=1), linewidth=0.4, color="#2b6cb0")
    wave.set_ylabel("waveform")
    spectrum = figure.add_subplot(rows[2, :], sharex=wave)
    spectrum.specgram(mix.mean(axis=1) + 1e-9, NFFT=1024, Fs=rate, noverlap=768, cmap="magma")
    spectrum.set_ylabel("Hz")
    spectrum.set_xlabel("seconds")
    for hit in hits:
        wave.axvline(float(hit["time_s"]), color="#dd6b20", linewidth=0.8)
    wave.set_xlim(0, duration)
    figure.savefig(out / "demo.png", dpi=110)
    pyplot.close(figure)


def _decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")
