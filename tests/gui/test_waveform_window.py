# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender's own threads still read is not taken away from under them (see check_waveform.py)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def test_a_sound_is_taken_away_while_its_waveform_is_read(blender: str, tmp_path: Path) -> None:
    """Removing its data-block along with the strip crashed Blender."""
    found = tmp_path / "found.json"
    bound = [str(ROOT), *filter(None, os.environ.get("REAL_BLENDER_BIND", "").split(":"))]
    done = subprocess.run(
        [blender, "--factory-startup", "--python", str(HERE / "check_waveform.py"), "--", str(found)],
        env={**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path), "REAL_BLENDER_BIND": ":".join(bound)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(found.read_text(encoding="utf-8")) == {"strips": 0, "saved": []}
