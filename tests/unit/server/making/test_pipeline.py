# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way on tiny models: what comes out, that it is always the same, and that it can be stopped
anywhere.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pyloudnorm
import pytest
import torch
from footfall.addon.wire.errors import BadInput, Cancelled, ModelError
from footfall.addon.wire.messages import PHASES, Event
from hypothesis import given, settings
from hypothesis import strategies as st

from ..conftest import Recorder, shot

if TYPE_CHECKING:
    from footfall.server.models.loaded import Models

from .runs import HITS, Make, run, same


def test_a_bed_is_what_was_asked(make_pipeline: Make) -> None:
    request = shot(takes=2, rate_hz=44_100, duration_s=Fraction(7, 9), prompt="rain", loudness_lufs=-30.0)
    done = run(make_pipeline(), request)
    assert [(clip.take, clip.layer, clip.start_s) for clip in done.clips] == [(0, "bed", 0), (1, "bed", 0)]
    for clip in done.clips:
        assert clip.waveform.shape == (round(Fraction(7, 9) * 44_100), 1)
        heard = pyloudnorm.Meter(44_100).integrated_loudness(clip.waveform.astype(float))
        assert heard == pytest.approx(-30.0, abs=0.2)
    assert not np.array_equal(done.clips[0].waveform, done.clips[1].waveform)
    assert done.provenance.steps == 3
    assert done.provenance.mapper == "bridge"
    assert done.provenance.dtype == "float32"
    assert done.heard
    assert sum(heard.weight for heard in done.heard) == pytest.approx(1.0, abs=1e-3)


@settings(max_examples=6)
@given(samples=st.integers(480, 100_000), rate_hz=st.sampled_from([8_000, 44_100, 48_000]))
def test_any_length_to_the_sample(make_pipeline: Make, samples: int, rate_hz: int) -> None:
    duration_s = max(Fraction(samples, 48_000), Fraction(1, 100))
    done = run(make_pipeline(), shot(duration_s=duration_s, rate_hz=rate_hz, steps=1, quality="draft"))
    assert len(done.clips[0].waveform) == round(duration_s * rate_hz)


def test_a_take_depends_on_its_own_number_only(make_pipeline: Make) -> None:
    two = run(make_pipeline(), shot(takes=2))
    five = run(make_pipeline(), shot(takes=5))
    for take in range(2):
        np.testing.assert_allclose(two.clips[take].waveform, five.clips[take].waveform, atol=1e-4)


def test_everything_in_a_request_changes_the_sound(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    plain = run(pipeline, shot())
    pictures = np.random.default_rng(4).integers(0, 256, (2, 48, 64, 3), np.uint8)
    for change in (
        {"seed": 12},
        {"prompt": "rain"},
        {"negative_prompt": "music"},
        {"steps": 4},
        {"guidance": 6.0},
        {"frames": pictures},
        {"loudness_lufs": -20.0},
        {"quality": "draft"},
    ):
        assert not same(plain, run(pipeline, shot(**change))), change
    assert same(plain, run(pipeline, shot()))


def test_a_nudge_of_nothing_changes_nothing(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    assert same(run(pipeline, shot()), run(pipeline, shot(prompt="rain", nudge=0.0)))
    words = run(make_pipeline(), shot(prompt="rain", nudge=1.0))
    assert same(words, run(pipeline, shot(prompt="rain", condition="clap_text")))


def test_words_for_the_background_leave_the_spots_as_they_are(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    plain, behind = (
        run(pipeline, shot(layers=("bed", "spots"), events=HITS, background=words)) for words in ("", "rain")
    )
    for before, after in zip(plain.clips, behind.clips, strict=True):  # but for how loud all is together
        shapes = [clip.waveform / np.abs(clip.waveform).max() for clip in (before, after)]
        assert np.allclose(*shapes, atol=1e-3) == (before.layer == "spots")


# State: nothing of a job is left for the next


def test_the_same_request_gives_the_same_bits(make_pipeline: Make) -> None:
    request = shot(layers=("bed", "spots"), events=HITS)
    assert same(run(make_pipeline(), request), run(make_pipeline(), request))


@pytest.mark.parametrize("stops", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_after_cancel_bit_identical(make_pipeline: Make, stops: int) -> None:
    """A job alone, and after another was cancelled at its steps and between its parts."""
    after = shot(seed=5)
    expected = run(make_pipeline(), after)
    other = shot(seed=6, layers=("bed", "spots"), events=HITS[1:], prompt="wind")
    whole = Recorder()
    make_pipeline().run(other, whole)
    for stop_at in range(1, whole.checks + 1, max(1, whole.checks // stops)):
        pipeline = make_pipeline()
        with pytest.raises(Cancelled):
            pipeline.run(other, Recorder(stop_at=stop_at))
        assert same(run(pipeline, after), expected), stop_at


def test_after_failure_bit_identical(make_pipeline: Make) -> None:
    after = shot(seed=5)
    expected = run(make_pipeline(), after)
    pipeline = make_pipeline()
    for bad in (
        shot(condition="clip_text_prior", prompt="rain"),
        shot(condition="clap_text", prompt="  "),
        shot(layers=("spots",)),
        shot(mapper="generative"),
    ):
        with pytest.raises((BadInput, ModelError)):  # ModelMissing is a ModelError
            pipeline.run(bad, Recorder())
        assert same(run(pipeline, after), expected)
    run(pipeline, shot(seed=99, takes=3))
    assert same(run(pipeline, after), expected)


# Cancel


def test_cancel_is_asked_for_at_every_step_and_between_all_parts(make_pipeline: Make, models: Models) -> None:
    """Between two questions lies at most one pass of the UNet, or one layer of a decoder."""
    passes: list[int] = []
    control = Recorder()
    predict = models.audioldm.predict

    def counting(*arguments: Any) -> torch.Tensor:
        passes.append(control.checks)
        return predict(*arguments)

    models.audioldm.predict = counting  # type: ignore[method-assign]
    try:
        make_pipeline().run(shot(steps=5, takes=3, duration_s=Fraction(12)), control)
    finally:
        del models.audioldm.predict
    assert len(passes) >= 5 * 2
    assert len(set(passes)) == len(passes)
    decoding = control.checks - passes[-1]
    assert decoding > 60


def test_progress_tells_every_phase_in_order(make_pipeline: Make) -> None:
    control = Recorder()
    make_pipeline().run(shot(layers=("bed", "spots"), events=HITS, takes=2), control)
    phases = list(dict.fromkeys(phase for phase, _ in control.told))
    assert phases == [phase for phase in PHASES if phase in phases]
    assert {"mapping", "sampling", "decoding", "finishing"} <= set(phases)
    for phase in phases:
        fractions = [fraction for told, fraction in control.told if told == phase]
        assert fractions == sorted(fractions), phase
        assert 0 <= fractions[0] <= fractions[-1] <= 1


# What is remembered


def test_a_nudge_looks_at_no_picture(make_pipeline: Make, models: Models) -> None:
    pipeline = make_pipeline()
    pictures = np.random.default_rng(77).integers(0, 256, (2, 48, 64, 3), np.uint8)
    before = models.clip.looked_at
    run(pipeline, shot(frames=pictures))
    assert models.clip.looked_at == before + 2
    run(pipeline, shot(frames=pictures.copy(), prompt="wetter"))
    assert models.clip.looked_at == before + 2


def test_another_loudness_samples_nothing_again(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    run(pipeline, shot())
    control = Recorder()
    pipeline.run(shot(loudness_lufs=-30.0, rate_hz=96_000), control)
    assert "sampling" not in {phase for phase, _ in control.told}
    pipeline.release()
    again = Recorder()
    pipeline.run(shot(), again)
    assert "sampling" in {phase for phase, _ in again.told}


def test_hits_that_moved_leave_the_bed_alone(make_pipeline: Make) -> None:
    pipeline = make_pipeline()
    before = run(pipeline, shot(layers=("bed", "spots"), events=HITS))
    moved = tuple(replace(hit, time_s=hit.time_s + Fraction(1, 20)) for hit in HITS)
    after = run(pipeline, shot(layers=("bed", "spots"), events=moved))
    assert np.array_equal(before.clips[0].waveform, after.clips[0].waveform)
    assert [clip.start_s for clip in after.clips[1:]] == [
        clip.start_s + Fraction(1, 20) for clip in before.clips[1:]
    ]


# Layers


def test_spots_start_on_their_hits(make_pipeline: Make) -> None:
    request = shot(layers=("spots",), events=HITS, takes=2, duration_s=Fraction(3))
    done = run(make_pipeline(), request)
    assert len(done.clips) == 2 * len(HITS)
    first = [clip for clip in done.clips if clip.take == 0]
    assert sorted((clip.start_s, clip.label) for clip in first) == sorted(
        (hit.time_s, hit.words) for hit in HITS
    )
    by_start = {clip.start_s: clip.waveform for clip in first}
    assert by_start[HITS[2].time_s].shape[1] == 1
    assert by_start[HITS[1].time_s].shape[1] == 2
    left, right = np.square(by_start[HITS[1].time_s]).sum(0)
    assert left > right


def test_a_shot_without_hits_still_gets_its_bed(make_pipeline: Make) -> None:
    """The panel asks for both layers by default, and not everything hits."""
    done = run(make_pipeline(), shot(layers=("bed", "spots")))
    assert [clip.layer for clip in done.clips] == ["bed"]
    assert any("No hits were found" in warning for warning in done.warnings)


def test_spots_alone_without_hits_are_a_sentence(make_pipeline: Make) -> None:
    with pytest.raises(BadInput, match="no hits"):
        make_pipeline().run(shot(layers=("spots",)), Recorder())


def test_hits_after_the_end_are_told(make_pipeline: Make) -> None:
    late = (Event(time_s=Fraction(10), words="late"),)
    done = run(make_pipeline(), shot(layers=("spots",), events=late))
    assert not done.clips
    assert any("after the end" in warning for warning in done.warnings)


@pytest.mark.slow
def test_thousands_of_hits_stay_within_the_bounds(make_pipeline: Make) -> None:
    hits = tuple(
        Event(time_s=Fraction(number, 1000), words=f"thing {number % 40}", strength=(number % 7) / 6)
        for number in range(300)
    )
    done = run(
        make_pipeline(), shot(layers=("bed", "spots"), events=hits, takes=6, duration_s=Fraction(1), steps=1)
    )
    assert len(done.clips) <= 256
    assert {clip.take for clip in done.clips if clip.layer == "spots"} == set(range(6))


def test_the_best_of_the_candidates_is_kept(make_pipeline: Make, models: Models) -> None:
    done = run(make_pipeline(), shot(quality="best", steps=2, takes=2))
    assert len(done.clips) == 2
    assert all(-1 <= clip.score <= 1 and clip.score != 0 for clip in done.clips)
