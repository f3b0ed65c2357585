# SPDX-License-Identifier: GPL-3.0-or-later
"""CLIP looks at pictures as its authors' code does, once per shot."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import Cancelled, ModelRefused
from footfall.server.models.bundle import Bundle, open_bundle
from footfall.server.models.clip import FRAMES_AT_ONCE, ClipEncoder, middle
from hypothesis import given
from hypothesis import strategies as st

CPU = torch.device("cpu")


class Control:
    """Counts the signs of life; asks to stop after ``stop_after`` of them."""

    def __init__(self, stop_after: int = 1_000_000) -> None:
        self.fractions: list[float] = []
        self.checks = 0
        self._stop_after = stop_after

    def check(self) -> None:
        self.checks += 1
        if self.checks > self._stop_after:
            raise Cancelled

    def progress(self, phase: str, fraction: float) -> None:
        assert phase == "looking"
        self.fractions.append(fraction)


@pytest.fixture
def clip(tiny: Bundle) -> ClipEncoder:
    return ClipEncoder.load(tiny, CPU, torch.float32)


def frames(count: int, height: int = 224, width: int = 224, seed: int = 0) -> np.ndarray:
    """Smooth noise, as pictures are."""
    from PIL import Image

    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (count, height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BICUBIC)) for one in small]
    )


def test_one_row_for_each_frame(clip: ClipEncoder, tiny: Bundle) -> None:
    rows = clip.encode_images(frames(3))
    assert rows.shape == (3, 512)
    assert rows.dtype == torch.float32
    assert torch.isfinite(rows).all()
    assert clip.space == tiny.clip_space


def test_no_frames_no_rows(clip: ClipEncoder) -> None:
    assert clip.encode_images(np.zeros((0, 224, 224, 3), np.uint8)).shape == (0, 512)
    assert clip.encode_text([]).shape == (0, 512)
    assert clip.looked_at == 0


def test_pictures_that_may_not_be_written_raise_no_warning(clip: ClipEncoder) -> None:
    """As they come over the wire; torch would warn into the log."""
    frames = np.zeros((2, 9, 8, 3), np.uint8)
    frames.setflags(write=False)
    assert len(clip.prepare(frames)) == 2


@pytest.mark.parametrize(
    ("height", "width", "levels"),
    [(224, 224, 0), (224, 398, 0), (513, 224, 0), (540, 960, 1.1), (301, 500, 1.1), (90, 120, 2.1)],
)
def test_pictures_are_prepared_as_open_clip_prepares_them(
    clip: ClipEncoder, tiny: Bundle, height: int, width: int, levels: float
) -> None:
    """Against open_clip's own transform over Pillow. Enlarging differs most: Pillow rounds between its two
    passes.
    """
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from PIL import Image

    pictures = frames(2, height, width)
    reference = image_transform_v2(PreprocessCfg(**tiny.config("clip")["preprocess_cfg"]), is_train=False)
    wanted = torch.stack([reference(Image.fromarray(picture)) for picture in pictures])
    made = clip.prepare(pictures)
    assert made.shape == wanted.shape == (2, 3, 224, 224)
    scale = torch.tensor(tiny.config("clip")["preprocess_cfg"]["std"]).view(1, 3, 1, 1) * 255
    assert ((made - wanted).abs() * scale).max() <= levels + 1e-3


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 1024), (1024, 8), (223, 225)])
def test_frames_of_any_size_the_wire_allows(clip: ClipEncoder, height: int, width: int) -> None:
    assert torch.isfinite(clip.encode_images(np.full((1, height, width, 3), 128, np.uint8))).all()


def test_several_views_are_averaged(clip: ClipEncoder, tiny: Bundle) -> None:
    shot = frames(2, 96, 128)
    both = ClipEncoder.load(dataclasses.replace(tiny, views=(1.0, 0.5)), CPU, torch.float32)
    apart = clip.encode_images(shot), clip.encode_images(shot[:, 24:72, 32:96])
    assert torch.allclose(both.encode_images(shot), (apart[0] + apart[1]) / 2, atol=1e-5)
    assert both.looked_at == 2
    assert torch.equal(both.encode_images(shot, whole=True), apart[0])
    assert both.looked_at == 4


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 1.0))
def test_the_middle_is_inside_and_has_a_pixel(height: int, width: int, share: float) -> None:
    shot = np.arange(height * width * 3, dtype=np.int32).reshape(1, height, width, 3)
    part = middle(shot, share)
    assert part.shape == (1, max(1, round(share * height)), max(1, round(share * width)), 3)
    top, left = divmod(int(part[0, 0, 0, 0]) // 3, width)
    assert abs((height - part.shape[1] - top) - top) <= 1
    assert abs((width - part.shape[2] - left) - left) <= 1


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_frames(clip: ClipEncoder, value: int) -> None:
    rows = clip.encode_images(np.full((2, 64, 64, 3), value, np.uint8))
    assert torch.isfinite(rows).all()
    assert torch.equal(rows[0], rows[1])


def test_a_shot_seen_before_costs_nothing(clip: ClipEncoder) -> None:
    shot = frames(5)
    first = clip.encode_images(shot)
    assert clip.looked_at == 5
    again = clip.encode_images(shot.copy())
    assert clip.looked_at == 5
    assert torch.equal(first, again)
    again.zero_()  # what a caller does with its copy is its own business
    assert torch.equal(first, clip.encode_images(shot))


def test_other_pixels_or_another_shape_are_another_shot(clip: ClipEncoder) -> None:
    shot = frames(2, 64, 64)
    clip.encode_images(shot)
    changed = shot.copy()
    changed[1, 5, 5, 0] ^= 1
    clip.encode_images(changed)
    clip.encode_images(shot.reshape(2, 32, 128, 3))
    clip.encode_images(shot[:1])
    assert clip.looked_at == 7


def test_the_same_frames_give_the_same_bits_in_any_order(tiny: Bundle) -> None:
    shots = [frames(count, seed=count) for count in (1, 7, FRAMES_AT_ONCE + 3)]
    runs = []
    for order in (shots, shots[::-1]):
        clip = ClipEncoder.load(tiny, CPU, torch.float32)
        runs.append({len(shot): clip.encode_images(shot) for shot in order})
    for count in runs[0]:
        assert torch.equal(runs[0][count], runs[1][count])


def test_a_cancelled_shot_is_not_remembered(clip: ClipEncoder) -> None:
    shot = frames(2 * FRAMES_AT_ONCE, 16, 16)
    with pytest.raises(Cancelled):
        clip.encode_images(shot, Control(stop_after=1))
    control = Control()
    rows = clip.encode_images(shot, control)
    assert control.fractions == [0.0, 0.5]
    assert torch.equal(rows, clip.encode_images(shot))


def test_texts_of_all_kinds(clip: ClipEncoder) -> None:
    texts = ["", "a dog barking", "A DOG BARKING", "犬 🐶", "x" * 10_000]
    rows = clip.encode_text(texts)
    assert rows.shape == (5, 512)
    assert torch.isfinite(rows).all()
    assert torch.equal(rows[1], rows[2])
    assert not torch.equal(rows[0], rows[1])


def test_short_texts_are_encoded_as_open_clip_encodes_them(clip: ClipEncoder) -> None:
    texts = ["rain", "a wooden ball bouncing on planks", "", "x " * 300]
    for batch in (texts, texts[:3]):
        ids = torch.from_numpy(clip._tokenize(batch))
        with torch.inference_mode():
            whole = clip._model.encode_text(ids)
        torch.testing.assert_close(clip.encode_text(batch), whole, rtol=1e-4, atol=1e-5)


def test_the_public_clip_uses_open_clips_own_tokenizer() -> None:
    from open_clip.tokenizer import SimpleTokenizer

    ids = SimpleTokenizer(context_length=77)(["a dog", "🐶" * 500])
    assert ids.shape == (2, 77)
    assert ids.max() == 49407


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda config: config["model_cfg"]["vision_cfg"].update(timm_model_name="resnet50"),
            "from elsewhere",
        ),
        (
            lambda config: config["model_cfg"]["text_cfg"].update(hf_model_name="roberta-base"),
            "from elsewhere",
        ),
        (lambda config: config["model_cfg"].update(custom_text=True), "unknown kind"),
        (lambda config: config.pop("model_cfg"), "unknown kind"),
        (lambda config: config["model_cfg"]["vision_cfg"].update(nonsense=1), "damaged configuration"),
        (lambda config: config["model_cfg"]["vision_cfg"].update(width=48), "shape"),
        (lambda config: config["preprocess_cfg"].pop("mean"), "damaged configuration"),
    ],
)
def test_a_configuration_that_is_not_clips_is_refused(
    copy_bundle: Callable[[str], Path], change: Callable[[dict], None], words: str
) -> None:
    from .conftest import reseal

    root = copy_bundle("one")
    path = root / "clip" / "open_clip_config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))
    reseal(root)
    with pytest.raises(ModelRefused, match=words):
        ClipEncoder.load(open_bundle(root), CPU, torch.float32)
