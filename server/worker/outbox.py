# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for the add-on: messages to be sent, merged while it is slow; endings until it says Received.

Both belong to the transport's thread. Both are bounded: however long the add-on reads nothing, one entry
per job and kind of message is the most that piles up.
"""

from __future__ import annotations

from collections import OrderedDict

from ...addon.wire.messages import Failed, Made, Message, PictureResult, Progress, Result

KEPT = 64
KEPT_BYTES = 512 * 1024 * 1024
REMEMBERED = 4096

Ending = Made | Failed


class Outbox:
    """First in, first out; a newer message of one kind about one job takes the older one's place."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str], Message] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Nothing is lost but old progress, and progress of an ended job."""
        job_id = getattr(message, "job_id", "")
        if isinstance(message, Ending):
            self._waiting.pop((Progress.__name__, job_id), None)
        self._waiting[type(message).__name__, job_id] = message

    def take(self) -> Message:
        """The oldest. Raises KeyError when empty."""
        return self._waiting.popitem(last=False)[1]


class Endings:
    """How jobs ended, kept by job_id until the add-on has them, so that nothing is made or told twice.

    The oldest are given up beyond KEPT or KEPT_BYTES, never the newest. Of the others the number is
    remembered.
    """

    def __init__(self, *, most: int = KEPT, most_bytes: int = KEPT_BYTES, most_ids: int = REMEMBERED) -> None:
        self._kept: OrderedDict[str, Ending] = OrderedDict()
        self._received: OrderedDict[str, None] = OrderedDict()
        self._most = most
        self._most_bytes = most_bytes
        self._most_ids = most_ids
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Of all sounds and pictures that are kept."""
        return self._bytes

    def keep(self, ending: Ending) -> None:
        """Until ``received``."""
        self._forget(ending.job_id)
        self._kept[ending.job_id] = ending
        self._bytes += _nbytes(ending)
        while len(self._kept) > 1 and (len(self._kept) > self._most or self._bytes > self._most_bytes):
            self._forget(next(iter(self._kept)))

    def get(self, job_id: str) -> Ending | None:
        """The ending of that job, if it is still kept."""
        return self._kept.get(job_id)

    def all(self) -> tuple[Ending, ...]:
        """Oldest first."""
        return tuple(self._kept.values())

    def received(self, job_id: str) -> None:
        """The add-on has it: forget all but the number. An unknown number changes nothing."""
        if not self._forget(job_id):
            return
        self._received[job_id] = None
        if len(self._received) > self._most_ids:
            self._received.popitem(last=False)

    def was_received(self, job_id: str) -> bool:
        """Told, acknowledged and forgotten."""
        return job_id in self._received

    def _forget(self, job_id: str) -> bool:
        ending = self._kept.pop(job_id, None)
        if ending is not None:
            self._bytes -= _nbytes(ending)
        return ending is not None


def _nbytes(ending: Ending) -> int:
    if isinstance(ending, Result):
        return sum(clip.waveform.nbytes for clip in ending.clips)
    if isinstance(ending, PictureResult):
        return sum(picture.pixels.nbytes for picture in ending.pictures)
    return 0
