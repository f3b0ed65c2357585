# SPDX-License-Identifier: GPL-3.0-or-later
"""The bounds of the round trip, by the script that anybody can run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_round_trip.py"


def test_a_shot_of_ten_seconds_goes_round_in_time_and_is_not_copied() -> None:
    """10 s at 4 frames a second: under 300 ms; 600 frames are sent from where they lie."""
    told = subprocess.run(
        [sys.executable, str(SCRIPT), "--runs", "7", "--long-frames", "600"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    report = json.loads(told.stdout)
    assert {tuple(shot["size"]) for shot in report["shots"]} == {(224, 224), (224, 288)}
    assert all(shot["frames"] == 40 and shot["median_ms"] < 300 for shot in report["shots"]), report
    assert report["memory"]["shot_mb"] > 100
    assert report["memory"]["extra_of_shot"] < 0.1, report
