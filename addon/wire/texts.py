# SPDX-License-Identifier: GPL-3.0-or-later
"""Which characters a text on the wire may hold, and how any text is made to fit."""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1, and lone surrogates (which have no UTF-8).
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ELLIPSIS = "…"


def scrub(text: str, most: int) -> str:
    """``text`` as a ``Text(most)`` field takes it: no control characters, cut with an ellipsis.

    For error texts and names from elsewhere, so that telling of a failure can never fail itself.
    """
    # Only a little more than needed is looked at: a traceback may be megabytes long.
    text = text[: max(most, 0) * 4 + 16].replace("\r\n", "\n").replace("\r", "\n")
    clean = FORBIDDEN.sub("", _SURROGATE.sub("\ufffd", text))
    if len(clean) <= most:
        return clean
    return clean[: max(most - 1, 0)] + _ELLIPSIS if most > 0 else ""
