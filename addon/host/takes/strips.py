# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a strip in Blender: reading and keeping its list, and having it play another one.

Playing another take gives the strip another file and nothing else: place, trims, volume, fades, keyframes,
modifiers, name and channel stay. Only where a strip was as long as its sound does its end follow the new one.
"""

from __future__ import annotations

import functools
import os
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ...sounds.placement import Shot
from ...sounds.save import FOLDER
from ...takes import history, provenance
from ...takes.history import Take, Takes
from ...timeline import nearest
from ...wire.errors import BadInput, SaveError
from .. import sequencer
from ..sounds.strips import load_sound, set_sound

if TYPE_CHECKING:
    from ...sounds.delivery import StoredStrip
    from ...takes.joining import Aim

LOCK_KEY = f"{provenance.KEY}_locked"

_read = functools.lru_cache(maxsize=128)(history.read)  # panels ask at every redraw


def is_ours(strip: Any) -> bool:
    """Whether ``strip`` is a sound of Footfall's."""
    return strip is not None and strip.type == "SOUND" and provenance.KEY in strip


def is_locked(strip: Any) -> bool:
    """Whether the user wants this strip left alone: by our lock or by Blender's own."""
    return bool(strip.get(LOCK_KEY, False)) or bool(strip.lock)


def lock(strip: Any, locked: bool) -> None:
    """Lock or unlock the sound of ``strip``."""
    if locked:
        strip[LOCK_KEY] = True
    elif LOCK_KEY in strip:
        del strip[LOCK_KEY]


def takes_of(strip: Any) -> Takes | None:
    """The takes of ``strip``; a list of one for what an older version made; None when it is not ours."""
    if not is_ours(strip):
        return None
    text = strip.get(history.KEY)
    found = _read(text) if isinstance(text, str) else None
    return found or _first(strip)


def place(strip: Any) -> tuple[int, int]:
    """(2, 4) for take 2 of 4."""
    takes = takes_of(strip)
    return (0, 0) if takes is None else takes.place


def _first(strip: Any) -> Takes | None:
    """A list with what ``strip`` plays now."""
    story = sequencer.story_of(strip)
    if story is None:
        return None
    path = "" if strip.sound is None else strip.sound.filepath
    return Takes(takes=(Take(id=story.uuid, path=path, story=strip[provenance.KEY]),), current=story.uuid)


def keep(strip: Any, takes: Takes) -> None:
    """Write the list onto ``strip``. Raises BadInput when it belongs to another file."""
    if strip.id_data.library is not None:
        raise BadInput("This strip is linked from another file; open that file to change its takes.")
    strip[history.KEY] = takes.text()


def begin(strip: Any, items: Sequence[StoredStrip], shot: Shot) -> None:
    """Write the list of a strip that was just made: it plays the first of ``items``."""
    first = items[0].strip
    takes = Takes(at_s=shot.rate.seconds(first.start - shot.start_frame))
    for item in items:
        takes = takes.added(_take(item, "generate", ""))
    keep(strip, replace(takes, current=first.uuid))


def _take(item: StoredStrip, how: str, parent: str) -> Take:
    return Take(
        id=item.strip.uuid,
        path=sequencer.stored_path(item.path),
        parent=parent,
        how=how,
        made=int(time.time()),
        samples=item.strip.samples,
        rate_hz=item.strip.rate_hz,
        story=item.story,
    )


def aimed(scene: Any, aim: Aim) -> list[Any]:
    """The strips that ``aim`` means: those of its names among copies, else all copies; none when gone."""
    found = [strip for strip in sequencer.find(scene, aim.uuid) if is_ours(strip)]
    return [strip for strip in found if strip.name in aim.names] or found


def join(scene: Any, items: Sequence[StoredStrip], aim: Aim, strips: Iterable[Any]) -> None:
    """Add the takes ``items`` to ``strips`` and play the first, but not in one that is locked.

    Raises SaveError when its file is gone.
    """
    for strip in strips:
        takes = takes_of(strip)
        if takes is None:
            continue
        for item in items:
            takes = takes.added(_take(item, aim.how, aim.parent))
        if takes.at_s is None:
            takes = replace(takes, at_s=aim.at_s)
        keep(strip, takes)
        if not is_locked(strip):
            play(scene, strip, items[0].strip.uuid)


def play(scene: Any, strip: Any, take_id: str) -> Take:
    """Have ``strip`` play the take ``take_id``. Raises BadInput or SaveError, then nothing has changed."""
    sequencer.require_editable(scene)
    takes = takes_of(strip)
    take = None if takes is None else takes.get(take_id)
    if takes is None or take is None:
        raise BadInput("This take is no longer in the list of the strip.")
    path = locate(strip, take)
    if path is None:
        raise SaveError(_gone(take))
    block = load_sound(path)
    takes = _with_own_file(strip, takes)
    with sequencer.undisturbed(scene):
        old_end = _sound_end(scene, strip, takes.playing)
        set_sound(strip, block)
        _follow(scene, strip, old_end, _sound_end(scene, strip, take))
    if take.story:
        strip[provenance.KEY] = take.story
    story = take.told
    pulls = () if story is None else tuple((p.words, p.weight) for p in story.settings.get("pulls", ()))
    keep(strip, replace(takes.turned(take_id).changed(take_id, deleted=False), pulls=pulls))
    return take


def _gone(take: Take) -> str:
    name = os.path.basename(take.path.replace("\\", "/"))
    if not name:
        return "The file of this take was purged; its words and seed are kept: press Make Again."
    return f"The file {name} is gone. Put it back beside the .blend, or press Make Again."


def locate(strip: Any, take: Take) -> Path | None:
    """Where the file of ``take`` lies now: where it was kept, beside the strip's present one, or beside the
    .blend. None when it is nowhere.
    """
    if not take.path:
        return None
    library = strip.id_data.library
    wanted = Path(bpy.path.abspath(take.path, library=library))
    name = os.path.basename(take.path.replace("\\", "/"))
    places = [wanted]
    if strip.sound is not None:
        places.append(Path(bpy.path.abspath(strip.sound.filepath, library=library)).parent / name)
    if bpy.data.filepath:
        places.append(Path(bpy.data.filepath).parent / FOLDER / name)
    if any(b.packed_file is not None and bpy.path.basename(b.filepath) == name for b in bpy.data.sounds):
        return next((path for path in places if path.is_file()), wanted)
    return next((path for path in places if path.is_file()), None)


def _with_own_file(strip: Any, takes: Takes) -> Takes:
    """A file that the user has given the strip by hand joins the list, so that it can be gone back to."""
    now = takes.playing
    if strip.sound is None or now is None:
        return takes
    path = Path(bpy.path.abspath(strip.sound.filepath, library=strip.id_data.library))
    if path.name == os.path.basename(now.path.replace("\\", "/")):
        return takes
    own = Take(id=uuid.uuid4().hex, path=strip.sound.filepath, how="file", made=int(time.time()))
    return takes.added(own).turned(own.id)


def _sound_end(scene: Any, strip: Any, take: Take | None) -> int:
    """First frame after the sound of ``take`` in ``strip``."""
    if take is None or not take.length_s:
        return sequencer.content_end(strip)
    found = sequencer.media(strip)
    start = Fraction(0) if found is None else found.start
    return nearest(start + max(Fraction(1), sequencer.scene_rate(scene).frames(take.length_s)))


def _follow(scene: Any, strip: Any, old_end: int, new_end: int) -> None:
    """Where the strip ended with its sound, it does so again, as far as there is room."""
    first, end = sequencer.span(strip)
    if end != old_end or new_end == old_end or sequencer.is_retimed(strip):
        return
    new_end = min(new_end, sequencer.room_end(scene, strip))
    if new_end > first:
        sequencer.set_span(strip, first, new_end)
        sequencer.fit_around(strip)


def ids_there(scene: Any) -> set[str]:
    """The ids of all takes in the lists of ``scene``."""
    lists = (takes_of(strip) for strip in sequencer.all_strips(scene) if history.KEY in strip)
    return {take.id for takes in lists if takes is not None for take in takes.takes}
