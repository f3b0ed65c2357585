# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a result what was asked for? A worker is believed about nothing that can be checked.

That samples are finite float32 within full scale, and what pictures are made of, was checked when the
message was read.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from ..wire.errors import Malformed
from ..wire.messages import Clip, FoleyRequest, Made, PictureRequest, PictureResult, Request, Result

FRAME_S = Fraction(
    1, 60
)  # one frame at the fastest of the common rates: the strictest reading of "one frame"
SPOT_S = Fraction(20)  # a single sound may ring on after the shot, but not for ever


def check_result(request: Request, result: Made) -> None:
    """Raises Malformed when ``result`` cannot be the answer to ``request``."""
    if isinstance(request, FoleyRequest) and isinstance(result, Result):
        _check_sound(request, result)
    elif isinstance(request, PictureRequest) and isinstance(result, PictureResult):
        _check_pictures(request, result)
    else:
        raise Malformed(
            "The worker answered something else than was asked; it was not used. Try again.",
            f"{type(result).__name__} for a {type(request).__name__}",
        )


def _check_pictures(request: PictureRequest, result: PictureResult) -> None:
    wanted = [(span, take) for span in range(len(request.starts_s)) for take in range(request.takes)]
    found = [(picture.span, picture.take) for picture in result.pictures]
    if found != wanted:
        raise Malformed(
            "The worker sent other pictures than were asked for; they were not used. Try again.",
            f"{len(wanted)} were asked for, arrived: {found[:50]}",
        )


def _check_sound(request: FoleyRequest, result: Result) -> None:
    for clip in result.clips:
        _check_clip(request, clip)
    beds = Counter(clip.take for clip in result.clips if clip.layer == "bed")
    wanted = set(_takes(request)) if "bed" in request.layers else set()
    if set(beds) != wanted or any(count != 1 for count in beds.values()):
        raise _refused(f"{request.takes} takes were asked for, beds arrived for {sorted(beds.elements())}")


def _takes(request: FoleyRequest) -> range:
    return range(request.first_take, request.first_take + request.takes)


def _check_clip(request: FoleyRequest, clip: Clip) -> None:
    if clip.take not in _takes(request) or clip.layer not in request.layers:
        raise _refused(f"take {clip.take} of layer {clip.layer} was not asked for")
    if clip.rate_hz != request.rate_hz:
        raise _refused(f"{clip.rate_hz} Hz instead of {request.rate_hz} Hz")
    length = Fraction(len(clip.waveform), clip.rate_hz)
    if clip.layer == "bed":
        fits = clip.start_s == 0 and abs(length - request.duration_s) <= FRAME_S
    else:
        fits = clip.start_s <= request.duration_s and length <= max(request.duration_s, SPOT_S) + FRAME_S
    if not fits:
        raise _refused(
            f"{clip.layer} of {float(length):.4f} s at {float(clip.start_s):.4f} s "
            f"for a shot of {float(request.duration_s):.4f} s"
        )


def _refused(detail: str) -> Malformed:
    return Malformed(
        "The worker sent sound that does not fit the shot; it was not used. Generate again.", detail
    )
