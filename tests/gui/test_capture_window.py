# SPDX-License-Identifier: GPL-3.0-or-later
"""Capturing in a real window: right pictures, nothing changed, short ticks (see check_capture.py)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TICK_MS = 50.0  # the longest tick, but for the drawing of one picture


def test_capture_in_a_window(blender: str, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    bound = [str(ROOT), *filter(None, os.environ.get("REAL_BLENDER_BIND", "").split(":"))]
    done = subprocess.run(
        [blender, "--factory-startup", "--python", str(HERE / "check_capture.py"), "--", str(found)],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path), "REAL_BLENDER_BIND": ":".join(bound)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert found.exists(), done.stdout + done.stderr
    report = json.loads(found.read_text(encoding="utf-8"))
    failed = {name: held for name, held in report["checks"].items() if held is not True}
    assert not failed, failed
    assert done.returncode == 0
    assert max(row["slowest rest"] for row in report["ms"].values()) < TICK_MS, report["ms"]
    print(json.dumps(report["ms"], indent=1))
