# SPDX-License-Identifier: GPL-3.0-or-later
"""The words that the two towers learn: their tokenizers, and which captions of the bank tell of which family.

The bank (server/models/captions.txt) knows far more sounds than the synthetic world. Lines that tell of one
of its families are further captions of them; all others are words that no shot answers to.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ..models import captions, tokens
from ..models.manifest import sha256_file
from .synth.families import FAMILIES
from .synth.shots import make_shot

FOLDER = "vocabulary"
_SHOTS_A_TOKEN = 2  # their captions train the tokenizers

# Looked for in this order; the first that is found names the family. Lines about what the world has not, but
# which use its words, come first.
_NOT_OURS = (
    r"cartoon|magic|spell|wand|dinosaur|ghost|monster|spaceship|laser|dog\b|horse|guitar|piano|violin|drum|"
    r"harp|trumpet|paper|microwave|arrow|gun|rifle|pistol|bullet|snor|toilet|heart|water bottle|bicycle|"
    r"plane|helicopter|ship\b|boat|sailing|skate|ski\b|rocket|camera|eating|chewing|drinking|typing a message"
)
_GROUNDS = (
    ("gravel", r"gravel|pebble|rubble|shingle"),
    ("snow", r"snow|frozen|\bice\b"),
    ("grass", r"grass|lawn|meadow"),
    ("metal", r"metal|grating|steel|iron"),
    ("wood", r"wood|floorboard|parquet|plank|pier\b|\bdeck"),
    ("stone", r"stone|concrete|marble|tile|pavement|asphalt|cobble|brick"),
)
_STUFF = (
    ("rubber", r"rubber|basketball|tennis ball|football|beach ball|tyre"),
    ("glass", r"glass|bottle|jar\b|marbles"),
    ("plastic", r"plastic|ping pong|toy|bucket"),
    ("metal", r"metal|steel|iron|coin|brass|copper|wrench|spanner|anvil|\bpan\b|spoon|tin\b|aluminium"),
    ("wood", r"wood|log\b|plank|branch|barrel|crate|bat\b"),
    ("stone", r"stone|rock|brick|boulder|concrete block|pebble"),
)
_PLAIN = (
    ("purr", r"purr"),
    ("thunder", r"thunder|lightning"),
    ("explosion", r"explo|\bbomb|blast|detonat|firework|dynamite"),
    ("sparks", r"spark|welding|electric arc|short circuit"),
    ("saw", r"\bsaw(s|ing|n)?\b|handsaw"),
    ("typewriter", r"typewriter|typing|keyboard"),
    ("alarm", r"alarm|siren|beep|buzzer"),
    ("bell", r"\bbells?\b|gong|singing bowl"),
    ("clock", r"clock|metronome|ticking|\bwatch\b"),
    ("train", r"\btrains?\b|\btram\b|\brails\b|locomotive"),
    ("spray", r"spray|aerosol|steam\b|\bhose\b|hiss"),
    ("fire", r"\bfire\b|fireplace|campfire|bonfire|flames|\btorch\b"),
    ("rain", r"\brain|drizzle|downpour"),
    ("drops", r"drip|drops? of water|droplet"),
    ("splash", r"splash|plung|into (the )?(water|pool|pond|lake)"),
    ("pour", r"\bpour|filled with water|water filling"),
    ("waves", r"\bwaves?\b|\bsurf\b|\bsea\b|ocean"),
    ("stream", r"\bstream|river|brook|creek|waterfall|babbling"),
    ("leaves", r"leaves|foliage|rustling (bush|tree)|reeds"),
    ("wind", r"\bwinds?\b|breeze|\bgusts?\b|blizzard"),
    ("engine", r"engine|\bcars?\b|truck|lorry|motorcycle|motorbike|tractor"),
    ("motor", r"\bdrill|\bfan\b|electric motor|vacuum cleaner|blender|mixer|robot|servo|hair dryer"),
    ("birds", r"\bbirds?\b|birdsong|sparrow|\brobin\b|blackbird|nightingale|chickadee|\bfinch|canary"),
    ("insects", r"cricket|cicada|\bfly\b|\bflies\b|\bbees?\b|mosquito|insect|grasshopper|wasp"),
    ("murmur", r"murmur|chatter|crowd talking|people talking|many voices"),
    ("room_tone", r"room tone|silence|quiet room|ambience of an? empty"),
    ("creak", r"creak|squeaky? (door|hinge)|hinge"),
    ("door", r"\bdoor.*(slam|shut|clos)|(slam|shut|clos).*\bdoor|cupboard (door )?(shut|clos)|gate.*shut"),
    ("switch", r"\bclick|\bswitch|\blatch|button"),
    ("glass_break", r"(glass|window|bottle|mirror|vase|pane|plate|cup).*(break|shatter|smash|crack)|shards"),
    ("roll", r"\broll(s|ing|ed)?\b"),
    ("scrape", r"scrap|dragg|sliding|grinding|pushed along"),
    ("whoosh", r"whoosh|swish|swing|swung|whip|rushing past|flying past"),
    ("cloth", r"cloth|fabric|jacket|coat\b|curtain|\bflag\b|scarf|shirt|bed sheet|blanket|dress\b"),
)
_STEPS = r"footstep|boots|heels|bare feet|sneakers|walking on|running on|steps on"
_IMPACT = r"hit|drop|fall|bounc|strik|knock|land|thud|clang|clink|tap|impact|dribbl|set down|thrown"


@cache
def bank_families() -> Mapping[str, str]:
    """Caption of the bank -> the family it tells of; captions of none are not in it."""
    found = {line: family_of(line) for line in captions.captions()}
    return {line: name for line, name in found.items() if name}


def family_of(text: str) -> str:
    """The family that a caption's words name, or nothing."""
    text = text.lower()
    if re.search(_NOT_OURS, text):
        return ""
    if re.search(_STEPS, text):
        ground = _first(_GROUNDS, text)
        return f"steps_{ground}" if ground else ""
    plain = next((name for name, words in _PLAIN if re.search(words, text)), "")
    if plain or not re.search(_IMPACT, text):
        return plain
    stuff = _first(_STUFF, text)
    return f"impact_{stuff}" if stuff else ""


def _first(table: Sequence[tuple[str, str]], text: str) -> str:
    """The name whose words stand furthest to the front: what falls is said before what it falls on."""
    places = [(found.start(), name) for name, words in table if (found := re.search(words, text))]
    return min(places)[1] if places else ""


def texts(size: int) -> list[str]:
    """What a tokenizer of ``size`` tokens is trained on: the world's own captions and the bank."""
    shots = (make_shot("train", number) for number in range(_SHOTS_A_TOKEN * size))
    said = {caption: None for shot in shots for caption in shot.captions}
    return [*said, *captions.captions()]


def clip_tokenizer(work: Path, size: int) -> Path:
    """The folder with CLIP's tokenizer of at most ``size`` tokens; trained once for a working folder, so that
    a training that goes on meets the same.
    """
    return _once(work / FOLDER / f"clip-{size}", lambda folder: tokens.write_clip(folder, size, texts(size)))


def clap_tokenizer(work: Path, size: int) -> Path:
    """The folder with CLAP's tokenizer files, likewise."""
    return _once(
        work / FOLDER / f"clap-{size}", lambda folder: tokens.write_roberta(folder, size, texts(size))
    )


def fingerprint(folder: Path) -> str:
    """sha256 of the tokenizer in ``folder``: a tower trained with another one knows other words."""
    return sha256_file(folder / "tokenizer.json")


def _once(folder: Path, write: Callable[[Path], None]) -> Path:
    if not (folder / "tokenizer.json").is_file():
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        try:
            write(fresh)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return folder


def names() -> tuple[str, ...]:
    """Every family, in the world's order."""
    return tuple(family.name for family in FAMILIES)
