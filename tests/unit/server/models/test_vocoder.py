# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocoder: transformers' own numbers, in chunks without a seam, and its lag measured."""

from __future__ import annotations

import pytest
import torch
from footfall.addon.wire.errors import Cancelled
from footfall.server.models import vocoder as module
from footfall.server.models.layouts import layout
from footfall.server.models.offset import log_mel, measure_offset
from footfall.server.models.vocoder import Vocoder
from torch import Tensor
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

CONFIG = {
    key: value
    for key, value in layout("audioldm-s-full-v2", tiny=True).vocoder.items()
    if key != "architectures"
}


def original(**changes: object) -> SpeechT5HifiGan:
    torch.manual_seed(0)
    made = SpeechT5HifiGan(SpeechT5HifiGanConfig(**(CONFIG | changes))).eval().requires_grad_(False)
    for parameter in made.parameters():
        parameter.normal_(0, 0.2)  # loud enough that what a neighbour adds is seen
    return made


def ignore(fraction: float) -> None:
    """For progress that nobody watches."""


def relative(mine: Tensor, other: Tensor) -> float:
    return float((mine - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("frames", [1, 3, 64, 101])
@pytest.mark.parametrize("normalised", [False, True])
def test_it_is_the_original(frames: int, normalised: bool) -> None:
    theirs = original(normalize_before=normalised)
    theirs.mean.fill_(-3.0)
    theirs.scale.fill_(2.0)
    mel = torch.randn(2, frames, 64)
    ours = Vocoder(theirs)
    with torch.inference_mode():
        expected = theirs(mel)[:, : frames * ours.hop]
        found = ours(mel)
    assert found.shape == (2, frames * 160)
    assert relative(found, expected) < 1e-4


@pytest.mark.parametrize("chunk", [7, 32, 50])
def test_chunks_have_no_seam(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Vocoder(original())
    mel = torch.randn(3, 120, 64)
    with torch.inference_mode():
        whole = ours(mel)
        monkeypatch.setattr(module, "CHUNK_FRAMES", chunk)
        monkeypatch.setattr(module, "FRAMES_AT_ONCE", 2 * chunk)
        told: list[float] = []
        assert relative(ours(mel, done=told.append), whole) < 1e-5
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_the_reach_is_enough_and_not_wasteful() -> None:
    """No sample depends on a frame further away than the reach, and some do on one not much nearer."""
    ours = Vocoder(original().double())
    mel = torch.randn(1, 100, 64, dtype=torch.float64)
    changed = mel.clone()
    changed[:, 50] += 5.0
    with torch.inference_mode():
        touched = (ours._whole(mel, ignore) - ours._whole(changed, ignore)).abs()[0] > 0
    frames = [index // ours.hop for index in touched.nonzero().flatten().tolist()]
    assert 50 - ours.reach_frames <= min(frames)
    assert max(frames) <= 50 + ours.reach_frames
    assert ours.reach_frames - max(50 - min(frames), max(frames) - 50) < 10


def test_it_can_be_stopped_between_layers() -> None:
    ours = Vocoder(original())
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        ours(torch.randn(1, 16, 64), stop)


class Echo:
    """Stands for a trained vocoder: gives the click back, so many samples late."""

    hop, rate_hz, mels = 160, 16_000, 64

    def __init__(self, late: int, blur: int = 20) -> None:
        self.late, self.blur = late, blur

    def __call__(self, mel: Tensor) -> Tensor:
        sound = torch.zeros(len(mel), mel.shape[1] * self.hop)
        for row, levels in zip(sound, mel, strict=True):
            loud = levels.mean(1) > levels.mean() + 1e-3
            if loud.any():
                middle = loud.nonzero().float().mean() * self.hop
                place = round(float(middle)) + self.late
                row[place - self.blur : place + self.blur + 1] = torch.hann_window(2 * self.blur + 1)
        return sound


@pytest.mark.parametrize("late", [0, 16, 80, 1120, -400])
def test_a_late_vocoder_is_found_out(late: int) -> None:
    assert measure_offset(Echo(late)) == pytest.approx(late, abs=8)


def test_a_vocoder_that_knows_no_clicks_is_left_alone() -> None:
    class Silent(Echo):
        def __call__(self, mel: Tensor) -> Tensor:
            return torch.zeros(len(mel), mel.shape[1] * 160)

    class Smeared(Echo):
        def __call__(self, mel: Tensor) -> Tensor:
            noise = torch.randn(1, mel.shape[1] * 160, generator=torch.Generator().manual_seed(0))
            return noise * mel.mean((1, 2))[:, None]

    assert measure_offset(Silent(0)) == 0
    assert measure_offset(Smeared(0)) == 0


def test_a_frame_is_centred_on_its_sample() -> None:
    sound = torch.zeros(160 * 40)
    sound[160 * 20] = 0.9
    levels = log_mel(sound, Echo(0)).exp().sum(1)
    around = torch.arange(len(levels))
    assert float((levels * around).sum() / levels.sum()) == pytest.approx(20.0, abs=0.05)
