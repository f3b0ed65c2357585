# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes that older versions laid on muted channels: put into the list of the strip that is heard."""

from __future__ import annotations

from typing import Any

from ...takes.history import KEY
from .. import sequencer
from . import strips as take_strips


def siblings(scene: Any, strip: Any) -> list[Any]:
    """Muted strips that are other takes of the same sound and begin with ``strip``."""
    story = sequencer.story_of(strip)
    if story is None:
        return []
    found = []
    for other in sequencer.shown_strips(scene):
        if other == strip or not other.mute or KEY in other or not take_strips.is_ours(other):
            continue
        told = sequencer.story_of(other)
        if (
            told is not None
            and (told.job_id, told.layer, told.index) == (story.job_id, story.layer, story.index)
            and told.take != story.take
            and sequencer.span(other)[0] == sequencer.span(strip)[0]
        ):
            found.append((told.take, other))
    return [other for _, other in sorted(found, key=lambda pair: pair[0])]


def gather(scene: Any, strip: Any) -> int:
    """Put them into the list of ``strip`` and take their strips away; how many. Raises BadInput."""
    sequencer.require_editable(scene)
    takes = take_strips.takes_of(strip)
    others = siblings(scene, strip)
    if takes is None or not others:
        return 0
    for other in others:
        single = take_strips.takes_of(other)
        if single is not None:
            takes = takes.added(single.takes[0])
    take_strips.keep(strip, takes)
    with sequencer.undisturbed(scene):
        sequencer.remove_strips(scene, others)
    return len(others)
