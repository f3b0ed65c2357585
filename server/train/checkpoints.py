# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training has reached, in one safetensors file that is whole at every moment.

Weights, averages and the optimisers' moments are its tensors; everything else is JSON in its header. A new
state is written beside the old one and takes its place in one step, so a kill leaves the one or the other.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...addon.wire.errors import FootfallError, ModelRefused, SaveError
from ..models.weights import save_weights

FORMAT = 1
NAME = "state.safetensors"
_KEY = "footfall"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``facts``: plain JSON, with "step" and "config"; ``tensors``: by name, on the CPU."""

    facts: dict[str, Any]
    tensors: dict[str, Tensor]


_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def full_disk(path: Path, error: OSError, kept: str) -> FootfallError:
    """The error to tell when ``path`` could not be written; ``kept``: what is still there."""
    no_room = error.errno in _NO_ROOM
    why = "the disk is full" if no_room else (error.strerror or str(error)).rstrip(".")[:200]
    then = "Make room" if no_room else "See to that folder"
    return SaveError(f"{path} could not be written: {why}. {kept} {then} and run it again.", repr(error))


@contextlib.contextmanager
def disk_trouble(folder: Path, kept: str) -> Iterator[None]:
    """Inside, what is written goes below ``folder``: a full disk is told with its name. Raises SaveError."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:  # for a full disk the system itself names no file
            raise full_disk(folder, error, kept) from error
        raise


def exists(folder: Path) -> bool:
    """Whether ``folder`` holds a state."""
    return (folder / NAME).is_file()


def save(folder: Path, state: State) -> None:
    """Puts ``state`` in the place of the one before; if it raises SaveError, the one before is whole."""
    target = folder / NAME
    tensors = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in state.tensors.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(tensors, target, {_KEY: json.dumps(state.facts | {"format": FORMAT})})
        sync_folder(folder)
    except OSError as error:
        kept = "The state saved before is whole." if target.is_file() else "Nothing had been saved yet."
        raise full_disk(target, error, kept) from error


def sync_folder(folder: Path) -> None:
    """Makes a rename in ``folder`` last through a power cut, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def load(folder: Path) -> State:
    """The state that was saved last. Raises ModelRefused if it is damaged or of another version."""
    path = folder / NAME
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(_KEY, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as error:
        sentence = f"The state {path} is damaged; move it away to begin anew, or bring back a copy."
        raise ModelRefused(sentence, repr(error)) from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or not _plausible(facts):
        raise ModelRefused(f"{path} was not written by this version of Footfall; move it away to begin anew.")
    return State(facts=facts, tensors=tensors)


def _plausible(facts: Mapping[str, Any]) -> bool:
    step = facts.get("step")
    return isinstance(step, int) and step >= 0 and isinstance(facts.get("config"), dict)


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Where two JSON values differ, as "width: 64 before, 32 now"."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in sorted(old.keys() | new.keys()):
            where = f"{path}.{key}" if path else key
            if key not in old or key not in new:
                found.append(f"{where}: only {'now' if key in new else 'before'}")
            else:
                found += differences(old[key], new[key], where)
        return found
    if old == new and type(old) is type(new):
        return []
    return [f"{path}: {_short(old)} before, {_short(new)} now"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def check_config(state: State, config: Mapping[str, Any], path: Path) -> None:
    """Raises ModelRefused, naming what differs, if ``state`` belongs to another configuration."""
    found = differences(state.facts["config"], json.loads(json.dumps(config)))
    if found:
        raise ModelRefused(
            f"The training in {path} has another configuration ({'; '.join(found[:3])}); "
            "choose another --work folder, or move that one away to begin anew.",
            "\n".join(found),
        )


def pick(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below ``prefix``/, by the rest of their names."""
    return {name[len(prefix) + 1 :]: t for name, t in tensors.items() if name.startswith(f"{prefix}/")}


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """ "weight/exp_avg" and so on; ``names``: of parameters, by id."""
    return {
        f"{names[id(parameter)]}/{key}": value
        for parameter, moments in optimiser.state.items()
        for key, value in moments.items()
    }


def load_optimiser(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, Tensor], saved: Mapping[str, Tensor]
) -> None:
    """The inverse of ``optimiser_tensors``; the rates stay those of ``optimiser``.

    A file holds rows in one order only. The fused optimiser goes through a weight and its moments side by
    side as they lie in memory, so they must lie as the weight does, channels last or not.
    """
    for full, value in saved.items():
        name, _, key = full.rpartition("/")
        parameter = parameters[name]
        if value.shape == parameter.shape:
            held = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False)
            optimiser.state[parameter][key] = held.copy_(value)
        else:
            optimiser.state[parameter][key] = value.to(parameter.device, copy=True)
