# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo measures of its own hits and their sound, and the picture: the waveform under the frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile

FOUND_S = 0.1  # a hit found further from a true one does not belong to it
HEAD_S = 0.06  # so much of a spot is looked for in the mix
SHOWN_DB = 120.0  # of the spectrogram, below its loudest bin


def measure(out: Path, shot: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Which true hits were found in the scene and how exactly, how each is heard in the mix.

    ``shot``, ``job``: what the commands in Blender have said.
    """
    from ..server.sound.finishing import loudness, true_peak

    mix, rate = soundfile.read(out / "demo.wav", dtype="float32", always_2d=True)
    found = found_hits(shot, job["hits"])
    heard = _heard(mix, rate, job)
    for row in found["each"]:
        row |= heard.get(row.pop("hit"), {"heard_ms": None, "masked": False})
    return {
        "found": found,
        "heard": heard_in_all(found["each"]),
        "loudness_lufs": round(loudness(mix, rate), 2),
        "true_peak_dbtp": round(20 * float(np.log10(max(true_peak(mix, rate), 1e-9))), 2),
        "duration_s": len(mix) / rate,
        "rate_hz": rate,
        "strips": len(job["strips"]),
    }


def found_hits(shot: dict[str, Any], told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The true hits beside those told: how many were found, how many told ones are none, and each error.

    ``each``: a row for every true hit; its ``hit`` is the number of the told one, None where it was missed.
    """
    from ..server.evaluation.timing import match

    true = sorted((float(hit["time_s"]), hit["words"]) for hit in shot["hits"])
    order = sorted(range(len(told)), key=lambda number: float(told[number]["time_s"]))
    times = [float(told[number]["time_s"]) for number in order]
    pairs = dict(match([time_s for time_s, _ in true], times, FOUND_S))
    rows = []
    for number, (time_s, words) in enumerate(true):
        at = pairs.get(number)
        error = None if at is None else round(1000 * (times[at] - time_s), 3)
        rows.append(
            {
                "time_s": round(time_s, 4),
                "words": words,
                "found_ms": error,
                "hit": None if at is None else order[at],
            }
        )
    errors = [abs(row["found_ms"]) for row in rows if row["found_ms"] is not None]
    faint = [float(time_s) for time_s in shot.get("faint_s", ())]
    others = [time_s for at, time_s in enumerate(times) if at not in pairs.values()]
    return {
        "hits": len(rows),
        "found": len(errors),
        "false": sum(all(abs(time_s - one) > FOUND_S for one in faint) for time_s in others),
        "median_ms": round(float(np.median(errors)), 3) if errors else None,
        "worst_ms": max(errors, default=None),
        "each": rows,
    }


def _heard(mix: np.ndarray, rate_hz: int, job: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """For each told hit with a strip: how late its sound begins in the mix, and whether others mask it."""
    from ..server.evaluation.hearing import Spot, listen

    spots, numbers = [], []
    for strip in job["strips"]:
        if strip["layer"] != "spots" or strip["take"] or strip["hit"] < 0:
            continue
        sound, _ = soundfile.read(strip["file"], dtype="float32", always_2d=True)
        lead = round(strip["lead_s"] * rate_hz)
        head = sound[lead : lead + round(HEAD_S * rate_hz)].mean(axis=1)
        spots.append(Spot(float(job["hits"][strip["hit"]]["time_s"]), head))
        numbers.append(strip["hit"])
    order = sorted(range(len(spots)), key=lambda index: spots[index].time_s)
    found = listen(mix.mean(axis=1), rate_hz, [spots[index] for index in order])
    return {
        numbers[index]: {
            "heard_ms": round(1000 * one.onset_s, 3),
            "strongest_rise_ms": round(1000 * one.attack_s, 3),
            "clear_db": round(one.clear_db, 1),
            "masked": one.masked or one.crowded,
        }
        for index, one in zip(order, found, strict=True)
    }


def heard_in_all(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the hits: errors of all that have a sound, and how many of these others mask."""
    errors = [abs(row["heard_ms"]) for row in rows if row["heard_ms"] is not None]
    return {
        "hits": len(rows),
        "heard": len(errors),
        "masked": sum(row["masked"] for row in rows if row["heard_ms"] is not None),
        "median_ms": float(np.median(errors)) if errors else None,
        "worst_ms": max(errors, default=None),
    }


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
    power, *_, heat = spectrum.specgram(
        mix.mean(axis=1) + 1e-9, NFFT=1024, Fs=rate, noverlap=768, cmap="magma"
    )
    loudest = 10.0 * math.log10(power.max())
    heat.set_clim(loudest - SHOWN_DB, loudest)  # of itself it goes by the faintest bin, another in each run
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
