#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns AudioToken's published embedder (embedder_learned_embeds.bin), and the BEATs it listens through (a
.pt file), into safe parts of a bundle that paints: pictures/embedder and pictures/beats.

    python scripts/convert_audiotoken.py embedder_learned_embeds.bin BEATs_iter3_plus_AS2M.pt MODELS/NAME

The bundle must have the very picture model that the embedder was trained with. Both files are archives of
torch with a pickle in them, a kind of file that can run programs when it is opened. Here nothing is run:
the pickle's instructions are read one by one, and only those that build numbers, texts, lists, tables and
tensors are known. Nothing is fetched. This script is not part of the program.
"""

from __future__ import annotations

import argparse
import json
import math
import pickletools
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from footfall.addon.wire.errors import FootfallError, ModelRefused
from footfall.server.models import manifest
from footfall.server.models.audiotoken import KIND, PART, Embedder
from footfall.server.models.beats import EAR, Beats, BeatsConfig
from footfall.server.models.bundle import Bundle, open_bundle
from footfall.server.models.weights import save_weights
from torch import Tensor

PICKLE_BYTES = 16 * 1024 * 1024
ARCHIVE_BYTES = 8 * 1024**3

DTYPES = {
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch DoubleStorage": torch.float64,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch BoolStorage": torch.bool,
}
TENSOR, PARAMETER = "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"
TABLE = "collections OrderedDict"
KNOWN = {*DTYPES, TENSOR, PARAMETER, TABLE}


class Name(NamedTuple):
    """Something outside that a pickle asks for; it is never looked up."""

    text: str


class Storage(NamedTuple):
    """A run of ``count`` numbers in the archive's file ``data/KEY``."""

    dtype: torch.dtype
    key: str
    count: int


def read_archive(path: Path) -> Any:
    """What torch.save wrote into ``path``: plain values and tensors. Runs nothing. Raises ModelRefused."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _Archive(path, archive).read()
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise _refused(path, "is no archive of torch, or is damaged", str(error)) from error
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError, AttributeError) as error:
        raise _refused(
            path, "has a pickle that is damaged or does more than hold weights", repr(error)
        ) from error


class _Archive:
    """One reading of one file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._zip = path, archive
        entries = archive.infolist()
        self._entries = {entry.filename: entry for entry in entries}
        pickles = [name for name in self._entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
        if len(self._entries) != len(entries) or len(pickles) != 1:
            raise _refused(path, "is no archive of torch", f"{len(entries)} files, {len(pickles)} pickles")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise _refused(path, "has packed files, which torch never writes")
        if sum(entry.file_size for entry in entries) > ARCHIVE_BYTES:
            raise _refused(path, "is too large to be believed")
        self._folder = pickles[0].removesuffix("data.pkl")
        order = self._bytes("byteorder", 16) if f"{self._folder}byteorder" in self._entries else b"little"
        if order != b"little":
            raise _refused(path, "was written by a machine with another order of bytes")

    def read(self) -> Any:
        return _Machine(self._tensor).run(self._bytes("data.pkl", PICKLE_BYTES))

    def _bytes(self, name: str, most: int) -> bytes:
        entry = self._entries[self._folder + name]
        if entry.file_size > most:
            raise _refused(self._path, f"has a {name} that is too large", str(entry.file_size))
        return self._zip.read(entry)

    def _tensor(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> Tensor:
        """A copy of its own. Refuses what reaches out of its storage or repeats numbers."""
        numbers = (offset, *size, *stride)
        if any(type(number) is not int or number < 0 for number in numbers) or len(size) != len(stride):
            raise ValueError("a tensor of no shape")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if math.prod(size) > storage.count or (math.prod(size) and last >= storage.count):
            raise ValueError("a tensor that is larger than its numbers")
        if not math.prod(size):
            return torch.empty(size, dtype=storage.dtype)
        raw = self._bytes(f"data/{storage.key}", storage.count * storage.dtype.itemsize)
        flat = torch.frombuffer(bytearray(raw), dtype=storage.dtype)
        if len(flat) != storage.count:
            raise ValueError("a storage that is cut short")
        return flat.as_strided(size, stride, offset).clone()


class _Machine:
    """Follows a pickle's instructions as far as they only build values."""

    def __init__(self, tensor: Callable[[Storage, int, tuple[int, ...], tuple[int, ...]], Tensor]) -> None:
        self._tensor = tensor
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, raw: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(raw):
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument if _VALUES[name] is None else _VALUES[name]())
        elif name in _SIZES:
            count = _SIZES[name]
            stack[len(stack) - count :] = [tuple(stack[len(stack) - count :])]
        elif name == "MARK":
            self._marks.append(len(stack))
        elif name in ("TUPLE", "LIST"):
            taken = self._marked()
            stack.append(tuple(taken) if name == "TUPLE" else taken)
        elif name in ("APPENDS", "SETITEMS"):
            self._fill(self._marked())
        elif name in ("APPEND", "SETITEM"):
            count = 1 if name == "APPEND" else 2
            taken = stack[-count:]
            del stack[-count:]
            self._fill(taken)
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            text = argument if name == "GLOBAL" else " ".join((stack.pop(-2), stack.pop()))
            stack.append(_known(text))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            given = stack.pop()
            stack.append(self._made(stack.pop(), given))
        elif name == "BUILD":
            self._ignore(stack.pop())
        elif name not in ("PROTO", "FRAME"):
            raise ValueError(f"{name} is not allowed")

    def _marked(self) -> list[Any]:
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _fill(self, taken: list[Any]) -> None:
        holder = self._stack[-1]
        if type(holder) is list:
            holder.extend(taken)
        elif type(holder) is dict:
            holder.update(zip(taken[::2], taken[1::2], strict=True))
        else:
            raise TypeError(f"{type(holder).__name__} holds nothing")

    def _made(self, what: Any, given: Any) -> Any:
        if not isinstance(what, Name) or type(given) is not tuple:
            raise TypeError("a call of something else than a known name")
        if what.text == TABLE:
            return dict(given[0]) if given else {}
        if what.text == TENSOR and isinstance(given[0], Storage):
            return self._tensor(given[0], given[1], tuple(given[2]), tuple(given[3]))
        if what.text == PARAMETER and isinstance(given[0], Tensor):
            return given[0]
        raise TypeError(f"a call of {what.text}")

    def _ignore(self, state: Any) -> None:
        """A table of weights may have notes on its versions; nothing else may have a state."""
        if type(self._stack[-1]) is not dict or type(state) is not dict or set(state) - {"_metadata"}:
            raise TypeError("a state that is none of a table's")


_VALUES: dict[str, Callable[[], Any] | None] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "INT", "FLOAT")),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")),
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_SIZES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _known(text: str) -> Name:
    if text not in KNOWN:
        raise ValueError(f"it asks for {text[:100]}, which no weights need")
    return Name(text)


def _storage(given: Any) -> Storage:
    word, kind, key, _, count = given
    if word != "storage" or not re.fullmatch(r"[0-9]{1,9}", key) or type(count) is not int or count < 0:
        raise ValueError("a storage of an unknown kind")
    return Storage(DTYPES[kind.text], key, count)


# What is made of it -------------------------------------------------------------------------------------

_EMBEDDER_NAMES = {
    "fc1": "rise",
    "fc2": "fall",
    "fga.un_models.0.embed": "pool.local",
    "fga.un_models.0.feature_reduce": "pool.score",
    "fga.pp_models.0.embed_X": "pool.one",
    "fga.pp_models.0.embed_Y": "pool.other",
    "fga.reduce_potentials.0": "pool.mix",
}


def embedder_of(state: Any) -> Embedder:
    """AudioToken's embedder out of its published tensors. Raises ModelRefused if they are something else."""
    found: dict[str, Tensor] = {}
    for name, value in _tensors(state).items():
        owner, _, kind = name.removeprefix("module.").removeprefix("embedder.").rpartition(".")
        if owner not in _EMBEDDER_NAMES:
            raise ModelRefused(f"This is not AudioToken's embedder: it has {name[:80]}.")
        # Convolutions over single places are what everybody else calls linear.
        found[f"{_EMBEDDER_NAMES[owner]}.{kind}"] = (value.squeeze(-1) if value.ndim == 3 else value).float()
    try:
        hidden, width = found["rise.weight"].shape
        embedder = Embedder(width, found["fall.weight"].shape[0], hidden)
        embedder.load_state_dict(found)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelRefused(
            "This is not AudioToken's embedder: parts of it are missing.", str(error)
        ) from error
    return embedder


def beats_of(checkpoint: Any) -> tuple[BeatsConfig, dict[str, Tensor]]:
    """BEATs' configuration and weights, without its classifier. Raises ModelRefused."""
    if not isinstance(checkpoint, dict) or not {"cfg", "model"} <= set(checkpoint):
        raise ModelRefused("This is not a checkpoint of BEATs: it has no cfg or no model.")
    config = BeatsConfig.parse(checkpoint["cfg"])
    state = {name: value.float() for name, value in _tensors(checkpoint["model"]).items()}
    kept = {name: value for name, value in state.items() if Beats.wants(name)}
    return config, kept


def _tensors(state: Any) -> dict[str, Tensor]:
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelRefused("The file holds no tensors by name.")
    return {str(name): value for name, value in state.items()}


def write_parts(embedder: Embedder, beats: tuple[BeatsConfig, Mapping[str, Tensor]], bundle: Bundle) -> None:
    """Both parts into the bundle, listed in its bundle.toml. Raises ModelRefused if they do not fit it."""
    config, state = beats
    width = int(bundle.config("pictures/text_encoder").get("hidden_size", 0))
    if (embedder.sizes["token"], embedder.sizes["width"]) != (width, config.places_width):
        raise ModelRefused(
            f"This embedder makes {embedder.sizes['token']} numbers out of {embedder.sizes['width']}; "
            f"the picture model of {bundle.title} has {width}, and this BEATs {config.places_width}."
        )
    ear, words = bundle.root / EAR, bundle.root / PART
    _write(ear, config.plain(), state)
    hears = manifest.sha256_file(ear / "model.safetensors")
    paints = bundle.weights("pictures/text_encoder")
    said = {
        "kind": KIND,
        "hears": {"kind": "beats", "name": "BEATs", "sha256": hears},
        "paints": {"name": bundle.title, "sha256": manifest.sha256_file(paints)},
        "network": dict(embedder.sizes),
        "trained": {"source": "AudioToken (Yariv et al. 2023), converted"},
    }
    _write(words, said, embedder.state_dict())
    for part in (EAR, PART):
        manifest.add_folder(bundle.root, part)


def _write(folder: Path, config: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    whole = {name: value.detach().clone().contiguous() for name, value in state.items()}
    save_weights(whole, folder / "model.safetensors", {"format": "pt"})


def _refused(path: Path, what: str, detail: str = "") -> ModelRefused:
    return ModelRefused(f"{path.name} {what}; nothing of it was run.", detail)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Convert AudioToken's embedder and BEATs into a bundle.")
    parser.add_argument("embedder", type=Path, help="AudioToken's embedder_learned_embeds.bin")
    parser.add_argument("beats", type=Path, help="BEATs' .pt that the embedder was trained with")
    parser.add_argument("bundle", type=Path, help="the folder of a bundle with the picture model")
    options = parser.parse_args(arguments)
    try:
        bundle = open_bundle(options.bundle)
        embedder = embedder_of(read_archive(options.embedder))
        write_parts(embedder, beats_of(read_archive(options.beats)), bundle)
    except FootfallError as error:
        print(f"{error.sentence} {error.detail}".strip(), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
