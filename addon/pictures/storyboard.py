# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a sound get a picture each: all of it, windows of one length, or what lies between cuts.

Pure; seconds as fractions from the start of the sound. Parts follow each other without a gap.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction

from ..wire import limits
from ..wire.errors import BadInput

Part = tuple[Fraction, Fraction]  # from, up to

REST = Fraction(1, 4)  # of a window: a shorter rest at the end joins the one before
SHORTEST_S = Fraction(1, 10)  # between two cuts; what is closer is one


def whole(duration_s: Fraction) -> tuple[Part, ...]:
    """One part."""
    return ((Fraction(0), duration_s),)


def windows(duration_s: Fraction, every_s: Fraction) -> tuple[Part, ...]:
    """Parts of ``every_s``, the last as long as what is left. Raises BadInput where they are too many."""
    count = max(1, int(duration_s / every_s + 1 - REST))
    if count > limits.PICTURES:
        raise BadInput(f"{count} windows are too many; choose longer ones, at most {limits.PICTURES}.")
    edges = [every_s * number for number in range(count)]
    return _between([*edges, duration_s])


def at_cuts(duration_s: Fraction, cuts_s: Iterable[Fraction]) -> tuple[Part, ...]:
    """What lies between cuts, which may come in any order and lie outside. Raises BadInput as ``windows``."""
    edges = [Fraction(0)]
    for cut_s in sorted(cuts_s):
        if cut_s - edges[-1] >= SHORTEST_S and duration_s - cut_s >= SHORTEST_S:
            edges.append(cut_s)
    if len(edges) > limits.PICTURES:
        raise BadInput(f"{len(edges)} parts between cuts are too many; choose a part of the sound.")
    return _between([*edges, duration_s])


def _between(edges: list[Fraction]) -> tuple[Part, ...]:
    return tuple(itertools.pairwise(edges))
