# SPDX-License-Identifier: GPL-3.0-or-later
"""The version gate: two halves of different protocol versions must not talk to each other."""

from __future__ import annotations

from .errors import VersionMismatch
from .messages import PROTOCOL_MAJOR
from .texts import scrub


def check_version(major: int, version_text: str) -> None:
    """``major``, ``version_text``: protocol and release of the other side. Raises VersionMismatch."""
    if type(major) is int and major == PROTOCOL_MAJOR:
        return
    theirs = scrub(str(major), 20)
    release = scrub(str(version_text), 40) or "unknown"
    raise VersionMismatch(
        f"The other half of Footfall (release {release}) speaks protocol {theirs}, this one "
        f"protocol {PROTOCOL_MAJOR}; set up the worker again from this extension, then restart Blender.",
        f"theirs: {theirs} ({release}), ours: {PROTOCOL_MAJOR}",
    )
