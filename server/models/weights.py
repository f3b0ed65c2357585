# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights: safetensors only, checked before a number is believed, mapped into memory and not copied.

They are written whole or not at all, for whoever may read what else is written there.

The header is parsed here, strictly, before the library sees the file: so a pickle in disguise is refused
unopened, and a truncated or overlapping file is refused with a sentence. ``load_weights`` builds a module
without memory for its parameters and hands it the mapped tensors, so that a model on the CPU costs what its
file weighs.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...addon.wire.errors import ModelMissing, ModelRefused
from .device import is_out_of_memory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

HEADER_BYTES = 16 * 1024 * 1024
TENSORS = 100_000
# Parameters that a module may register, beyond those of its file: some are made anew, or shared.
SPARE, TIMES = 100, 4
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
FLOATS = frozenset({"F32", "F16", "BF16"})
_NAME = re.compile(r"[A-Za-z0-9_.]{1,300}")
# The first bytes of a zip archive (as torch.save writes), of pickle protocols 2 to 5, of HDF5, and of gzip.
_DISGUISES = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x89HDF", b"\x1f\x8b")

_Module = TypeVar("_Module", bound="nn.Module")


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """One row of a safetensors header. ``start`` and ``end``: byte offsets behind the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Names, dtypes and shapes of a safetensors file, every rule of the format checked.

    Nothing behind the header is read. Raises ModelMissing, ModelRefused.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as stream:
            start = stream.read(8)
            if start.startswith(_DISGUISES):
                raise _refused(
                    path, "is a pickle or an archive in disguise, which could run programs; delete it"
                )
            length = int.from_bytes(start, "little")
            if len(start) < 8 or not 2 <= length <= min(HEADER_BYTES, size - 8):
                raise _refused(path, "is not a safetensors file or is cut short; pull the model again")
            raw = stream.read(length)
    except OSError as error:
        raise ModelMissing(f"{path} cannot be read; pull the model again.", str(error)) from error
    rows = _parse_header(path, raw)
    _check_layout(path, rows, size - 8 - length)
    return rows


def _parse_header(path: Path, raw: bytes) -> dict[str, TensorInfo]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a name is there twice")
        return dict(pairs)

    try:
        plain = json.loads(raw, object_pairs_hook=unique)
        if not raw.startswith(b"{") or not isinstance(plain, dict) or len(plain) > TENSORS:
            raise ValueError("not an object")
        plain.pop("__metadata__", None)
        return {name: _tensor_info(name, entry) for name, entry in plain.items()}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _refused(path, "has a damaged header; pull the model again", repr(error)) from error


def _tensor_info(name: str, entry: Mapping[str, Any]) -> TensorInfo:
    if not _NAME.fullmatch(name) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(name[:100])
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    numbers = (start, end, *shape)
    if any(type(number) is not int or number < 0 for number in numbers) or len(shape) > 8:
        raise ValueError(f"{name}: shape or offsets")
    item = ITEM_BYTES.get(entry["dtype"])
    if item is None:
        raise ValueError(f"{name}: dtype {str(entry['dtype'])[:20]} is not allowed")
    if math.prod(shape) * item != end - start:
        raise ValueError(f"{name}: shape and size disagree")
    return TensorInfo(dtype=entry["dtype"], shape=shape, start=start, end=end)


def _check_layout(path: Path, rows: Mapping[str, TensorInfo], available: int) -> None:
    """The tensors must fill the file exactly: no gap, no overlap, nothing behind the last."""
    position = 0
    for row in sorted(rows.values(), key=lambda row: (row.start, row.end)):
        if row.start != position:
            raise _refused(path, "has tensors that overlap or leave gaps; pull the model again")
        position = row.end
    if position != available:
        raise _refused(
            path, "is cut short or has something appended; pull the model again", f"{position} != {available}"
        )


def open_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a checked file, mapped: nothing is read before it is used. Raises ModelMissing,
    ModelRefused.
    """
    read_header(path)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt", device="cpu") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError) as error:
        raise _refused(path, "cannot be opened; pull the model again", str(error)) from error


def save_weights(tensors: Mapping[str, Tensor], path: Path, facts: Mapping[str, str] | None = None) -> None:
    """``tensors`` as a safetensors file that takes the place of ``path`` in one step.

    facts: the file's metadata. The library's own files are private to their owner, whatever the umask, and a
    kill leaves them under names that nobody knows: so it writes into a folder that the next call removes.
    Raises OSError.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    folder = path.with_name(f".{path.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        whole = folder / path.name
        save_file(dict(tensors), whole, None if facts is None else dict(facts))
        whole.chmod(folder.stat().st_mode & 0o666)  # as the umask has it
        with whole.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(whole, path)
    except SafetensorError as error:
        said = re.search(r"os error (\d+)", str(error))
        number = int(said[1]) if said else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_weights(
    build: Callable[[], _Module],
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    rename: Callable[[str], str] | None = None,
    ignore: Iterable[str] = (),
) -> _Module:
    """The module that ``build`` makes, with the weights of a safetensors file, for inference only.

    ``dtype`` None means float32 however the file stores it. ``rename`` maps the file's names to the module's;
    ``ignore`` are prefixes of names that the file may have and the module does not want. Integer tensors of
    the file (position tables) are never taken: the module computes its own. Raises ModelMissing,
    ModelRefused.
    """
    import torch
    from accelerate import init_empty_weights

    rows = read_header(path)
    with init_empty_weights(include_buffers=False), _no_more_than(len(rows), path):
        module = build()
    names = _matched(path, rows, module, rename or str, tuple(ignore))
    tensors = open_weights(path)
    state = {}
    for name in list(tensors):
        tensor = tensors.pop(name)  # so that a converted tensor's file pages need not stay
        if name in names:
            _check_numbers(path, name, tensor)
            state[names[name]] = tensor.to(device=device, dtype=dtype or torch.float32)
    module.load_state_dict(state, strict=False, assign=True)
    module.to(device=device)  # the buffers that no file holds
    for name, buffer in module.named_buffers():
        if buffer.is_floating_point() and name not in state and dtype is not None:
            _set_buffer(module, name, buffer.to(dtype))
    return module.requires_grad_(False).eval()


@contextlib.contextmanager
def _no_more_than(tensors: int, path: Path) -> Iterator[None]:
    """Inside, a module is built that belongs to a file of so many tensors.

    A configuration that lies about sizes or layers would otherwise be believed until memory or patience end.
    Raises ModelRefused.
    """
    from torch.nn.modules.module import register_module_parameter_registration_hook

    most, count = SPARE + TIMES * tensors, 0

    def look(*_: object) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise _refused(path, "has fewer tensors than its configuration says; pull the model again")

    hook = register_module_parameter_registration_hook(look)
    try:
        yield
    except (RuntimeError, AssertionError, OverflowError) as error:  # of torch, for its sizes
        if is_out_of_memory(error):
            raise
        raise _refused(path, "does not fit its configuration; pull the model again", repr(error)) from error
    finally:
        hook.remove()


def _matched(
    path: Path,
    rows: Mapping[str, TensorInfo],
    module: nn.Module,
    rename: Callable[[str], str],
    ignore: tuple[str, ...],
) -> dict[str, str]:
    """Name in the file -> name in the module, both sides complete and every shape right."""
    wanted = {
        name: tuple(value.shape) for name, value in module.state_dict().items() if value.is_floating_point()
    }
    integers = {name for name, value in module.state_dict().items() if not value.is_floating_point()}
    names: dict[str, str] = {}
    for name, row in rows.items():
        target = rename(name)
        if target in integers or name.startswith(ignore or ("\0",)):
            continue
        if target not in wanted:
            if row.dtype not in FLOATS:
                continue  # a table that a newer version of the class computes itself
            raise _refused(path, f"has {name}, which this model does not know; pull the model again")
        if row.dtype not in FLOATS:
            raise _refused(
                path, f"stores {name} as {row.dtype} instead of numbers with a fraction; pull it again"
            )
        if row.shape != wanted[target]:
            raise _refused(
                path, f"has {name} of shape {row.shape} instead of {wanted[target]}; pull it again"
            )
        names[name] = target
    missing = wanted.keys() - set(names.values())
    if missing or len(set(names.values())) != len(names):
        few = ", ".join(sorted(missing)[:3])
        raise _refused(path, f"lacks {len(missing)} tensors or has some twice ({few}); pull the model again")
    return names


def _check_numbers(path: Path, name: str, tensor: Tensor) -> None:
    import torch

    if tensor.numel():
        low, high = torch.aminmax(tensor)  # both become NaN if one number is
        if not math.isfinite(low) or not math.isfinite(high):
            raise _refused(
                path, f"has numbers in {name} that are infinite or not numbers; pull the model again"
            )


def _set_buffer(module: nn.Module, name: str, value: Tensor) -> None:
    owner, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(owner), leaf, value)


def modern_attention(name: str) -> str:
    """Today's name of a VAE attention tensor saved by diffusers before mid 2023, as AudioLDM's are."""
    for old, new in _OLD_ATTENTION:
        if old in name and ".attentions." in name:
            return name.replace(old, new)
    return name


_OLD_ATTENTION = (
    (".query.", ".to_q."),
    (".key.", ".to_k."),
    (".value.", ".to_v."),
    (".proj_attn.", ".to_out.0."),
)


def _refused(path: Path, what: str, detail: str = "") -> ModelRefused:
    return ModelRefused(f"{path.name} in {path.parent} {what}.", detail)
