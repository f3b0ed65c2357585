# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device, which precision, how much memory; and what running out of memory looks like on each of them.

The three kinds are ``cuda``, ``mps`` (Apple's Metal) and ``cpu``. The CPU always computes in float32, so that
its samples are the same to the bit.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ...addon.wire.errors import BadInput, OutOfMemory
from ...addon.wire.handshake import DEVICES
from ..control import Memory

if TYPE_CHECKING:
    import torch

_MB = 1024 * 1024
_OUT = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",
    "failed to allocate",
    "bad_alloc",
)


def available() -> tuple[str, ...]:
    """Kinds of device that this machine has, the likely fastest first."""
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return (*found, "cpu")


def pick_device(name: str = "auto", measured: Mapping[str, float] | None = None) -> torch.device:
    """The device to compute on. ``measured``: seconds that the same work took on each kind (``measure``).

    Raises BadInput if ``name`` is not a kind, or this machine has none of it.
    """
    import torch

    kinds = available()
    if name not in DEVICES:
        raise BadInput(f"There is no kind of device named {name[:40]!r}; choose one of {', '.join(DEVICES)}.")
    if name == "auto":
        known = {kind: measured[kind] for kind in kinds if kind in measured} if measured else {}
        return torch.device(min(known, key=lambda kind: known[kind]) if known else kinds[0])
    if name not in kinds:
        raise BadInput(f"This machine has no {name} device that the worker can use; choose auto or cpu.")
    return torch.device(name)


def pick_dtype(device: torch.device, measured: Mapping[str, float] | None = None) -> torch.dtype:
    """float32 on the CPU; elsewhere float16 unless ``measured`` (seconds for "float16", "float32") says
    otherwise.
    """
    import torch

    if device.type == "cpu":
        return torch.float32
    if measured and {"float16", "float32"} <= set(measured):
        return torch.float16 if measured["float16"] < measured["float32"] else torch.float32
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (7, 0):
        return torch.float32  # older cards compute float16 more slowly than float32
    return torch.float16


def measure(device: torch.device, dtype: torch.dtype, repeats: int = 3) -> float:
    """Seconds for a convolution and a matrix product of the UNet's middle size; the best of a few runs."""
    import torch

    image = torch.zeros(2, 128, 128, 16, device=device, dtype=dtype)
    kernel = torch.zeros(128, 128, 3, 3, device=device, dtype=dtype)
    rows = torch.zeros(2048, 512, device=device, dtype=dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(repeats + 1):  # the first run pays for set-up
            start = time.perf_counter()
            torch.nn.functional.conv2d(image, kernel, padding=1)
            rows @ rows.T
            synchronise(device)
            best = min(best, time.perf_counter() - start)
    return best


def describe(device: torch.device) -> str:
    """Name for the panel, as "CUDA: RTX 4070" or "CPU"."""
    import torch

    if device.type == "cuda":
        return f"CUDA: {torch.cuda.get_device_name(device)}"[:200]
    return "Apple GPU" if device.type == "mps" else "CPU"


def synchronise(device: torch.device) -> None:
    """Waits until the device has done all that it was given."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def memory(device: torch.device) -> Memory:
    """Bytes that this process uses: resident, and on the device (0 on the CPU)."""
    import psutil
    import torch

    used = 0
    if device.type == "cuda":
        used = torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        used = torch.mps.driver_allocated_memory()
    return Memory(process_bytes=psutil.Process().memory_info().rss, device_bytes=used)


def free_bytes(device: torch.device, limit_mb: int = 0) -> int:
    """Bytes that a job may still take on the device; ``limit_mb`` 0 means: as much as there is."""
    import psutil
    import torch

    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        used = torch.cuda.memory_allocated(device)
        free += torch.cuda.memory_reserved(device) - used  # kept by torch, free for the next job
    elif device.type == "mps":
        used = torch.mps.current_allocated_memory()
        free = torch.mps.recommended_max_memory() - used
    else:
        used = psutil.Process().memory_info().rss
        free = psutil.virtual_memory().available
    return max(0, min(free, limit_mb * _MB - used) if limit_mb else free)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, of whichever device, says that there was no memory left."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT)


def empty_cache(device: torch.device) -> None:
    """Gives what torch keeps for later back to the device. Call it after the last reference is gone."""
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@contextmanager
def memory_guard(device: torch.device, doing: str) -> Iterator[None]:
    """Turns running out of memory into OutOfMemory, with the device's cache emptied."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        said = str(error)
    else:
        return
    empty_cache(device)  # outside of the handler: the traceback held on to the tensors
    raise OutOfMemory(
        f"There is not enough memory on {describe(device)} for {doing}; "
        "choose fewer takes, a shorter shot or a smaller model, or close other programs.",
        said[:4000],
    )
