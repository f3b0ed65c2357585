# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that the interface uses for phases, states, times and errors. Pure functions, no bpy.

Whatever comes from outside is cut and cleaned here before it is shown.
"""

from __future__ import annotations

import re
import textwrap

UNBROKEN = "\u00a0"  # a space at which no line is broken

PHASES = {
    "queued": "Waiting its turn",
    "loading": "Loading the model",
    "looking": "Looking at the pictures",
    "mapping": "Finding the sound",
    "sampling": "Making the sound",
    "decoding": "Writing the waveform",
    "finishing": "Finishing",
}
PICTURE_PHASES = PHASES | {
    "mapping": "Listening",
    "sampling": "Painting",
    "decoding": "Painting",
}
STATES = {
    "queued": "Waiting its turn",
    "capturing": "Taking pictures",
    "sent": "Sent to the worker",
    "running": "Working",
    "cancelling": "Cancelling",
    "done": "Placing it",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "placed": "Done",
    "not_placed": "Finished, not placed",
}
# What to do next, for errors whose sentence speaks of messages rather than of the user's work.
NEXT_STEPS = {
    "wire": "Press Restart Worker in the menu above, then Try Again.",
    "forged": "Press Restart Worker in the menu above, then Try Again.",
    "malformed": "Press Restart Worker in the menu above, then Try Again.",
    "version": "Restart Blender; a worker on another computer needs the same version of Footfall.",
}


def clean(text: str, most: int = 300) -> str:
    """``text`` on one line, without control or direction characters, at most ``most`` characters."""
    printable = (c if c.isprintable() or c == UNBROKEN else " " for c in text[: most * 4])
    shown = re.sub(" +", " ", "".join(printable)).strip()
    return shown if len(shown) <= most else shown[: most - 1].rstrip() + "…"


def wrap(text: str, width: int, lines: int = 10) -> list[str]:
    """``text`` as at most ``lines`` lines of about ``width`` characters, for labels that do not wrap; what is
    left out is shown by dots.
    """
    width = max(12, width)
    return textwrap.wrap(clean(text, width * lines), width, max_lines=lines, placeholder="…") or [""]


def next_step(code: str) -> str:
    """What the artist can do about an error with this code; "" where its own sentence says so."""
    return NEXT_STEPS.get(code, "")


def seconds(duration_s: float) -> str:
    """A length as people say it: "0.4 s", "10.0 s", "2 min 5 s"."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, rest = divmod(round(duration_s), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def time_left(left_s: float) -> str:
    """The time left in rounded words; "" while it is not known."""
    if left_s < 0:
        return ""
    if left_s < 1.5:
        return "almost done"
    if left_s < 60:
        return f"{round(left_s)} s left"
    return f"{round(left_s / 60)} min left"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 picture", "40 pictures"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def size(number_bytes: int) -> str:
    """A size for people: "850 MB", "2.4 GB"."""
    if number_bytes < 1e9:
        return f"{max(1, round(number_bytes / 1e6))} MB"
    return f"{number_bytes / 1e9:.1f} GB"
