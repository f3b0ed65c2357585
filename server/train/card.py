# SPDX-License-Identifier: GPL-3.0-or-later
"""The starter's card: its README.md with where it comes from, what it was measured at, and what it cannot do.

Figures are read from the trainings' logs and from the report of ``footfall eval``; none is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from ...addon.wire.errors import BadInput, ModelError
from ..models import manifest
from ..models.bundle import Bundle, open_bundle
from ..models.bundle_parts import CONFIGS, EMBEDDER, PICTURE_CONFIGS, TEXT_PRIOR
from ..models.weights import read_header

FILE = "README.md"
REPORT = "report"
PICTURES = {
    "spectrograms-picture-1.png": "sounds-from-pictures.png",
    "spectrograms-text-1.png": "sounds-from-words.png",
    "pictures-1.png": "pictures-from-sounds.png",
}
LARGEST, COLOURS = (1100, 3000), 64
TRAININGS = (
    *(
        "clip",
        "clap",
        "vae",
        "vocoder",
        "audioldm",
        "decoder",
        "mapper-regression",
        "mapper-generative",
        "judge",
    ),
    *("prior", "picture-vae", "painter", "audiotoken"),
)

HEAD = """# Starter

The model that ships with Footfall: CLIP, CLAP, two V2A-Mappers and AudioLDM's UNet, VAE and vocoder in the
public layouts, small enough for a laptop's processor; a prior from words to pictures; and for pictures of
sounds a painter in Stable Diffusion's layout with AudioToken's embedder. It was trained only on pictures and
sounds that `server/train/synth` makes: procedural Foley of 46 families, and Blender scenes of the 40 that can
be seen. No recording, no photograph and nobody else's model is in it. Licence: CC0-1.0, also for what it
makes.

Again from nothing: `footfall train starter`, `footfall eval --model DIR` (and `--compare clipsonic`,
`audiotoken`, `round-trip`), `footfall train card --report DIR --report DIR`.
"""
LIMITS = """## What it cannot do

- It knows the world that it was trained on: simple shapes on plain grounds, rendered at 112 pixels. Real film
  and finished characters are far from that; it then takes the nearest thing that it knows. Words outside its
  46 families lead to the nearest family as well.
- Speech, music and singing: it never heard any.
- 16 kHz inside, so nothing above 8 kHz; Footfall writes 48 kHz files all the same.
- Takes of one family are alike: object and material come through, finer character hardly.
- Its pictures are 64 pixels wide and soft: the kind of scene can be told, fine things cannot.
- Time: like AudioLDM it has no sense of when something happens. Footfall places hits by its spots.
"""


def write_card(work: Path, target: Path, reports: Sequence[Path]) -> Bundle:
    """Writes the card of the bundle ``target`` and lists it in ``bundle.toml``.

    ``reports``: folders that ``footfall eval`` wrote, in the card's order. Raises BadInput without one,
    ModelError (disk full).
    """
    bundle = open_bundle(target)
    measured = [_measured(report, target) for report in reports]
    try:
        found = [(report / source, target / name) for report in reports for source, name in PICTURES.items()]
        shown = dict.fromkeys(picture.name for source, picture in found if _copied(source, picture))
        pictures = [f"![{name[:-4].replace('-', ' ')}]({name})\n" for name in shown]
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
        (target / FILE).write_text("\n".join([*lines, *measured]), "utf-8")
        said, _ = manifest.read(target)
        manifest.seal(target, said)
    except OSError as error:
        raise ModelError(
            f"The card could not be written to {target}; is the disk full?", str(error)
        ) from error
    return open_bundle(target)


def _measured(report: Path, target: Path) -> str:
    """What a report says, its headings one level down."""
    try:
        words = (report / f"{REPORT}.md").read_text("utf-8")
    except OSError as error:
        sentence = (
            f"There is no report in {report}; make one with: footfall eval --model {target} --out {report}"
        )
        raise BadInput(sentence, str(error)) from error
    title = "# Measured" if report.name == REPORT else "# Measured: ways of asking"
    return words.replace("\n#", "\n##").replace("# Evaluation", title, 1).replace("# ", "## ", 1)


def _copied(source: Path, target: Path) -> bool:
    """Smaller and in fewer colours: weights are what the room is for."""
    if source.is_file():
        with Image.open(source) as picture:
            picture.thumbnail(LARGEST)
            picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    return target.is_file()


def _parts(bundle: Bundle) -> Iterator[str]:
    yield from ("| part | parameters | MB |", "|---|---|---|")
    mappers = (f"mappers/{kind}" for kind in bundle.mappers if kind != "bridge")
    for part in (*CONFIGS, *mappers, TEXT_PRIOR, *PICTURE_CONFIGS, EMBEDDER):
        if not bundle.has(part) or part.endswith(("scheduler", "tokenizer")):
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
        command = f"`footfall train {name.replace('mapper-', 'mapper --kind ')}`"
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
