# SPDX-License-Identifier: GPL-3.0-or-later
"""The Video Sequence Editor, and the only place that knows how it differs between Blender 4.2 and 5.2.

New names are asked for first, since the old ones warn on 5.1 and later; ``hasattr`` decides, never a version
number. Nothing here keeps a strip or a scene: undo frees them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy

from ..sounds.placement import LAST_FRAME, Channel, PlannedMeta, PlannedStrip, Seat, lane, seats
from ..takes.provenance import KEY, Story, read
from ..timeline import Rate
from ..wire.errors import BadInput

UUID_KEY = f"{KEY}_uuid"  # beside the story, so that finding a strip needs no JSON
META_KEY = f"{KEY}_meta"  # on metas alone, which have no story
CHANNELS = 128

Span = tuple[int, int]  # first frame, first frame that is no longer part


# Scene and editor


def seq_scene(context: Any) -> Any:
    """The scene whose sequencer the user sees; from 5.0 on it may differ from the active one, or be unset."""
    return getattr(context, "sequencer_scene", None) or context.scene


def show_scene(context: Any, scene: Any) -> bool:
    """Let an empty sequencer of the user's workspace show ``scene``; a choice that was made stays."""
    workspace = context.workspace
    if (
        workspace is None
        or not hasattr(workspace, "sequencer_scene")
        or workspace.sequencer_scene is not None
    ):
        return False
    workspace.sequencer_scene = scene
    return True


def find_scene(name: str, uid: int = 0) -> Any | None:
    """The scene with this ``session_uid``, which survives undo and renaming but not loading; 0: by name."""
    for scene in bpy.data.scenes:
        if (scene.session_uid == uid) if uid else (scene.name == name and scene.library is None):
            return scene
    return None


def scene_rate(scene: Any) -> Rate:
    """The frame rate of ``scene``, exactly."""
    return Rate(scene.render.fps, scene.render.fps_base)


def require_editable(scene: Any) -> None:
    """Raises BadInput for a scene whose strips would not be saved with this file."""
    if scene.library is not None or scene.override_library is not None:
        raise BadInput(
            f"The scene “{scene.name}” is linked from another file and cannot be changed here; "
            "open that file, or place the sound into a scene of this one."
        )


def ensure_editor(scene: Any) -> Any:
    """The sequence editor of ``scene``, made if there is none. Raises BadInput for a linked scene."""
    require_editable(scene)
    return scene.sequence_editor if scene.sequence_editor is not None else scene.sequence_editor_create()


# Strips


def strips(holder: Any) -> Any:
    """The strips at the top of an editor, or directly in a meta strip."""
    # Never `a.strips or a.sequences`: an empty collection is false.
    return holder.strips if hasattr(holder, "strips") else holder.sequences


def all_strips(scene: Any) -> list[Any]:
    """Every strip of ``scene``, those inside metas too; empty without an editor."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def shown_strips(scene: Any) -> list[Any]:
    """What the user sees in the sequencer: the inside of a meta that is open, else the top."""
    editor = scene.sequence_editor
    if editor is None:
        return []
    return list(strips(editor.meta_stack[-1] if len(editor.meta_stack) else editor))


def span(strip: Any) -> Span:
    """First frame, and first frame after ``strip``."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def set_span(strip: Any, first: int, end: int) -> None:
    """Trim ``strip`` to begin at ``first`` and end before ``end``; its content stays where it is."""
    if end <= first:
        raise BadInput("A strip needs at least one frame.")
    before = span(strip)
    names = ("left_handle", "right_handle")
    if not hasattr(strip, "left_handle"):
        names = ("frame_final_start", "frame_final_end")
    # Never let the start pass the end on the way.
    order = [(names[1], end), (names[0], first)] if end > before[0] else [(names[0], first), (names[1], end)]
    for name, value in order:
        setattr(strip, name, value)


def selected_spans(scene: Any) -> list[Span]:
    """The spans of the strips that are selected where the user looks."""
    return [span(strip) for strip in shown_strips(scene) if strip.select]


def strips_between(scene: Any, first: int, end: int) -> list[Any]:
    """Top strips that have a frame in common with ``first`` up to but not including ``end``."""
    editor = scene.sequence_editor
    found = [] if editor is None else list(strips(editor))
    return [strip for strip in found if span(strip)[0] < end and first < span(strip)[1]]


# Channels


def channels(editor: Any) -> list[Channel]:
    """The channels 1 to 128 as they are now."""
    spans: dict[int, list[Span]] = {}
    for strip in strips(editor):
        spans.setdefault(int(strip.channel), []).append(span(strip))
    words = bpy.app.translations.pgettext_data("Channel %d")
    found = []
    for number in range(1, min(CHANNELS, len(editor.channels) - 1) + 1):
        channel = editor.channels[number]
        given = {f"Channel {number}", words.replace("%d", str(number))}
        found.append(
            Channel(
                number=number,
                name=channel.name,
                unnamed=channel.name in given,
                locked=channel.lock,
                muted=channel.mute,
                spans=tuple(spans.get(number, ())),
            )
        )
    return found


def free_channel(editor: Any, first: int, end: int, preferred: int = 1) -> int:
    """The channel nearest to ``preferred`` that can take a strip there. Raises BadInput when all are full."""
    room = [
        channel.number
        for channel in channels(editor)
        if not channel.locked and all(e <= first or end <= s for s, e in channel.spans)
    ]
    if not room:
        raise BadInput(
            f"No channel has room from frame {first} to {end}: all are full or locked. "
            "Free one and place the sound again."
        )
    return min(room, key=lambda number: (abs(number - preferred), number))


def take_seats(editor: Any, wanted: Iterable[PlannedStrip | PlannedMeta]) -> list[Seat]:
    """Seats for ``wanted`` among what is there now. Raises BadInput when there is no room."""
    return seats(wanted, channels(editor))


# Metas


def metas(scene: Any) -> dict[str, Any]:
    """UUID -> our meta strips, wherever the user has put them."""
    return {strip[META_KEY]: strip for strip in all_strips(scene) if isinstance(strip.get(META_KEY), str)}


def add_meta(scene: Any, meta: PlannedMeta, seat: Seat) -> Any:
    """The empty meta strip that ``meta`` plans. ``fit`` it once it is filled."""
    editor = ensure_editor(scene)
    made = strips(editor).new_meta(meta.name, seat.channel, meta.start)
    made[META_KEY] = meta.uuid
    made.color_tag = meta.color
    made.select = False
    set_span(made, meta.start, meta.end)
    if seat.name:
        editor.channels[seat.channel].name = seat.name
    return made


def seat_in(meta: Any, strip: PlannedStrip) -> Seat:
    """A place for ``strip`` in ``meta``. Raises BadInput when it is full there."""
    taken = ((int(other.channel), *span(other)) for other in strips(meta))
    return Seat(channel=lane(strip.start, strip.end, taken))


def fit(meta: Any) -> None:
    """Have ``meta`` begin and end with what is in it: it plays nothing beyond, and does not follow."""
    spans = [span(strip) for strip in strips(meta)]
    wanted = min((first for first, _ in spans), default=0), max((end for _, end in spans), default=0)
    if spans and span(meta) != wanted:
        set_span(meta, *wanted)


# Sound strips


def is_retimed(strip: Any) -> bool:
    """Whether the user has changed the speed of ``strip``."""
    return len(getattr(strip, "retiming_keys", ())) > 0


def shift(strip: Any, frames: int) -> None:
    """Move ``strip`` with its trims by ``frames``; a meta of ours around it grows or shrinks with it."""
    name = "content_start" if hasattr(strip, "content_start") else "frame_start"
    setattr(strip, name, getattr(strip, name) + frames)
    fit_around(strip)


def fit_around(strip: Any) -> None:
    """Have a meta of ours around ``strip`` begin and end with what is in it."""
    meta = strip.parent_meta()
    if meta is not None and META_KEY in meta:
        fit(meta)


def content_end(strip: Any) -> int:
    """First frame after the content of ``strip``, as long as the file was when the strip was made."""
    if hasattr(strip, "content_end"):
        return int(strip.content_end)
    return int(strip.frame_start + strip.frame_duration)


def room_end(scene: Any, strip: Any) -> int:
    """First frame after ``strip`` that another strip on its channel takes up; far away if there is none."""
    holder = strip.parent_meta() or scene.sequence_editor
    first = span(strip)[0]
    starts = [span(other)[0] for other in strips(holder) if other.channel == strip.channel and other != strip]
    return min((start for start in starts if start > first), default=LAST_FRAME)


def remove(scene: Any, uuids: set[str]) -> None:
    """Take the strips with these UUIDs away, what ``let_go`` takes of their sounds, and metas that are left
    empty.
    """
    for strip in [strip for strip in all_strips(scene) if uuid_of(strip) in uuids]:
        discard(strip.parent_meta() or scene.sequence_editor, strip)
    for meta in metas(scene).values():
        if not len(strips(meta)):
            strips(meta.parent_meta() or scene.sequence_editor).remove(meta)


def remove_strips(scene: Any, gone: Iterable[Any]) -> None:
    """Take these strips away; their sounds stay."""
    for strip in list(gone):
        strips(strip.parent_meta() or scene.sequence_editor).remove(strip)


def discard(holder: Any, strip: Any) -> None:
    """Take ``strip`` out of ``holder``, and its sound if nothing else plays it."""
    sound = strip.sound
    strips(holder).remove(strip)
    if sound is not None:
        let_go(sound)


def let_go(sound: Any) -> None:
    """Remove ``sound`` if nothing plays it. With a window it stays, unsaved, until the file is closed.

    There a thread of Blender's may still be reading it for its waveform, and would read on in freed memory:
    a crash in 5.2. What cannot be read may go, and has to: a mended file is read anew then.
    """
    if sound.users == 0 and (bpy.app.background or sound.samplerate == 0):
        bpy.data.sounds.remove(sound)


def stored_path(path: Path) -> str:
    """``path`` as the .blend keeps it: relative when it lies below it, so that both can move together."""
    folder = os.path.dirname(bpy.data.filepath)
    if folder and path.is_relative_to(folder):
        return bpy.path.relpath(str(path)).replace("\\", "/")
    return str(path)


@contextlib.contextmanager
def undisturbed(scene: Any) -> Iterator[None]:
    """Prefetch off while strips change, since its thread would read what changes.

    The caches stay as they are: without prefetch only this thread fills them, and switching them crashes 5.0
    and 5.2 when the active scene is another one and has no sequencer.
    """
    editor = scene.sequence_editor
    running = editor is not None and getattr(editor, "use_prefetch", False)
    if running:
        editor.use_prefetch = False
    try:
        yield
    finally:
        if running and scene.sequence_editor is not None:
            scene.sequence_editor.use_prefetch = True


# Finding ours again


def uuid_of(strip: Any) -> str:
    """The UUID that we gave ``strip``, or ""."""
    found = strip.get(UUID_KEY, "")
    return found if isinstance(found, str) else ""


def find(scene: Any, uuid: str) -> list[Any]:
    """The strips with this UUID, inside metas too; more than one when the user has copied it."""
    return [strip for strip in all_strips(scene) if uuid_of(strip) == uuid]


def story_of(strip: Any) -> Story | None:
    """The story of ``strip``, or None when it is not ours."""
    return read(strip.get(KEY))


# Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """Where a strip's content comes from. ``kind``: MOVIE, IMAGE, SOUND or SCENE; ``missing``: of ``paths``.

    ``start``: frame of the timeline at which the content's own first frame would lie.
    """

    kind: str
    start: Fraction
    paths: tuple[Path, ...] = ()
    missing: tuple[Path, ...] = ()
    scene_name: str = ""


def media(strip: Any) -> Media | None:
    """What ``strip`` plays, or None for effects, text, colours and metas."""
    paths: tuple[Path, ...] = ()
    scene_name = ""
    if strip.type == "MOVIE":
        paths = (absolute(strip, strip.filepath),)
    elif strip.type == "IMAGE":
        names = dict.fromkeys(element.filename for element in strip.elements)
        paths = tuple(absolute(strip, os.path.join(strip.directory, name)) for name in names)
    elif strip.type == "SOUND":
        paths = () if strip.sound is None else (absolute(strip.sound, strip.sound.filepath),)
    elif strip.type == "SCENE":
        scene_name = "" if strip.scene is None else strip.scene.name
    else:
        return None
    packed = strip.type == "SOUND" and strip.sound is not None and strip.sound.packed_file is not None
    missing = () if packed else tuple(path for path in paths if not path.is_file())
    start = strip.content_start if hasattr(strip, "content_start") else strip.frame_start
    return Media(kind=strip.type, start=Fraction(start), paths=paths, missing=missing, scene_name=scene_name)


def absolute(owner: Any, path: str) -> Path:
    """``path`` as the file system knows it; ``owner``: the strip or data-block that has it."""
    block = owner if isinstance(owner, bpy.types.ID) else owner.id_data
    return Path(bpy.path.abspath(path, library=block.library))
