# SPDX-License-Identifier: GPL-3.0-or-later
"""Which device, and what running out of memory looks like on each."""

from __future__ import annotations

import pytest
import torch
from footfall.addon.wire.errors import BadInput, OutOfMemory
from footfall.server.models import device

CPU = torch.device("cpu")


def test_auto_takes_the_fastest_that_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.available() == ("cuda", "cpu")
    assert device.pick_device("auto").type == "cuda"
    assert device.pick_device("auto", {"cuda": 2.0, "cpu": 1.0}).type == "cpu"
    assert device.pick_device("auto", {"cuda": 1.0, "cpu": 2.0}).type == "cuda"
    assert device.pick_device("auto", {"mps": 0.1, "cpu": 2.0}).type == "cpu"
    assert device.pick_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match="no cuda device"):
        device.pick_device("cuda")
    with pytest.raises(BadInput, match="auto, cpu"):
        device.pick_device("tpu")


def test_the_cpu_computes_in_float32_whatever_was_measured() -> None:
    assert device.pick_dtype(CPU) is torch.float32
    assert device.pick_dtype(CPU, {"float16": 0.1, "float32": 1.0}) is torch.float32


def test_a_gpu_computes_in_what_is_faster_there(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which: (8, 9))
    assert device.pick_dtype(gpu) is torch.float16
    assert device.pick_dtype(gpu, {"float16": 2.0, "float32": 1.0}) is torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda which: (6, 1))
    assert device.pick_dtype(gpu) is torch.float32


def test_measuring_takes_some_time() -> None:
    assert 0 < device.measure(CPU, torch.float32, repeats=1) < 60


def test_numbers_of_the_machine() -> None:
    assert device.describe(CPU) == "CPU"
    assert device.memory(CPU).process_bytes > 1_000_000
    assert device.memory(CPU).device_bytes == 0
    assert device.free_bytes(CPU) > 0
    assert device.free_bytes(CPU, limit_mb=1) == 0
    device.empty_cache(CPU)
    device.synchronise(CPU)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
        ),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_known_by_all_its_names(error: Exception) -> None:
    assert device.is_out_of_memory(error)
    with pytest.raises(OutOfMemory, match="fewer takes"), device.memory_guard(CPU, "this shot"):
        raise error


def test_a_real_allocation_that_fails_is_known() -> None:
    with pytest.raises(OutOfMemory), device.memory_guard(CPU, "this shot"):
        torch.empty(1 << 60)


@pytest.mark.parametrize(
    "error", [RuntimeError("shapes do not match"), ValueError("out of memory"), KeyError("x")]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    assert not device.is_out_of_memory(error)
    with pytest.raises(type(error)), device.memory_guard(CPU, "this shot"):
        raise error
