# SPDX-License-Identifier: GPL-3.0-or-later
"""How a job ends: with what was made, checked, or a failure in words. Pure; torch is never imported."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import numpy as np

from ...addon.wire import limits
from ...addon.wire.errors import BadInput, FootfallError, ModelError, WireError
from ...addon.wire.fields import check
from ...addon.wire.messages import Clip, Failed, FoleyRequest, PictureRequest
from ...addon.wire.texts import scrub
from ..control import Painting, Rendering

OUT_OF_MEMORY = (
    "There is not enough memory for this job: shorten the range, ask for fewer takes or a lower quality, "
    "or close other programs that use the graphics card, then try again."
)
UNFORESEEN = (
    "The worker could not do this because of an error in Footfall; copy the details and report them. "
    "The next job is not affected."
)
_UNUSABLE_PICTURE = "The model painted what cannot be used ({}); try another seed, quality or model."
_UNUSABLE = "The model made a sound that cannot be used ({}); try another seed, quality or model."

# How torch, its allocators and CUDA's libraries word it. They raise RuntimeError, or a class that we cannot
# import here, so names and words are all there is to go by.
_MEMORY_CLASSES = frozenset({"OutOfMemoryError"})
_MEMORY_WORDS = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_failed",
)


def check_rendering(rendering: object, request: FoleyRequest) -> Rendering:
    """``rendering`` if it is what ``request`` asked for. Raises ModelError or BadInput."""
    if not isinstance(rendering, Rendering):
        raise ModelError(_UNUSABLE.format("no sound at all"), f"run() returned {type(rendering).__name__}")
    if not rendering.clips and not rendering.warnings and not request.only_looks:
        raise ModelError(_UNUSABLE.format("no sound at all"), "no clips, and no warning that says why")
    for clip in rendering.clips:
        _check_clip(clip, request)
    if "bed" in request.layers:
        beds = sorted(clip.take for clip in rendering.clips if clip.layer == "bed")
        if beds != list(_takes(request)):
            raise ModelError(_UNUSABLE.format("a take is missing"), f"takes {beds} of {request.takes}")
    return rendering


def check_painting(painting: object, request: PictureRequest) -> Painting:
    """``painting`` if it is what ``request`` asked for. Raises ModelError or BadInput."""
    if not isinstance(painting, Painting):
        raise ModelError(_UNUSABLE_PICTURE.format("nothing"), f"paint() returned {type(painting).__name__}")
    wanted = [(span, take) for span in range(len(request.starts_s)) for take in range(request.takes)]
    found = [(picture.span, picture.take) for picture in painting.pictures]
    if found != wanted:
        raise ModelError(_UNUSABLE_PICTURE.format("a picture is missing"), f"{found[:50]} of {len(wanted)}")
    for picture in painting.pictures:
        try:
            check(picture)
        except WireError as error:
            raise ModelError(_UNUSABLE_PICTURE.format("no picture"), str(error)) from error
    total = sum(picture.pixels.nbytes for picture in painting.pictures)
    if total > limits.FRAME_BYTES:
        raise BadInput("These pictures are too many to be sent at once; ask for fewer.", f"{total} bytes")
    return painting


def _takes(request: FoleyRequest) -> range:
    return range(request.first_take, request.first_take + request.takes)


def _check_clip(clip: Clip, request: FoleyRequest) -> None:
    try:
        # Checked when it was made, but its array can have been written to since.
        check(clip)
    except WireError as error:
        raise ModelError(_UNUSABLE.format("not a number, or of the wrong kind"), str(error)) from error
    if clip.waveform.nbytes > limits.FRAME_BYTES:
        raise BadInput(
            "This sound is too large to be sent; use a shorter range or a lower sampling rate.",
            f"{clip.waveform.nbytes} bytes",
        )
    samples = len(clip.waveform)
    if float(np.abs(clip.waveform).max()) > 1.0:
        raise ModelError(_UNUSABLE.format("louder than full scale"))
    if clip.rate_hz != request.rate_hz:
        raise ModelError(_UNUSABLE.format("wrong sampling rate"), f"{clip.rate_hz} Hz")
    if clip.layer not in request.layers or clip.take not in _takes(request):
        raise ModelError(_UNUSABLE.format("not asked for"), f"{clip.layer}, take {clip.take}")
    wanted = round(request.duration_s * request.rate_hz)
    if clip.layer == "bed" and (samples != wanted or clip.start_s != 0):
        raise ModelError(_UNUSABLE.format("wrong length"), f"{samples} samples instead of {wanted}")
    if clip.start_s > request.duration_s or samples > wanted:
        raise ModelError(_UNUSABLE.format("it outlasts the shot"), f"{samples} samples at {clip.start_s} s")


def failure(job_id: str, error: BaseException) -> Failed:
    """What the add-on is told about ``error``. Keeps no reference to it, nor to what its frames hold."""
    if is_out_of_memory(error):
        code, sentence = "out_of_memory", OUT_OF_MEMORY
        if isinstance(error, FootfallError):  # the pipeline knows better what would help
            sentence = error.sentence
    elif isinstance(error, FootfallError):
        code, sentence = error.code, error.sentence
    else:
        code, sentence = "error", UNFORESEEN
    # Foreseen errors have said what there is to say, and their traceback is in the log.
    detail = error.detail if isinstance(error, FootfallError) else "".join(traceback.format_exception(error))
    return Failed(
        job_id=job_id,
        code=code,
        sentence=scrub(sentence, limits.SENTENCE),
        # The end is what tells: a traceback's last line is the error itself.
        detail=scrub(detail[-limits.DETAIL :], limits.DETAIL),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """True for MemoryError, our own error, torch's, and what CUDA, Metal and CPU allocators raise."""
    if isinstance(error, FootfallError):
        return error.code == "out_of_memory"
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, MemoryError) or names & _MEMORY_CLASSES:
        return True
    words = str(error)[:2000].lower()
    return isinstance(error, RuntimeError) and _any_in(_MEMORY_WORDS, words)


def _any_in(parts: Sequence[str], text: str) -> bool:
    return any(part in text for part in parts)
