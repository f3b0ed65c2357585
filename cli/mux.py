# SPDX-License-Identifier: GPL-3.0-or-later
"""A film with its new sound: the picture is copied packet by packet where there is a film, encoded where
there are frames.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soundfile
from av.video.reformatter import ColorRange, Colorspace

from ..addon.whole_file import whole_file
from ..addon.wire.errors import SaveError

CONTAINERS = (".mp4", ".m4v", ".mov", ".mkv")  # that take any film's picture, and AAC
AUDIO_BLOCK = 1024  # samples in one AAC frame
LOSSY_CEILING_DB = -3.0  # true peak: AAC has given back up to 1.8 dB more than went in, and 1 dB stays free
CRF = "18"  # near-transparent H.264
# What players expect of a film: BT.709 with the studio's range of levels, not the full range of the pictures.
_FILM_COLOUR = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}


def mux_film(film: Path, sound: Path, out: Path) -> None:
    """``film``'s picture as it is, with ``sound`` as its only audio track. Raises SaveError."""
    with _writing(out) as target, av.open(str(film.absolute())) as source:
        video_in = source.streams.video[0]
        video_out = target.add_stream_from_template(video_in)
        samples, rate = _samples(sound)
        audio_out = _audio_stream(target, rate, samples.shape[1])
        for packet in source.demux(video_in):
            if packet.dts is not None:
                packet.stream = video_out
                target.mux(packet)
        _encode_audio(target, audio_out, samples)


def mux_pictures(pictures: list[Path], fps: Fraction, sound: Path, out: Path) -> None:
    """H.264 from picture files at ``fps``, with ``sound``. Raises SaveError."""
    with _writing(out) as target:
        samples, rate = _samples(sound)
        video_out: av.VideoStream | None = None
        audio_out = _audio_stream(target, rate, samples.shape[1])
        for index, frame in enumerate(_decoded(pictures)):
            if video_out is None:
                video_out = target.add_stream("libx264", rate=fps, options={"crf": CRF})
                video_out.width, video_out.height = frame.width // 2 * 2, frame.height // 2 * 2
                video_out.pix_fmt = "yuv420p"
                video_out.codec_context.color_range = ColorRange.MPEG
                video_out.codec_context.colorspace = Colorspace.ITU709
            frame = frame.reformat(video_out.width, video_out.height, "yuv420p", **_FILM_COLOUR)
            frame.pts, frame.time_base = index, 1 / fps
            target.mux(video_out.encode(frame))
        if video_out is not None:
            target.mux(video_out.encode(None))
        _encode_audio(target, audio_out, samples)


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[av.container.OutputContainer]:
    """A container that is ``out`` once it is whole."""
    try:
        with whole_file(out.absolute(), out.suffix) as temporary, av.open(str(temporary), "w") as target:
            yield target
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SaveError(f"{out} could not be written; is the disk full?", str(error)) from error


def _samples(sound: Path) -> tuple[np.ndarray, int]:
    """(N, channels) float32 and their rate, as a whole turned down to where no player clips it."""
    from ..server.sound.finishing import limit

    samples, rate = soundfile.read(sound, dtype="float32", always_2d=True)
    return limit(samples, rate, LOSSY_CEILING_DB), rate


def _audio_stream(target: av.container.OutputContainer, rate: int, channels: int) -> av.AudioStream:
    return target.add_stream("aac", rate=rate, layout="stereo" if channels == 2 else "mono", bit_rate=192_000)


def _encode_audio(target: av.container.OutputContainer, stream: av.AudioStream, samples: np.ndarray) -> None:
    """samples: (N, channels) float32."""
    for start in range(0, len(samples), AUDIO_BLOCK):
        planes = np.ascontiguousarray(samples[start : start + AUDIO_BLOCK].T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = stream.rate, start, Fraction(1, stream.rate)
        target.mux(stream.encode(frame))
    target.mux(stream.encode(None))


def _decoded(pictures: list[Path]) -> Iterator[av.VideoFrame]:
    for path in pictures:
        with av.open(str(path.absolute())) as container:
            yield from container.decode(video=0)
