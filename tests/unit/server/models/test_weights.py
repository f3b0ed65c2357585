# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights are checked before they are believed, and mapped, not copied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from footfall.addon.wire.errors import ModelMissing, ModelRefused
from footfall.server.models import weights
from footfall.server.models.weights import load_weights, open_weights, read_header
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([0.5, -0.5])}


def build() -> nn.Linear:
    return nn.Linear(3, 2)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(STATE, path)
    return path


def craft(path: Path, header: dict[str, Any] | bytes, data: bytes = b"", length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw + data)
    return path


def row(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_the_module_computes_with_the_files_numbers(good: Path) -> None:
    module = load_weights(build, good)
    assert torch.equal(module.weight, STATE["weight"])
    assert not module.training
    assert not module.weight.requires_grad
    assert not any(tensor.is_meta for tensor in module.state_dict().values())


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("wanted", [None, torch.float16, torch.float32])
def test_precision_is_the_callers(tmp_path: Path, stored: torch.dtype, wanted: torch.dtype | None) -> None:
    path = tmp_path / "m.safetensors"
    save_file({name: value.to(stored) for name, value in STATE.items()}, path)
    module = load_weights(build, path, dtype=wanted)
    assert module.weight.dtype == (wanted or torch.float32)


@pytest.mark.parametrize(
    "start",
    [
        b"PK\x03\x04" + b"\0" * 60,  # torch.save
        b"\x80\x04\x95" + b"\0" * 60,  # pickle
        b"\x80\x02}q" + b"\0" * 60,  # torch.save before 1.6
        b"\x89HDF\r\n\x1a\n" + b"\0" * 60,
        b"cposix\nsystem\n(S'touch OPENED'\ntR.",  # pickle protocol 0
    ],
)
def test_a_pickle_in_disguise_is_refused_unopened(
    tmp_path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(start)
    with pytest.raises(ModelRefused, match=r"disguise|not a safetensors file"):
        load_weights(build, path)
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_a_file_cut_short_anywhere_is_refused(good: Path, tmp_path: Path) -> None:
    raw = good.read_bytes()
    for length in range(len(raw)):
        path = tmp_path / "cut.safetensors"
        path.write_bytes(raw[:length])
        with pytest.raises(ModelRefused):
            read_header(path)


def test_something_appended_is_refused(good: Path) -> None:
    good.write_bytes(good.read_bytes() + b"\0")
    with pytest.raises(ModelRefused, match="appended"):
        read_header(good)


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        ({"a": row(0, 8, [2]), "b": row(4, 12, [2])}, 12, "overlap"),
        ({"a": row(0, 8, [2]), "b": row(0, 8, [2])}, 8, "overlap"),
        ({"a": row(0, 8, [2]), "b": row(12, 20, [2])}, 20, "gaps"),
        ({"a": row(0, 8, [3])}, 8, "damaged header"),
        ({"a": row(0, 8, [-2, -1])}, 8, "damaged header"),
        ({"a": row(8, 0, [2])}, 8, "damaged header"),
        ({"a": row(0, 16, [2], "F64")}, 16, "damaged header"),
        ({"a": row(0, 8, [2], "F8_E4M3")}, 8, "damaged header"),
        ({"a": row(0, 8, [True])}, 8, "damaged header"),
        ({"a": {**row(0, 8, [2]), "more": 1}}, 8, "damaged header"),
        ({"../../x": row(0, 8, [2])}, 8, "damaged header"),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}', 4, "damaged header"),
        (b"[" * 100_000, 0, "damaged header"),
        (b"[]", 0, "damaged header"),
        ({"a": row(0, 1 << 62, [1 << 60])}, 8, "cut short"),
    ],
)
def test_a_header_that_lies_is_refused(
    tmp_path: Path, header: dict[str, Any] | bytes, data: int, words: str
) -> None:
    with pytest.raises(ModelRefused, match=words):
        read_header(craft(tmp_path / "m.safetensors", header, b"\0" * data))


def test_a_header_as_long_as_the_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="not a safetensors file"):
        read_header(craft(tmp_path / "m.safetensors", b"{}", length=1 << 60))


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        read_header(tmp_path / "none.safetensors")


def _with(**changes: Tensor | None) -> dict[str, Tensor]:
    return {name: value for name, value in {**STATE, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (_with(weight=torch.zeros(3, 2)), r"shape \(3, 2\) instead of \(2, 3\)"),
        (_with(weight=torch.zeros(6)), "shape"),
        (_with(weight=torch.zeros(2, 3, dtype=torch.int64)), "stores weight as I64"),
        (_with(weight=torch.zeros(2, 3, dtype=torch.uint8)), "stores weight as U8"),
        (_with(weight=None), "lacks 1 tensors"),
        (_with(extra=torch.zeros(1)), "extra, which this model does not know"),
        (_with(bias=torch.tensor([0.0, float("nan")])), "numbers in bias"),
        (_with(bias=torch.tensor([float("-inf"), 0.0])), "numbers in bias"),
    ],
)
def test_other_tensors_than_the_models_are_refused(
    tmp_path: Path, state: dict[str, Tensor], words: str
) -> None:
    path = tmp_path / "m.safetensors"
    save_file(state, path)
    with pytest.raises(ModelRefused, match=words):
        load_weights(build, path)


class Tables(nn.Module):
    """A module with position tables, as transformers' models have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("positions", torch.arange(4))
        self.register_buffer("scale", torch.full((2,), 3.0), persistent=False)


@pytest.mark.parametrize(
    "lies",
    [
        lambda: nn.Sequential(*(nn.Linear(1, 1) for _ in iter(int, 1))),  # layers without end
        lambda: nn.Linear(10**12, 10**12),
        lambda: nn.Linear(-1, 2),
        lambda: nn.MultiheadAttention(7, 10**6),
    ],
)
def test_a_configuration_that_lies_is_refused_before_memory_ends(
    good: Path, lies: Callable[[], nn.Module]
) -> None:
    with pytest.raises(ModelRefused, match="configuration"):
        load_weights(lies, good)
    assert load_weights(build, good) is not None


def test_position_tables_are_the_modules_own(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"weight": torch.ones(2), "positions": torch.full((4,), 10**9), "older": torch.arange(3)}, path)
    module = load_weights(Tables, path, dtype=torch.float16)
    assert module.positions.tolist() == [0, 1, 2, 3]
    assert module.scale.dtype == torch.float16
    assert module.scale.tolist() == [3, 3]


def test_names_can_be_mapped_and_ignored(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"old.weight": STATE["weight"], "old.bias": STATE["bias"], "head.weight": torch.zeros(1)}, path)
    module = load_weights(build, path, rename=lambda name: name.removeprefix("old."), ignore=("head.",))
    assert torch.equal(module.bias, STATE["bias"])


def test_two_tensors_for_one_place_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({**STATE, "a.bias": torch.zeros(2)}, path)
    with pytest.raises(ModelRefused, match="twice"):
        load_weights(build, path, rename=lambda name: name.removeprefix("a."))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight"),
        ("encoder.mid_block.attentions.0.proj_attn.bias", "encoder.mid_block.attentions.0.to_out.0.bias"),
        ("encoder.mid_block.attentions.0.to_k.bias", "encoder.mid_block.attentions.0.to_k.bias"),
        ("encoder.layer.0.attention.self.query.weight", "encoder.layer.0.attention.self.query.weight"),
    ],
)
def test_attention_of_old_vaes_gets_todays_names(old: str, new: str) -> None:
    assert weights.modern_attention(old) == new


@given(st.data())
def test_no_damage_gets_past_the_header_check(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever is changed, it is refused here, or the library reads it without complaint."""
    path = tmp_path_factory.mktemp("fuzz") / "m.safetensors"
    save_file(STATE, path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 25))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        read_header(path)
    except ModelRefused:
        return
    open_weights(path)


MEASURE = """
import sys, resource
import torch
from torch import nn
from footfall.server.models.weights import load_weights
from accelerate import init_empty_weights
from safetensors import safe_open
from pathlib import Path

def peak():
    return [int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmHWM")][0]

def build():
    return nn.Sequential(*[nn.Linear(2048, 2048, bias=False) for _ in range(8)])

with init_empty_weights():
    build()
before = peak()
module = load_weights(build, Path(sys.argv[1]))
with torch.inference_mode():
    module(torch.zeros(1, 2048))
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_peak_memory_is_at_most_a_quarter_above_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({f"{i}.weight": torch.randn(2048, 2048) for i in range(8)}, path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    grown = int(done.stdout)
    assert grown <= 1.25 * path.stat().st_size
