# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter's card: its README.md with where it comes from, what it was measured at, and what it cannot do.

Figures are read from the trainings' logs and from the report of ``footfall eval``; none is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ...addon.wire.errors import BadInput, ModelError
from ..models import manifest
from ..models.bundle import CONFIGS, Bundle, open_bundle
from ..models.weights import read_header

FILE = "README.md"
REPORT = "report"
PICTURES = {
    "spectrograms-picture-1.png": "sounds-from-pictures.png",
    "spectrograms-text-1.png": "sounds-from-words.png",
}
LARGEST, COLOURS = (1100, 3000), 64
TRAININGS = ("clip", "clap", "vae", "vocoder", "audioldm", "mapper-regression", "mapper-generative", "judge")

HEAD = """# Starter

The model that ships with Footfall: CLIP, CLAP, two V2A-Mappers and AudioLDM's UNet, VAE and vocoder in the
public layouts, small enough for a laptop's processor. It was trained only on pictures and sounds that
`server/train/synth` makes: procedural Foley of 46 families, and Blender scenes of the 40 that can be seen. No
recording, no photograph and nobody else's model is in it. Licence: CC0-1.0, also for what it makes.

Again from nothing: `footfall train starter`, `footfall eval --model DIR`, `footfall train card`.
"""
LIMITS = """## What it cannot do

- It knows the world that it was trained on: simple shapes on plain grounds, rendered at 112 pixels. Real film
  and finished characters are far from that; it then takes the nearest thing that it knows. Words outside its
  46 families lead to the nearest family as well.
- Speech, music and singing: it never heard any.
- 16 kHz inside, so nothing above 8 kHz; Footfall writes 48 kHz files all the same.
- Takes of one family are alike: object and material come through, finer character hardly.
- Time: like AudioLDM it has no sense of when something happens. Footfall places hits by its spots.
"""


def write_card(work: Path, target: Path, report: Path) -> Bundle:
    """Writes the card of the bundle ``target`` and lists it in ``bundle.toml``.

    ``report``: a folder that ``footfall eval`` wrote. Raises BadInput without one, ModelError (disk full).
    """
    bundle = open_bundle(target)
    try:
        words = (report / f"{REPORT}.md").read_text("utf-8")
    except OSError as error:
        sentence = (
            f"There is no report in {report}; make one with: footfall eval --model {target} --out {report}"
        )
        raise BadInput(sentence, str(error)) from error
    try:
        shown = [name for source, name in PICTURES.items() if _copied(report / source, target / name)]
        pictures = [f"![Spectrograms: {name[:-4].replace('-', ' ')}]({name})\n" for name in shown]
        measured = words.replace("\n#", "\n##").replace("# Evaluation", "## Measured", 1)
        lines = [
            HEAD,
            *pictures,
            "## Parts\n",
            *_parts(bundle),
            "",
            "## Training\n",
            *_trainings(work),
            "",
            LIMITS,
        ]
        (target / FILE).write_text("\n".join([*lines, measured]), "utf-8")
        said, _ = manifest.read(target)
        manifest.seal(target, said)
    except OSError as error:
        raise ModelError(
            f"The card could not be written to {target}; is the disk full?", str(error)
        ) from error
    return open_bundle(target)


def _copied(source: Path, target: Path) -> bool:
    """Smaller and in fewer colours: weights are what the room is for."""
    if source.is_file():
        with Image.open(source) as picture:
            picture.thumbnail(LARGEST)
            picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    return target.is_file()


def _parts(bundle: Bundle) -> Iterator[str]:
    yield from ("| part | parameters | MB |", "|---|---|---|")
    for part in (*CONFIGS, *(f"mappers/{kind}" for kind in bundle.mappers if kind != "bridge")):
        if part == "scheduler" or not bundle.has(part):
            continue
        path = bundle.weights(part)
        count = sum(_size(row.shape) for row in read_header(path).values())
        yield f"| {part} | {count:,} | {path.stat().st_size / 1e6:.1f} |"
    yield f"| everything | | {bundle.size_bytes / 1e6:.1f} |"


def _size(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product


def _trainings(work: Path) -> Iterator[str]:
    """A row for each log. Seconds are of the clock, on whatever else the machine had to do."""
    yield from ("| training | steps | minutes | last losses |", "|---|---|---|---|")
    for name in TRAININGS:
        last = _last_row(work / name / "log.jsonl")
        if last is None:
            continue
        losses = {key.split("/")[-1]: value for key, value in last.items() if key not in ("step", "seconds")}
        shown = ", ".join(
            f"{key} {value:.3g}" for key, value in losses.items() if key != "gradient" and value
        )
        command = f"`footfall train {name.replace('-', ' --kind ')}`"
        yield f"| {command} | {last['step']:,} | {last['seconds'] / 60:.0f} | {shown} |"


def _last_row(path: Path) -> dict[str, float] | None:
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            row = json.loads(line)
        except ValueError:  # cut short by a kill
            continue
        if isinstance(row, dict) and {"step", "seconds"} <= set(row):
            return row
    return None
