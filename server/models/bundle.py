# SPDX-License-Identifier: GPL-3.0-or-later
"""A model bundle: a folder with ``bundle.toml`` and one sub-folder per part, each in its own standard layout.

::

    bundle.toml                         what it is, licence, spaces, size and sha256 of every file
    unet/          config.json, diffusion_pytorch_model.safetensors     diffusers UNet2DConditionModel
    vae/           config.json, diffusion_pytorch_model.safetensors     diffusers AutoencoderKL
    vocoder/       config.json, model.safetensors                       transformers SpeechT5HifiGan
    scheduler/     scheduler_config.json                                diffusers DDIMScheduler
    clip/          open_clip_config.json, open_clip_model.safetensors   open_clip
    clap/          config.json, model.safetensors, tokenizer files      transformers ClapModel
    text_encoder/  config.json, model.safetensors                       optional: AudioLDM's own text tower
    mappers/KIND/                                                       optional: regression, generative
    text_prior/                                                         optional: CLIP's words to its pictures
    pictures/{unet,vae,text_encoder,tokenizer,scheduler}/               optional: diffusers StableDiffusion
    pictures/embedder/                                                  optional: sounds to words for these

A bundle makes sound, or pictures, or both; what it lacks of either is not needed for the other.

Only files that ``bundle.toml`` lists are ever opened. Nothing here imports torch.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...addon.wire import limits
from ...addon.wire.errors import FootfallError, ModelMissing, ModelRefused
from ...addon.wire.messages import CONDITIONS, MAPPERS, BundleInfo
from . import manifest, registry
from .bounds import out_of_bounds
from .manifest import FileEntry, Manifest, Ticker, sha256_file

log = logging.getLogger(__name__)

STARTER = "starter"
STARTER_ROOT = Path(__file__).resolve().parents[1] / STARTER
PARTS = ("unet", "vae", "vocoder", "scheduler", "clip", "clap")  # what makes sound has these
TEXT_PRIOR = "text_prior"
EMBEDDER = "pictures/embedder"
CONFIGS = {
    "unet": "config.json",
    "vae": "config.json",
    "vocoder": "config.json",
    "scheduler": "scheduler_config.json",
    "clip": "open_clip_config.json",
    "clap": "config.json",
    "text_encoder": "config.json",
}
PICTURE_CONFIGS = {  # of what makes pictures; all of them are needed
    "pictures/unet": "config.json",
    "pictures/vae": "config.json",
    "pictures/text_encoder": "config.json",
    "pictures/tokenizer": "tokenizer_config.json",
    "pictures/scheduler": "scheduler_config.json",
}
_NO_WEIGHTS = ("scheduler", "pictures/tokenizer", "pictures/scheduler")
_SOUND_ONLY = ("unet", "vae", "vocoder", "scheduler")  # clip and clap may serve pictures alone
CONFIG_BYTES = 1024 * 1024
_STAMP = ".checked.json"
_CODE = re.compile(".*_implementation|auto_map|custom_pipelines")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceId:
    """An embedding space: the name of the model that spans it and the sha256 of that model's weights.

    Both are empty for a part that a bundle does not have.
    """

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that is whole: every listed file is there with its size. ``sampling_rate`` in Hz.

    ``sha256`` is that of ``bundle.toml``, which holds the hash of every file, so it stands for all of them.
    ``sampling``, ``condition``, ``views``: as in the manifest.
    """

    name: str
    title: str
    root: Path
    licence: str
    commercial: bool
    random: bool
    note: str
    sha256: str
    sampling_rate: int
    clip_space: SpaceId
    clap_space: SpaceId
    files: Mapping[str, FileEntry] = field(repr=False)
    sampling: Mapping[str, Mapping[str, float | int | str]] = field(default_factory=dict)
    condition: str = "clap"
    views: tuple[float, ...] = manifest.WHOLE

    @property
    def makes(self) -> tuple[str, ...]:
        """Of messages.MAKES; neither for a text prior on its own."""
        return _makes(self.files)

    @property
    def queries(self) -> tuple[str, ...]:
        """Those of messages.CONDITIONS that its sound can be asked by."""
        if "sound" not in self.makes:
            return ()
        can = {"picture", "clip_text"}
        can |= {"clap_text"} if self.condition == "clap" else set()
        can |= {"clip_text_prior"} if self.has(TEXT_PRIOR) else set()
        return tuple(query for query in CONDITIONS if query in can)

    @property
    def mappers(self) -> tuple[str, ...]:
        """Kinds of mapper that this bundle can use; ``bridge`` needs no file. None where the generator takes
        CLIP's rows as they are.
        """
        if "sound" not in self.makes or self.condition == "clip":
            return ()
        return tuple(kind for kind in MAPPERS if kind == "bridge" or any(self._below(f"mappers/{kind}")))

    @property
    def size_bytes(self) -> int:
        return sum(entry.size for entry in self.files.values())

    def has(self, part: str) -> bool:
        return any(self._below(part))

    def part(self, name: str) -> Path:
        """The folder of a part, as ``unet``, ``mappers/KIND`` or ``pictures/unet``. Raises ModelMissing."""
        if not self.has(name):
            raise ModelMissing(
                f"The model {self.title} has no {name}; pull it again, or choose another model."
            )
        return self.root / name

    def file(self, path: str) -> Path:
        """A listed file, not yet hashed. Raises ModelMissing."""
        if path not in self.files:
            raise ModelMissing(
                f"The model {self.title} has no {path}; pull it again, or choose another model."
            )
        return self.root / path

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part, hashed and read as JSON. Raises ModelMissing, ModelRefused."""
        return self.json(f"{part}/{(CONFIGS | PICTURE_CONFIGS).get(part, 'config.json')}")

    def json(self, path: str) -> dict[str, Any]:
        """A listed JSON object of at most 1 MB, its numbers in bounds. Raises ModelMissing, ModelRefused."""
        source = self.file(path)
        if self.files[path].size > CONFIG_BYTES:
            raise ModelRefused(f"{path} of the model {self.title} is too large to be a configuration.")
        self.check(path)
        try:
            plain = json.loads(source.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise ModelRefused(
                f"{path} of the model {self.title} is damaged; pull the model again.", str(error)
            ) from error
        if not isinstance(plain, dict):
            raise ModelRefused(
                f"{path} of the model {self.title} is not a configuration; pull the model again."
            )
        if _names_code(plain):
            raise ModelRefused(
                f"{path} of the model {self.title} wants programs from elsewhere; choose another model."
            )
        if wrong := out_of_bounds(plain):
            raise ModelRefused(
                f"{path} of the model {self.title} asks for sizes that no model has; choose another model.",
                wrong,
            )
        return plain

    def weights(self, part: str) -> Path:
        """The one safetensors file of a part, its hash verified. Raises ModelMissing, ModelRefused."""
        self.part(part)
        path = _weights_path(part, self.files)
        self.check(path)
        return self.root / path

    def weights_sha256(self, part: str) -> str:
        """Of the part's one safetensors file, as ``bundle.toml`` says. Raises ModelMissing, ModelRefused."""
        self.part(part)
        return self.files[_weights_path(part, self.files)].sha256

    def check(self, *paths: str, tick: Ticker | None = None, again: bool = False) -> None:
        """Refuses listed files whose content is not what ``bundle.toml`` says.

        A file is hashed once, and again when its size, time or number on disk changed, or ``again`` is set.
        Raises ModelMissing, ModelRefused.
        """
        stamps = _read_stamps(self.root)
        for path in paths:
            source, entry = self.file(path), self.files[path]
            mark = _mark(source, entry)
            if not again and stamps.get(path) == mark:
                continue
            try:
                digest = sha256_file(source, tick)
            except OSError as error:
                raise ModelMissing(f"{source} cannot be read; pull the model again.", str(error)) from error
            if digest != entry.sha256:
                raise ModelRefused(
                    f"{path} of the model {self.title} is damaged or was changed; pull the model again.",
                    f"sha256 is {digest}, bundle.toml says {entry.sha256}",
                )
            stamps[path] = mark
            _write_stamps(self.root, stamps)

    def remembers(self, finding: str) -> bool:
        """Whether ``remember`` noted this finding about this very bundle."""
        return _read_stamps(self.root).get(finding) == self.sha256

    def remember(self, finding: str) -> None:
        """Notes that a costly check across files went well. It counts until ``bundle.toml`` changes."""
        _write_stamps(self.root, _read_stamps(self.root) | {finding: self.sha256})

    def verify(self, tick: Ticker | None = None) -> None:
        """Hashes every file anew. Raises ModelMissing, ModelRefused for the first that is wrong."""
        self.check(*sorted(self.files), tick=tick, again=True)

    def info(self) -> BundleInfo:
        """As the panel lists it, under the name of its folder."""
        return BundleInfo(
            name=self.root.name,
            title=self.title,
            licence=self.licence,
            commercial=self.commercial,
            mappers=self.mappers,
            size_bytes=self.size_bytes,
            makes=self.makes,
            queries=self.queries,
            paints_sounds=self.has(EMBEDDER),
        )

    def _below(self, folder: str) -> list[str]:
        return [path for path in self.files if path.startswith(f"{folder}/")]


def open_bundle(root: Path) -> Bundle:
    """The bundle in a folder, everything about it checked but the content of large files (``Bundle.check``).

    Raises ModelMissing when the folder or a file is not there, ModelRefused when something is wrong with it.
    """
    root = root.expanduser().absolute()
    said, digest = manifest.read(root)
    _check_parts(said)
    for path, entry in said.files.items():
        _check_on_disk(root, path, entry, said)
    return Bundle(
        name=said.name,
        title=said.title,
        root=root,
        licence=said.licence,
        commercial=said.commercial,
        random=said.random,
        note=said.note,
        sha256=digest,
        sampling_rate=said.sampling_rate,
        clip_space=_space("clip", said.clip, said.files),
        clap_space=_space("clap", said.clap, said.files),
        files=said.files,
        sampling=said.sampling,
        condition=said.condition,
        views=said.views,
    )


def find_bundle(name_or_dir: str | Path, models_dir: Path, *, paths: bool = False) -> Bundle:
    """A bundle by name: a folder of ``models_dir``, or ``starter`` that ships with Footfall.

    ``models_dir`` comes first: whoever names a folder that is called ``starter`` means that one.
    A ``Path`` is a bundle's own folder; a text is taken for a folder only if ``paths`` says so, because names
    arrive over the wire and a message never carries a path. Raises ModelMissing, ModelRefused.
    """
    if isinstance(name_or_dir, Path):
        return open_bundle(name_or_dir)
    if manifest.NAME.fullmatch(name_or_dir):
        if (models_dir / name_or_dir / manifest.FILE).is_file():
            return open_bundle(models_dir / name_or_dir)
        if name_or_dir == STARTER and (STARTER_ROOT / manifest.FILE).is_file():
            return open_bundle(STARTER_ROOT)
    if paths and Path(name_or_dir).expanduser().is_dir():
        return open_bundle(Path(name_or_dir))
    raise ModelMissing(_how_to_get(name_or_dir, models_dir))


def installed(models_dir: Path) -> list[BundleInfo]:
    """What can be chosen: the starter, what is in ``models_dir``, then public bundles not yet pulled."""
    own = [models_dir / STARTER, STARTER_ROOT]  # as find_bundle chooses
    roots = [root for root in own if (root / manifest.FILE).is_file()][:1]
    if models_dir.is_dir():
        roots += sorted(path.parent for path in models_dir.glob(f"[!.]*/{manifest.FILE}"))
    found: dict[str, BundleInfo] = {}
    for root in roots:
        if root.name in found or not manifest.NAME.fullmatch(root.name):
            continue
        try:
            found[root.name] = open_bundle(root).info()
        except FootfallError as error:
            log.warning("not usable: %s: %s %s", root, error.sentence, error.detail)
            found[root.name] = BundleInfo(name=root.name, title=f"{root.name} (damaged)", installed=False)
    for row in registry.rows():
        found.setdefault(row.name, row.info())
    return list(found.values())[: limits.BUNDLES]


def _how_to_get(name: str, models_dir: Path) -> str:
    short = name[:80]
    if any(row.name == name for row in registry.rows()):
        return f"The model {short} is not on this machine; get it with: footfall models pull {short}"
    return f"There is no model named {short!r} in {models_dir}; see what there is with: footfall models list"


def _makes(files: Iterable[str]) -> tuple[str, ...]:
    sound, pictures = (
        any(path.startswith(f"{part}/") for path in files for part in parts)
        for parts in (_SOUND_ONLY, PICTURE_CONFIGS)
    )
    return (("sound",) if sound else ()) + (("pictures",) if pictures else ())


def _check_parts(said: Manifest) -> None:
    """Whatever a bundle makes, it has all that this needs. Raises ModelRefused."""
    makes = _makes(said.files)
    if not makes and f"{TEXT_PRIOR}/config.json" not in said.files:
        makes = ("sound",)
    needed = {part: CONFIGS[part] for part in PARTS} if "sound" in makes else {}
    needed |= PICTURE_CONFIGS if "pictures" in makes else {}
    for part, file in needed.items():
        if f"{part}/{file}" not in said.files:
            raise ModelRefused(f"The model {said.title} lists no {part}/{file}; pull it again.")
        if part not in _NO_WEIGHTS:
            _weights_path(part, said.files)


def _names_code(plain: Any) -> bool:
    """Whether a configuration says which code is to run: transformers fetches some of it from the hub."""
    waiting = [plain]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if any(_CODE.fullmatch(key) for key in found):
                return True
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
    return False


def _space(part: str, name: str, files: Mapping[str, FileEntry]) -> SpaceId:
    if not any(path.startswith(f"{part}/") for path in files):
        return SpaceId(name="", sha256="")
    return SpaceId(name=name, sha256=files[_weights_path(part, files)].sha256)


def _weights_path(part: str, files: Mapping[str, FileEntry]) -> str:
    found = [path for path in files if path.startswith(f"{part}/") and path.endswith(".safetensors")]
    if len(found) != 1:
        raise ModelRefused(
            f"The {part} of a model must be one safetensors file, not {len(found)}; pull the model again."
        )
    return found[0]


def _check_on_disk(root: Path, path: str, entry: FileEntry, said: Manifest) -> None:
    target = root / path
    try:
        size = target.stat().st_size
    except OSError as error:
        raise ModelMissing(
            f"The model {said.title} is not complete: {path} is missing. "
            f"Pull it again with: footfall models pull {said.name}",
            str(error),
        ) from error
    if not target.resolve().is_relative_to(root.resolve()):
        raise ModelRefused(f"{path} of the model {said.title} leads out of its folder; do not use it.")
    if size != entry.size or not target.is_file():
        raise ModelRefused(
            f"{path} of the model {said.title} has {size} bytes, not {entry.size}; pull the model again."
        )


def _mark(source: Path, entry: FileEntry) -> list[int | str]:
    try:
        status = source.stat()
    except OSError as error:
        raise ModelMissing(f"{source} is missing; pull the model again.", str(error)) from error
    return [status.st_size, status.st_mtime_ns, status.st_ino, entry.sha256]


def _read_stamps(root: Path) -> dict[str, Any]:
    try:
        stamps = json.loads((root / _STAMP).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_stamps(root: Path, stamps: Mapping[str, Any]) -> None:
    if root == STARTER_ROOT:
        return  # it is small, and its folder is the program's
    try:
        (root / _STAMP).write_text(json.dumps(stamps), encoding="utf-8")
    except OSError as error:
        log.debug("hashes of %s are not remembered: %s", root, error)
