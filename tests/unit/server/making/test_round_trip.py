# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes in the order of what pictures of them show: which comes first, and what moves with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.wire.errors import Cancelled
from footfall.addon.wire.messages import Clip
from footfall.server.making.pipeline import FoleyPipeline
from footfall.server.making.round_trip import NO_PICTURES, RoundTrip, mixed, renumbered
from footfall.server.models.bundle import Bundle
from footfall.server.models.bundle_parts import EMBEDDER
from footfall.server.models.loaded import Models

from ..conftest import Recorder, shot
from ..evaluation.painting import FakeEmbedder, FakePainter

RATE = 16_000


def clip(take: int, layer: str = "bed", start: Fraction = Fraction(0), value: float = 0.5) -> Clip:
    wave = np.full((RATE // 4, 1), value, np.float32)
    return Clip(take=take, layer=layer, start_s=start, rate_hz=RATE, waveform=wave, label=f"{layer} {take}")


def test_a_take_is_heard_with_all_its_clips() -> None:
    request = shot(rate_hz=RATE)
    whole = mixed([clip(0), clip(0, "spots", Fraction(1, 8)), clip(0, "spots", Fraction(3, 8))], request)
    assert whole.shape == (RATE // 2,)
    assert whole.max() == pytest.approx(1.0)
    assert whole[0] == pytest.approx(0.5)
    assert whole[RATE // 8] == pytest.approx(1.0)
    assert whole[-1] == pytest.approx(0.5)


def test_the_best_is_first_and_its_spots_go_with_it() -> None:
    clips = [clip(2), clip(3), clip(4), clip(2, "spots"), clip(4, "spots")]
    found = renumbered(clips, {4: 0.9, 2: 0.5, 3: 0.1})
    assert [(one.layer, one.take, one.label, one.score) for one in found] == [
        ("bed", 2, "bed 4", 0.9),
        ("bed", 3, "bed 2", 0.5),
        ("bed", 4, "bed 3", 0.1),
        ("spots", 2, "spots 4", 0.9),
        ("spots", 3, "spots 2", 0.5),
    ]


@pytest.fixture
def trip(models: Models) -> RoundTrip:
    return RoundTrip(painter=FakePainter(), embedder=FakeEmbedder(), clip=models.clip)  # type: ignore[arg-type]


def noises(count: int) -> list[Clip]:
    draw = np.random.default_rng(1)
    waves = [np.cumsum(draw.standard_normal((RATE // 2, 1)), axis=0) ** (1 + n % 2) for n in range(count)]
    waves[-1] = np.zeros_like(waves[-1])
    return [
        replace(clip(take), waveform=(wave / max(1.0, np.abs(wave).max())).astype(np.float32))
        for take, wave in enumerate(waves)
    ]


def test_takes_are_ordered_by_what_they_paint_and_silence_is_last(trip: RoundTrip) -> None:
    order = trip.order(shot(rate_hz=RATE), noises(4), Recorder())
    assert sorted(order) == [0, 1, 2, 3]
    assert list(order.values()) == sorted(order.values(), reverse=True)
    assert next(reversed(order)) == 3
    assert order == trip.order(shot(rate_hz=RATE), noises(4), Recorder())


def test_without_a_picture_the_words_say_what_it_should_show(trip: RoundTrip) -> None:
    nothing = np.zeros((0, 8, 8, 3), np.uint8)
    request = shot(rate_hz=RATE, frames=nothing, times_s=np.zeros(0), prompt="rain", condition="clap_text")
    assert sorted(trip.order(request, noises(3), Recorder())) == [0, 1, 2]


def test_ranking_stops_when_the_job_does(trip: RoundTrip) -> None:
    with pytest.raises(Cancelled):
        trip.order(shot(rate_hz=RATE), noises(3), Recorder(stop_at=2))


def test_a_model_that_paints_nothing_says_so_and_leaves_the_takes(
    make_pipeline: Callable[[], FoleyPipeline],
) -> None:
    plain = make_pipeline().run(shot(takes=2), Recorder())
    ranked = make_pipeline().run(shot(takes=2, rank="round-trip"), Recorder())
    assert NO_PICTURES in ranked.warnings
    assert NO_PICTURES not in plain.warnings
    for one, other in zip(plain.clips, ranked.clips, strict=True):
        assert np.array_equal(one.waveform, other.waveform)


@dataclass(frozen=True)
class Painting:
    painter: FakePainter
    audiotoken: FakeEmbedder


def test_the_pipeline_gives_the_same_takes_in_the_new_order(
    models: Models, make_pipeline: Callable[[], FoleyPipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = {one.take: one.waveform for one in make_pipeline().run(shot(takes=3), Recorder()).clips}
    pipeline = make_pipeline()
    has = Bundle.has
    monkeypatch.setattr(Bundle, "has", lambda self, part: part == EMBEDDER or has(self, part))
    monkeypatch.setattr(pipeline._picturing, "models", lambda *_: Painting(FakePainter(), FakeEmbedder()))
    monkeypatch.setattr(RoundTrip, "scores", lambda self, sounds, *_, **how: np.array([0.1, 0.9, 0.5]))
    found = pipeline.run(shot(takes=3, rank="round-trip"), Recorder()).clips
    assert [one.take for one in found] == [0, 1, 2]
    for one, before in zip(found, (1, 2, 0), strict=True):
        assert np.array_equal(one.waveform, plain[before])
    assert [one.score for one in found] == [0.9, 0.5, 0.1]


def test_one_take_needs_no_order(make_pipeline: Callable[[], FoleyPipeline]) -> None:
    assert NO_PICTURES not in make_pipeline().run(shot(rank="round-trip"), Recorder()).warnings
