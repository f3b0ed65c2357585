# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job made goes to disk: where, as what, and who else is told. Written on the client's thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .. import folders

if TYPE_CHECKING:
    from .session import Follower, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What the client's thread needs to write what a job made. ``write``: called with the result and a
    save.SaveTarget; ``what``: sound or picture.
    """

    write: Callable[[Any, Any], Any]
    what: str
    blend_path: str
    preference: str
    watch: Follower | None = None

    def store(self, result: Any) -> Any:
        """Write ``result`` and tell who else waits for it. Raises SaveError or BadInput."""
        from ..sounds import save

        fallback = folders.data_folder() / save.FALLBACK
        stored = self.write(result, save.choose_folder(self.blend_path, self.preference, fallback, self.what))
        if self.watch is not None:
            self.watch.delivered(stored)
        return stored


def sound_writer(work: Work, request: Any) -> Callable[[Any, Any], Any]:
    """Writes the sound of a job, with the story of what was asked."""
    from ..sounds import delivery
    from ..sounds.placement import Shot
    from ..takes.provenance import asked

    order = work.order
    facts = order.facts
    if work.watch is not None:
        facts["shot"] = work.watch.shot_key
    shot, what = Shot(start_frame=Fraction(order.span.start), rate=order.rate), asked(request, facts)

    def write(result: Any, target: Any) -> Any:
        return delivery.deliver(result, shot, what, target, order.aims)

    return write


def picture_writer(order: Any, request: Any) -> Callable[[Any, Any], Any]:
    """Writes the pictures of a sound."""
    from .pictures import jobs as picture_jobs

    return picture_jobs.writer(order, request)
