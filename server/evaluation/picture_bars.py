# SPDX-License-Identifier: GPL-3.0-or-later
"""What pictures of sounds must reach, and whether they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .bars import Bar
from .picture_scores import Difference
from .picture_systems import AUDIOTOKEN, CAPTION, LABEL
from .scores import Row

TIMES_CHANCE = 5.0  # of AIC
OF_LABEL = 0.7  # of the AIC of what is painted from the family's words
SHARE = 0.05  # of all parameters, that may be learnt for sounds
SECONDS = 5.0  # for one picture


def picture_bars(
    rows: Sequence[Row],
    differences: Sequence[Difference],
    chance: float,
    share: float,
    seconds_each: float,
) -> tuple[Bar, ...]:
    return tuple(_bars({row.name: row for row in rows}, differences, chance, share, seconds_each))


def _bars(
    rows: dict[str, Row], differences: Sequence[Difference], chance: float, share: float, seconds_each: float
) -> Iterator[Bar]:
    def bar(words: str, wanted: float, found: float, low: bool = False) -> Bar:
        return Bar(words=words, system=AUDIOTOKEN, condition="sound", wanted=wanted, found=found, low=low)

    aic = rows[AUDIOTOKEN].value("aic")
    yield bar("AIC, times chance", TIMES_CHANCE, aic / chance)
    label = rows[LABEL].value("aic") if LABEL in rows else 0.0
    yield bar("AIC, of the text label's", OF_LABEL, aic / label if label else float("nan"))
    for one in differences:
        if one.other == CAPTION and one.score == "iis":
            yield bar("IIS above the nearest caption's", 0.0, one.lead.value)
    yield bar("share of all parameters that was learnt", SHARE, share, low=True)
    yield bar("seconds for one picture", SECONDS, seconds_each, low=True)
