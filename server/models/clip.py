# SPDX-License-Identifier: GPL-3.0-or-later
"""CLIP, which looks at the pictures: open_clip's model from a bundle's ``clip`` part.

Embeddings are returned as the model gives them, not normalised, because V2A-Mapper averages them that way.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...addon.wire.errors import ModelRefused
from ..control import JobControl
from .bundle import Bundle, SpaceId
from .device import memory_guard
from .manifest import WHOLE
from .tokens import Tokens, batches
from .weights import load_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

FRAMES_AT_ONCE = 16  # a cancel waits for no more, and a processor is as fast
SHOTS_REMEMBERED = 16
Tokenize = Callable[[Sequence[str]], np.ndarray]
_MODEL_KEYS = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"}
_TOKENIZER = "clip/tokenizer.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Words:
    """Texts as CLIP's text tower reads them. tokens: (N, L, W) float32, what it makes of each of its L
    places, zeros behind the end; known: (N, L) bool, where a token of the text stands; rows: (N, C) float32.
    """

    tokens: Tensor
    known: Tensor
    rows: Tensor


class ClipEncoder:
    """Pictures and texts to CLIP's space. ``space`` names it, ``size`` is of its rows; ``looked_at`` counts
    the frames really computed.
    """

    def __init__(
        self, model: Any, tokenize: Tokenize, config: dict[str, Any], views: Sequence[float] = WHOLE
    ) -> None:
        """``tokenize``: texts to (N, context length) int64; ``views``: as in the manifest. Use ``load``."""
        import torch

        prepare = config.get("preprocess_cfg", {})
        self._model = model
        self._tokenize = tokenize
        self._views = tuple(views)
        self._device = next(model.parameters()).device
        self._dtype = next(model.parameters()).dtype
        self._size = int(config["model_cfg"]["vision_cfg"]["image_size"])
        # Resizing with anti-aliasing stays on the CPU for Apple's GPU, whose support for it is recent.
        self._resizes_on = torch.device("cpu") if self._device.type == "mps" else self._device
        self._mean = torch.tensor(prepare["mean"], device=self._resizes_on).view(1, 3, 1, 1)
        self._std = torch.tensor(prepare["std"], device=self._resizes_on).view(1, 3, 1, 1)
        self._shots: OrderedDict[bytes, Tensor] = OrderedDict()
        self.space = SpaceId(name="", sha256="")
        self.size = int(config["model_cfg"]["embed_dim"])
        self.looked_at = 0

    @classmethod
    def load(cls, bundle: Bundle, device: torch.device, dtype: torch.dtype) -> ClipEncoder:
        """Raises ModelMissing, ModelRefused, OutOfMemory."""
        import open_clip

        config = bundle.config("clip")
        model_config = config.get("model_cfg")
        if not isinstance(model_config, dict) or not set(model_config) <= _MODEL_KEYS:
            raise ModelRefused(f"The CLIP of {bundle.title} is of an unknown kind; choose another model.")
        nested = [model_config.get("vision_cfg"), model_config.get("text_cfg")]
        if any(not isinstance(part, dict) or any("_model_name" in key for key in part) for part in nested):
            raise ModelRefused(
                f"The CLIP of {bundle.title} wants parts from elsewhere; choose another model."
            )
        with memory_guard(device, "CLIP"):
            try:
                model = load_weights(
                    lambda: open_clip.CLIP(**model_config), bundle.weights("clip"), device=device, dtype=dtype
                )
                encoder = cls(model, _tokenizer(bundle, model_config["text_cfg"]), config, bundle.views)
            except (TypeError, KeyError, ValueError) as error:
                raise ModelRefused(
                    f"The CLIP of {bundle.title} has a damaged configuration; pull it again.", repr(error)
                ) from error
        encoder.space = bundle.clip_space
        return encoder

    def encode_images(
        self, frames: np.ndarray, control: JobControl | None = None, *, whole: bool = False
    ) -> Tensor:
        """(T, H, W, 3) uint8 sRGB to (T, 512) float32 on the CPU, one row per frame: the mean of what CLIP
        sees of it in each of the ``views``. ``whole``: in none but the whole, as is right for painted
        pictures, which are too small to be looked at closely, and for what is held against them.

        A shot that was seen before, with the same pixels, costs nothing but reading them. The memory is by
        shot and not by frame because the last bits of a row depend on which frames were computed with it.
        """
        import torch

        if not len(frames):
            return torch.zeros(0, self._model.visual.output_dim)
        views = WHOLE if whole else self._views
        key = _content(frames, views)
        if key in self._shots:
            self._shots.move_to_end(key)
            return self._shots[key].clone()
        rows = []
        with torch.inference_mode(), memory_guard(self._device, "looking at the pictures"):
            for start in range(0, len(frames), FRAMES_AT_ONCE):
                if control:
                    control.check()
                    control.progress("looking", start / len(frames))
                rows.append(self._looked(frames[start : start + FRAMES_AT_ONCE], views))
            found = torch.cat(rows).float().cpu().clone()
        self.looked_at += len(frames)
        self._shots[key] = found
        if len(self._shots) > SHOTS_REMEMBERED:
            self._shots.popitem(last=False)
        return found.clone()

    def _looked(self, frames: np.ndarray, views: Sequence[float]) -> Tensor:
        """(T, H, W, 3) to (T, 512), on the device."""
        seen: Tensor = sum(self._model.encode_image(self.prepare(middle(frames, share))) for share in views)
        return seen / len(views)

    def encode_text(self, texts: Sequence[str], progress: Callable[[float], None] | None = None) -> Tensor:
        """Texts to (N, 512) float32 on the CPU; longer ones are cut at CLIP's 77 tokens. ``progress`` is
        called with 0..1 after each batch, and may raise to stop.
        """
        import torch

        rows, done = torch.zeros(len(texts), self._model.visual.output_dim), 0
        if not len(texts):
            return rows
        ids = self._tokenize(texts)
        counts = ids.argmax(-1) + 1 if self._looks_back else np.full(len(ids), ids.shape[1])
        with torch.inference_mode(), memory_guard(self._device, "reading the words"):
            for batch in batches(counts):
                rows[batch] = self._encode_ids(ids[batch]).float().cpu()
                done += len(batch)
                if progress:
                    progress(done / len(texts))
        return rows

    def read_words(self, texts: Sequence[str]) -> Words:
        """What the text tower makes of every token, beside the rows of ``encode_text``; float32, CPU."""
        import torch

        ids = self._tokenize(texts)
        with torch.inference_mode(), memory_guard(self._device, "reading the words"):
            tokens, rows = self._read(ids)
        short = ids.shape[1] - tokens.shape[1]
        known = np.arange(ids.shape[1]) <= ids.argmax(-1)[:, None]
        return Words(
            tokens=torch.nn.functional.pad(tokens.float().cpu(), (0, 0, 0, short)),
            known=torch.from_numpy(known),
            rows=rows.float().cpu().clone(),
        )

    @property
    def _looks_back(self) -> bool:
        """Whether the text tower is CLIP's own: it looks only backwards, and the end token's row is taken."""
        return self._model.text_pool_type == "argmax" and self._model.attn_mask is not None

    def _encode_ids(self, ids: np.ndarray) -> Tensor:
        """(N, 77) token ids to (N, 512), as open_clip's ``encode_text``, in the time that the texts take."""
        import torch

        if not self._looks_back:
            found: Tensor = self._model.encode_text(torch.from_numpy(ids).to(self._device))
            return found
        return self._read(ids)[1]

    def _read(self, ids: np.ndarray) -> tuple[Tensor, Tensor]:
        """(N, 77) token ids to (N, L, W) and (N, 512), on the device.

        The tower looks only backwards and the row of the end token is taken, so what is behind the last end
        token of the batch, nearly all of it for a caption, changes nothing and is left out.
        """
        import torch

        model = self._model
        length = int(ids.argmax(-1).max()) + 1
        kept = torch.from_numpy(np.ascontiguousarray(ids[:, :length])).to(self._device)
        x = model.token_embedding(kept) + model.positional_embedding[:length]
        x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
        ends = x[torch.arange(len(ids), device=x.device), kept.argmax(-1)]
        return x, ends @ model.text_projection

    def prepare(self, frames: np.ndarray) -> Tensor:
        """(T, H, W, 3) uint8 to (T, 3, S, S) as the model wants it: short side to S, middle cut out,
        normalised.
        """
        import torch

        pixels = torch.tensor(np.ascontiguousarray(frames))  # a copy: what the wire brings is read-only
        pixels = pixels.to(self._resizes_on).permute(0, 3, 1, 2).float()
        height, width = pixels.shape[-2:]
        size, short = self._size, min(height, width)
        if short != size:
            # As Pillow and torchvision: the long side is rounded down, first the width is resized and stored,
            # then the height.
            old_height, height, width = height, size * height // short, size * width // short
            for target in ((old_height, width), (height, width)):
                pixels = torch.nn.functional.interpolate(pixels, target, mode="bicubic", antialias=True)
                pixels = pixels.round().clamp(0, 255)
        top, left = round((height - size) / 2), round((width - size) / 2)
        pixels = pixels[..., top : top + size, left : left + size].div(255)
        return pixels.sub(self._mean).div(self._std).to(self._device, self._dtype)


def middle(frames: np.ndarray, share: float) -> np.ndarray:
    """The middle of (T, H, W, 3), ``share`` of its height and width, a pixel at least."""
    height, width = frames.shape[1:3]
    tall, wide = max(1, round(share * height)), max(1, round(share * width))
    top, left = (height - tall) // 2, (width - wide) // 2
    return frames[:, top : top + tall, left : left + wide]


def _content(frames: np.ndarray, views: Sequence[float]) -> bytes:
    digest = hashlib.blake2b(repr((frames.shape, tuple(views))).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frames).data)
    return digest.digest()


def _tokenizer(bundle: Bundle, text_config: dict[str, Any]) -> Tokenize:
    length, vocabulary = int(text_config["context_length"]), int(text_config["vocab_size"])
    if _TOKENIZER in bundle.files:
        bundle.check(_TOKENIZER)
        tokens = Tokens(bundle.file(_TOKENIZER), limit=length, vocabulary=vocabulary)

        def own(texts: Sequence[str]) -> np.ndarray:
            ids, _ = tokens(texts)
            return np.pad(ids, ((0, 0), (0, length - ids.shape[1])))

        return own
    from open_clip.tokenizer import SimpleTokenizer

    simple = SimpleTokenizer(context_length=length)
    if simple.vocab_size > vocabulary:
        raise ModelRefused(f"The CLIP of {bundle.title} has no tokenizer of its own; pull the model again.")
    return lambda texts: simple(list(texts)).numpy()
