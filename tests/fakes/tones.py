# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds to save, folders to save them in, and what is found there."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footfall.addon.sounds import save
from footfall.addon.sounds.save import Place, SaveTarget, file_name

JOB = "0123456789abcdef0123456789abcdef"
NAME = file_name(JOB, 0, "bed")
RATE = 48_000
# Root may write anywhere, so read-only folders are only read-only for other users.
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="NOT TESTED AS ROOT: read-only folders bind others only",
)


def target(*folders: Path) -> SaveTarget:
    return SaveTarget(places=tuple(Place(folder=folder, parents=n > 0) for n, folder in enumerate(folders)))


def tone(samples: int, channels: int = 1) -> np.ndarray:
    wave_ = np.sin(np.arange(samples, dtype=np.float32) * np.float32(0.05)) * np.float32(0.5)
    return np.repeat(wave_[:, None], channels, axis=1)


def samples_of(path: Path) -> np.ndarray:
    """(n, channels) int32 steps of a 24-bit WAV."""
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 3
        octets = np.frombuffer(file.readframes(file.getnframes()), np.uint8).reshape(-1, 3)
        shape = (file.getnframes(), file.getnchannels())
    padded = np.concatenate([np.zeros((len(octets), 1), np.uint8), octets], axis=1)
    return (padded.copy().view("<i4").reshape(shape) >> 8).astype(np.int32)


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def fail_open(monkeypatch: pytest.MonkeyPatch, folder: Path, number: int) -> None:
    original = os.open

    def guarded(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).parent == folder:
            raise OSError(number, os.strerror(number), str(path))
        return original(path, *arguments, **options)

    monkeypatch.setattr(save.os, "open", guarded)
