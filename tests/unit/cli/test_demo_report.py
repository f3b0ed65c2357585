# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's report tells what was missed, what was made up, and what is masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from footfall.cli import demo_report

RATE = 48_000


def shot(*times: float, faint: tuple[float, ...] = ()) -> dict[str, Any]:
    return {"hits": [{"time_s": time_s, "words": "knock"} for time_s in times], "faint_s": faint}


def told(*times: float) -> list[dict[str, Any]]:
    return [{"time_s": time_s, "kind": "hit", "words": "", "strength": 1.0} for time_s in times]


def knock(seconds: float, seed: int = 0) -> np.ndarray:
    clock = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(clock))
    return (0.5 * noise * np.exp(-clock / 0.03)).astype(np.float32)


def test_missed_and_false_hits_are_told() -> None:
    found = demo_report.found_hits(shot(1.0, 2.0, 3.0, faint=(2.5,)), told(3.004, 1.0, 2.51, 0.3))
    assert (found["hits"], found["found"], found["false"]) == (
        3,
        2,
        1,
    )  # 0.3 s is none, 2.51 s is a faint one
    assert found["worst_ms"] == pytest.approx(4.0)
    assert [row["found_ms"] for row in found["each"]] == [0.0, None, pytest.approx(4.0)]
    assert [row["hit"] for row in found["each"]] == [1, None, 0]


def test_nothing_found_is_no_number() -> None:
    found = demo_report.found_hits(shot(1.0), [])
    assert (found["found"], found["false"], found["median_ms"], found["worst_ms"]) == (0, 0, None, None)
    assert demo_report.heard_in_all([{"heard_ms": None, "masked": False}])["median_ms"] is None


def test_each_hit_is_measured_where_it_sounds(tmp_path: Path) -> None:
    mix = np.zeros(3 * RATE, np.float32)
    strips = []
    for number, (time_s, late_s) in enumerate([(0.5, 0.0), (1.5, 0.004)]):
        sound = knock(0.4, seed=number)
        start = round((time_s + late_s) * RATE)
        mix[start : start + len(sound)] += sound
        file = tmp_path / f"{number}.wav"
        soundfile.write(file, np.concatenate([np.zeros(480, np.float32), sound]), RATE, subtype="PCM_24")
        strips.append({"file": str(file), "layer": "spots", "take": 0, "hit": number, "lead_s": 0.01})
    soundfile.write(tmp_path / "demo.wav", mix, RATE, subtype="PCM_24")
    job = {"hits": told(0.5, 1.5), "strips": strips}
    report = demo_report.measure(tmp_path, shot(0.5, 1.5), job)
    assert [row["heard_ms"] for row in report["found"]["each"]] == pytest.approx([0.0, 4.0], abs=0.6)
    rises = [row["strongest_rise_ms"] for row in report["found"]["each"]]
    assert rises == pytest.approx([0.0, 4.0], abs=0.6)
    assert (report["heard"]["heard"], report["heard"]["masked"]) == (2, 0)
