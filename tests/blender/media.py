# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and films that say their own number, as coded_scene does, and strips that show them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from footfall.addon.host import sequencer
from footfall.tests.blender.tracks.coded_scene import BITS

WIDTH, HEIGHT = 160, 90


def picture(number: int) -> np.ndarray:
    """(HEIGHT, WIDTH, 4) float32, lowest row first, that coded_scene.decode reads as ``number``."""
    pixels = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    pixels[:, :, 3] = 1.0
    for bit in range(BITS):
        if number >> bit & 1:
            x = (0.5 + (-6.4 + 3.2 * (bit % 5)) / 16.0) * WIDTH
            y = (0.5 + (2.0 if bit < 5 else -2.0) / 9.0) * HEIGHT
            pixels[int(y) - 12 : int(y) + 13, int(x) - 12 : int(x) + 13] = 1.0
    return pixels


def write_images(folder: Path, numbers: Iterable[int]) -> list[Path]:
    """``folder/0001.png`` and so on, one for each number.

    Written without Blender: a window that draws while one of its own images is filled and saved may crash.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in numbers:
        paths.append(folder / f"{number:04d}.png")
        paths[-1].write_bytes(png((picture(number)[::-1, :, :3] * 255).astype(np.uint8)))
    return paths


def png(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8, highest row first, as a PNG file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (1, 0)))  # each row begins with its filter: none
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def add_images(scene: bpy.types.Scene, paths: list[Path], start: int, channel: int = 1) -> Any:
    """An image strip of all ``paths`` from frame ``start``."""
    strips = sequencer.strips(scene.sequence_editor)
    strip = strips.new_image("images", str(paths[0]), channel, start)
    for path in paths[1:]:
        strip.elements.append(path.name)
    return strip


def add_colour(scene: bpy.types.Scene, channel: int, start: int, length: int) -> Any:
    end = {"length": length} if bpy.app.version >= (5, 0) else {"frame_end": start + length}
    strips = sequencer.strips(scene.sequence_editor)
    return strips.new_effect(name="colour", type="COLOR", channel=channel, frame_start=start, **end)


def film_output(scene: bpy.types.Scene, path: Path) -> None:
    """Let ``scene`` render a film in which every frame keeps its picture."""
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    scene.render.ffmpeg.format = "MPEG4"
    scene.render.ffmpeg.codec = "H264"
    scene.render.ffmpeg.constant_rate_factor = "HIGH"
    scene.render.filepath = str(path)


def write_movie(path: Path, images: list[Path], fps: int, base: float) -> Path:
    """A film of ``images``, one a frame."""
    scene = bpy.data.scenes.new("film")
    scene.sequence_editor_create()
    add_images(scene, images, 1)
    scene.frame_end = len(images)
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.fps, scene.render.fps_base = fps, base
    scene.view_settings.view_transform = "Standard"
    film_output(scene, path)
    with bpy.context.temp_override(scene=scene):
        bpy.ops.render.render(animation=True)
    bpy.data.scenes.remove(scene)
    return path
