# SPDX-License-Identifier: GPL-3.0-or-later
"""A result as files that anybody can play: the mix of each take, and its layers as stems where there are
several.

Needs numpy and the standard library only, so that Blender's Python can do it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..whole_file import whole_file
from ..wire.errors import SaveError
from ..wire.messages import Clip, FoleyRequest, Result
from . import wav

FADE_S = 0.01  # at the end of the file
CEILING = 0.891  # -1 dBFS: what a mix of layers is turned down to where it would clip


def write_takes(result: Result, request: FoleyRequest, output: Path) -> list[Path]:
    """24-bit WAVs at the result's rate: ``output`` for the first take, ``NAME.take2.wav`` and so on.

    A take of several layers also gets ``NAME.bed.wav`` and ``NAME.spots.wav``. Each has exactly
    ``duration_s`` of sound. Raises SaveError.
    """
    written = []
    for take in sorted({clip.take for clip in result.clips}):
        clips = [clip for clip in result.clips if clip.take == take]
        target = output if take == 0 else output.with_name(f"{output.stem}.take{take + 1}{output.suffix}")
        written.append(_write(target, mix(clips, request), clips[0].rate_hz))
        layers = sorted({clip.layer for clip in clips})
        for layer in layers if len(layers) > 1 else ():
            stem = target.with_name(f"{target.stem}.{layer}{target.suffix}")
            sound = mix([clip for clip in clips if clip.layer == layer], request)
            written.append(_write(stem, sound, clips[0].rate_hz))
    return written


def report(result: Result, request: FoleyRequest) -> dict[str, Any]:
    """What ``--json`` says of a sound, in the shell and in Blender."""
    story = result.provenance
    return {
        "ok": True,
        "duration_s": float(request.duration_s),
        "seed": request.seed,
        "bundle": story.bundle,
        "licence": story.licence,
        "commercial": story.commercial,
        "mapper": story.mapper,
        "device": story.device,
        "heard": [{"words": heard.words, "weight": heard.weight} for heard in result.heard],
        "warnings": list(result.warnings),
        "hits": [
            {"time_s": float(hit.time_s), "kind": hit.kind, "words": hit.words, "strength": hit.strength}
            for hit in result.events
        ],
    }


def mix(clips: Sequence[Clip], request: FoleyRequest) -> np.ndarray:
    """(samples, channels) float32 of the request's length, every clip at its start, never clipped."""
    channels = max(clip.waveform.shape[1] for clip in clips)
    total = round(request.duration_s * clips[0].rate_hz)
    sound = np.zeros((total, channels), np.float32)
    for clip in clips:
        start = round(clip.start_s * clip.rate_hz)
        part = _ending(clip, max(0, total - start))
        sound[start : start + len(part)] += part
    peak = float(np.abs(sound).max(initial=0.0))
    return sound if peak <= 1.0 else sound * np.float32(CEILING / peak)


def _ending(clip: Clip, samples: int) -> np.ndarray:
    """What of ``clip`` lies within ``samples``: what still rings then is faded, for a cut would click."""
    part = clip.waveform[:samples]
    length = min(round(FADE_S * clip.rate_hz), samples) if samples < len(clip.waveform) else 0
    if length:
        part = part.copy()
        part[-length:] *= np.linspace(1.0, 0.0, length, dtype=np.float32)[:, None]
    return part


def _write(path: Path, sound: np.ndarray, rate_hz: int) -> Path:
    try:
        with whole_file(path) as temporary, temporary.open("wb") as file:
            wav.write(file, sound, rate_hz, lead=0, samples=len(sound))
    except OSError as error:
        raise SaveError(f"{path} could not be written; choose another place.", str(error)) from error
    return path
