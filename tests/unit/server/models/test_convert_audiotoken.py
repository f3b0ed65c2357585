# SPDX-License-Identifier: GPL-3.0-or-later
"""AudioToken's published files become parts of a bundle; whatever else a pickle holds is refused, not run."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import ModelRefused
from footfall.server.models import manifest
from footfall.server.models.audiotoken import Embedder, load_audiotoken
from footfall.server.models.beats import Beats, BeatsConfig
from footfall.server.models.bundle import SpaceId, open_bundle
from footfall.server.models.bundle_parts import PICTURE_CONFIGS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from .test_beats import TINY
from .tiny_painter import TinyPainter

if TYPE_CHECKING:
    from footfall.server.models.painter import Painter

SCRIPT = Path(__file__).resolve().parents[4] / "scripts" / "convert_audiotoken.py"
TOKEN = 12


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convert_audiotoken", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def published(token: int = TOKEN) -> dict[str, Tensor]:
    """Random tensors under the published names and shapes, small."""
    shapes = {
        "fc1.weight": (48, 48),
        "fc1.bias": (48,),
        "fc2.weight": (token, 48),
        "fc2.bias": (token,),
        "fga.un_models.0.embed.weight": (token, token, 1),
        "fga.un_models.0.embed.bias": (token,),
        "fga.un_models.0.feature_reduce.weight": (1, token, 1),
        "fga.un_models.0.feature_reduce.bias": (1,),
        "fga.pp_models.0.embed_X.weight": (token, token, 1),
        "fga.pp_models.0.embed_X.bias": (token,),
        "fga.pp_models.0.embed_Y.weight": (token, token, 1),
        "fga.pp_models.0.embed_Y.bias": (token,),
        "fga.reduce_potentials.0.weight": (1, 2, 1),
    }
    generator = torch.Generator().manual_seed(4)
    return OrderedDict((name, torch.randn(shape, generator=generator)) for name, shape in shapes.items())


def checkpoint() -> dict[str, Any]:
    """A tiny BEATs as published: every layer has the positions' table, and a classifier is at the end."""
    torch.manual_seed(6)
    network = Beats(TINY)
    state = dict(network.state_dict())
    table = state["encoder.layers.0.self_attn.relative_attention_bias.weight"]
    state |= {f"encoder.layers.{n}.self_attn.relative_attention_bias.weight": table for n in (1, 2)}
    state |= {"predictor.weight": torch.zeros(527, 16), "predictor.bias": torch.zeros(527)}
    cfg = TINY.plain() | {"dropout": 0.0, "encoder_layerdrop": 0.05, "finetuned_model": True}
    return {"cfg": cfg, "model": state}


def saved(value: Any, path: Path) -> Path:
    torch.save(value, path)
    return path


def test_values_and_tensors_come_back(script: ModuleType, tmp_path: Path) -> None:
    kinds = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32)
    tensors = {str(kind): (torch.arange(6).reshape(2, 3) * 3).to(kind) for kind in kinds}
    whole = torch.randn(4, 6)
    tensors |= {
        "part": whole[1:3, ::2],
        "turned": whole.T,
        "none": torch.zeros(0, 3),
        "one": torch.tensor(2.5),
    }
    plain = {"a": 1, "b": -0.5, "c": "word", "d": True, "e": None, "f": [1, [2**40]], "g": (1, 2, 3, 4)}
    found = script.read_archive(
        saved({"t": tensors, "p": plain, "n": nn.Parameter(whole)}, tmp_path / "a.pt")
    )
    assert found["p"] == plain
    assert torch.equal(found["n"], whole)
    for name, tensor in tensors.items():
        assert found["t"][name].dtype == tensor.dtype
        assert torch.equal(found["t"][name], tensor)


def test_a_modules_own_state_is_read(script: ModuleType, tmp_path: Path) -> None:
    layer = nn.Linear(3, 2)  # its table carries notes on versions
    found = script.read_archive(saved(layer.state_dict(), tmp_path / "a.bin"))
    assert set(found) == {"weight", "bias"}
    assert torch.equal(found["weight"], layer.weight)


def test_the_published_embedder_gives_the_published_tokens(script: ModuleType, tmp_path: Path) -> None:
    state = published()
    embedder = script.embedder_of(script.read_archive(saved(state, tmp_path / "embedder.bin")))
    assert embedder.sizes == {"width": 48, "token": TOKEN, "hidden": 48}
    places = torch.randn(2, 7, 48)
    rows = nn.functional.gelu(places @ state["fc1.weight"].T + state["fc1.bias"])
    rows = rows @ state["fc2.weight"].T + state["fc2.bias"]

    def over(name: str, given: Tensor) -> Tensor:
        return nn.functional.conv1d(given.mT, state[f"fga.{name}.weight"], state[f"fga.{name}.bias"])

    alone = over("un_models.0.feature_reduce", over("un_models.0.embed", rows).relu().mT)
    one, other = (nn.functional.normalize(over(f"pp_models.0.embed_{side}", rows)) for side in "XY")
    both = torch.cat([alone, (one.mT @ other).mean(2)[:, None]], dim=1)
    weights = nn.functional.conv1d(both, state["fga.reduce_potentials.0.weight"]).softmax(-1)
    with torch.no_grad():
        torch.testing.assert_close(embedder(places), (rows.mT @ weights.mT)[..., 0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("change", ["lacks", "more", "list"])
def test_something_else_than_the_embedder_is_refused(script: ModuleType, change: str) -> None:
    state: Any = published()
    if change == "lacks":
        del state["fga.pp_models.0.embed_Y.bias"]
    elif change == "more":
        state["fc3.weight"] = torch.zeros(1)
    else:
        state = [state]
    with pytest.raises(ModelRefused):
        script.embedder_of(state)


def bundle_with_words(root: Path) -> Path:
    """A bundle that paints, as far as its files are looked at here."""
    for part, file in PICTURE_CONFIGS.items():
        (root / part).mkdir(parents=True)
        (root / part / file).write_text(f'{{"hidden_size": {TOKEN}}}', encoding="utf-8")
        save_file({"weight": torch.zeros(2)}, root / part / "model.safetensors")
    said = {"name": "model", "title": "Tiny", "licence": "none", "clip": "none", "clap": "none"}
    manifest.seal(root, manifest.Manifest(commercial=True, sampling_rate=16_000, **said))
    return root


def test_the_files_become_parts_that_the_worker_uses(script: ModuleType, tmp_path: Path) -> None:
    root = bundle_with_words(tmp_path / "model")
    files = [
        saved(published(), tmp_path / "embedder.bin"),
        saved(checkpoint(), tmp_path / "beats.pt"),
    ]
    assert script.main([str(file) for file in (*files, root)]) == 0
    bundle = open_bundle(root)
    bundle.verify()
    painter = TinyPainter(TOKEN)
    painter.backbone = SpaceId(
        name="tiny", sha256=bundle.files["pictures/text_encoder/model.safetensors"].sha256
    )
    token = load_audiotoken(bundle, cast("Painter", painter), None)
    wave = np.random.default_rng(0).uniform(-0.2, 0.2, 20_000).astype(np.float32)
    found = token.tokens(wave[None], 16_000)
    assert found.shape == (1, TOKEN)
    torch.manual_seed(6)
    network = Beats(TINY).eval()
    for name, value in token.ear.modules[0].state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name])


def test_parts_that_do_not_fit_leave_the_bundle_alone(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = bundle_with_words(tmp_path / "model")
    before = open_bundle(root).sha256
    files = [saved(published(8), tmp_path / "e.bin"), saved(checkpoint(), tmp_path / "b.pt")]
    assert script.main([str(file) for file in (*files, root)]) != 0
    assert "has 12" in capsys.readouterr().err
    assert open_bundle(root).sha256 == before


# What must never be run ---------------------------------------------------------------------------------


def archive(path: Path, raw: bytes, **others: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as stream:
        stream.writestr("archive/data.pkl", raw)
        for name, content in others.items():
            stream.writestr(f"archive/{name}", content)
    return path


TOUCH = b"\x80\x02cos\nsystem\nX\x0b\x00\x00\x00touch /tmp/x\x85R."
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


@pytest.mark.parametrize(
    "raw",
    [
        TOUCH,
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
        b"\x80\x02(X\x01\x00\x00\x001ios\nsystem\n.",
        b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x001o.",
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}b.",
        b"\x80\x02}}X\x07\x00\x00\x00forwardK\x01sb.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\n(K\x01\x89}tR.",
        b"\x80\x02X\x01\x00\x00\x000Q.",
        b"\x80\x02\x82\x01.",
        b"\x80\x02.",
        b"\x80\x02K\x01",
        b"",
        b"\xff" * 40,
    ],
    ids=str,
)
def test_no_pickle_does_anything(script: ModuleType, tmp_path: Path, raw: bytes) -> None:
    path = archive(tmp_path / "bad.bin", raw)
    with pytest.raises(ModelRefused, match="nothing of it was run"):
        script.read_archive(path)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (b"K\x00", b"K\x05\x85", b"K\x01\x85"),  # longer than its storage
        (b"K\x01", b"K\x04\x85", b"K\x01\x85"),
        (b"K\x00", b"K\x02K\x02\x86", b"K\x03K\x01\x86"),
        (b"K\x00", b"K\xff\x85", b"K\x00\x85"),  # one number over and over
        (b"K\x00", b"K\x02\x85", b"K\x01K\x01\x86"),
        (b"J\xff\xff\xff\xff", b"K\x02\x85", b"K\x01\x85"),
        (b"K\x00", b"J\xfe\xff\xff\xff\x85", b"K\x01\x85"),
        (b"\x88", b"K\x02\x85", b"K\x01\x85"),
    ],
)
def test_no_tensor_reaches_out_of_its_storage(
    script: ModuleType, tmp_path: Path, offset: bytes, size: bytes, stride: bytes
) -> None:
    def file(offset: bytes, size: bytes, stride: bytes) -> Path:
        raw = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + offset + size + stride + b"\x89}tR."
        return archive(tmp_path / "t.bin", raw, **{"data/0": np.arange(4, dtype="<f4").tobytes()})

    good = script.read_archive(file(b"K\x01", b"K\x03\x85", b"K\x01\x85"))
    assert good.tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(ModelRefused):
        script.read_archive(file(offset, size, stride))


def test_other_files_are_refused(script: ModuleType, tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    (tmp_path / "empty.bin").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "packed.bin", "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("archive/data.pkl", b"\x80\x02K\x01.")
    with zipfile.ZipFile(tmp_path / "two.bin", "w") as stream:
        stream.writestr("one/data.pkl", b"\x80\x02K\x01.")
        stream.writestr("two/data.pkl", b"\x80\x02K\x01.")
    archive(tmp_path / "order.bin", b"\x80\x02K\x01.", byteorder=b"big")
    for name in ("old", "empty", "packed", "two", "order", "missing"):
        with pytest.raises(ModelRefused):
            script.read_archive(tmp_path / f"{name}.bin")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 400), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_pickle_is_read_or_refused(
    script: ModuleType, tmp_path: Path, place: int, value: int, cut: bool
) -> None:
    stream = io.BytesIO()
    torch.save(nn.Linear(3, 2).state_dict(), stream)
    with zipfile.ZipFile(stream) as whole:
        files = {name.partition("/")[2]: whole.read(name) for name in whole.namelist()}
    raw = bytearray(files.pop("data.pkl"))
    place %= len(raw)
    raw[place] = value
    path = archive(tmp_path / "damaged.bin", bytes(raw[: place + 1] if cut else raw), **files)
    with contextlib.suppress(ModelRefused):
        script.read_archive(path)
    path.unlink()


def test_sizes_of_the_published_network_are_understood(script: ModuleType) -> None:
    assert BeatsConfig.parse(BeatsConfig().plain()).places_width == 2304
    assert sum(p.numel() for p in Embedder(2304, 1024).parameters()) == 10_820_867
