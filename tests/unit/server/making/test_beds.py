# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request may ask of its bed, on tiny models: cuts, loops, ducking, sync, small changes, pulls."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from footfall.addon.wire.messages import Event, Pull
from footfall.server.control import Rendering
from footfall.server.making.pipeline import FoleyPipeline

from ..conftest import Recorder, shot

Make = Callable[[], FoleyPipeline]
RATE = 48_000
HITS = (
    Event(time_s=Fraction(1, 4), words="a knock on wood"),
    Event(time_s=Fraction(5, 4), words="a knock on wood", strength=0.6),
    Event(time_s=Fraction(9, 5), words="glass"),
)
TWO_S: dict[str, Any] = {
    "duration_s": Fraction(2),
    "times_s": np.array([0.0, 1.5]),
    "events": HITS,
    "steps": 2,
}


def bed(make: Make, **changes: Any) -> np.ndarray:
    return done(make, **changes).clips[0].waveform[:, 0]


def done(make: Make, **changes: Any) -> Rendering:
    return make().run(shot(**(TWO_S | changes)), Recorder())


def test_what_is_neutral_changes_no_bit(make_pipeline: Make) -> None:
    plain = bed(make_pipeline)
    neutral: dict[str, Any] = {
        "vary": 0.0,
        "vary_seed": 77,
        "pulls": (Pull(words="rain", weight=0.0), Pull(words=" ", weight=1.0)),
        "cuts": (Fraction(1),),
        "hard_cuts": False,
        "duck_db": 12.0,  # there are no spots
    }
    assert np.array_equal(bed(make_pipeline, **neutral), plain)


def test_more_like_this_goes_from_one_seed_to_another(make_pipeline: Make) -> None:
    one, other = bed(make_pipeline, seed=1), bed(make_pipeline, seed=2)
    assert np.array_equal(bed(make_pipeline, seed=1, vary=1.0, vary_seed=2), other)
    likeness = [
        abs(np.corrcoef(one, bed(make_pipeline, seed=1, vary=vary, vary_seed=2))[0, 1])
        for vary in (0.02, 0.9)
    ]
    assert likeness[0] > 0.9 > likeness[1]


def test_a_take_is_the_same_whichever_is_the_first(make_pipeline: Make) -> None:
    layers = ("bed", "spots")
    three = done(make_pipeline, takes=3, layers=layers)
    third = done(make_pipeline, first_take=2, layers=layers)
    wanted = [clip for clip in three.clips if clip.take == 2]
    assert len(third.clips) == len(wanted)
    for made, clip in zip(third.clips, wanted, strict=True):
        assert (made.take, made.layer, made.start_s, made.event) == (2, clip.layer, clip.start_s, clip.event)
        np.testing.assert_allclose(made.waveform, clip.waveform, atol=1e-4)


def test_pulls_move_what_is_heard(make_pipeline: Make) -> None:
    plain = done(make_pipeline)
    first = plain.heard[0].words
    banned = done(make_pipeline, pulls=(Pull(words=first, weight=-1.0),))
    assert banned.heard[0].words != first
    pulled = done(make_pipeline, pulls=(Pull(words="glass breaking", weight=1.0),))
    assert pulled.heard[0].words == "glass breaking"


def test_a_hard_cut_makes_two_sounds(make_pipeline: Make) -> None:
    cut = {"cuts": (Fraction(1),), "hard_cuts": True}
    both = bed(make_pipeline, **cut)
    assert len(both) == 2 * RATE
    pictures = shot().frames.copy()
    pictures[1] = 255 - pictures[1]  # the second is shown after the cut alone
    changed = bed(make_pipeline, **cut, frames=pictures)
    before = slice(0, RATE - 480)
    assert abs(np.corrcoef(both[before], changed[before])[0, 1]) > 0.999
    assert not np.allclose(both[RATE + 480 :], changed[RATE + 480 :], atol=1e-4)


def test_a_loop_joins_its_end_to_its_start(make_pipeline: Make) -> None:
    sound = bed(make_pipeline, loop=True)
    assert len(sound) == 2 * RATE
    steps = np.abs(np.diff(np.concatenate((sound, sound))))
    assert steps[len(sound) - 1] <= steps[: len(sound) - 1].max()


def test_the_bed_ducks_under_its_own_spots(make_pipeline: Make) -> None:
    layers = ("bed", "spots")
    plain = bed(make_pipeline, layers=layers)
    ducked = bed(make_pipeline, layers=layers, duck_db=12.0)
    for event in HITS:
        at = round(event.time_s * RATE)
        np.testing.assert_allclose(
            ducked[at : at + 96], plain[at : at + 96] * 10 ** (-12 / 20), rtol=1e-2, atol=1e-5
        )
    ratio = np.abs(ducked) / np.maximum(np.abs(plain), 1e-6)
    assert ratio.max() <= 1.001


def test_under_spots_a_bed_is_there_at_once_and_behind_them(make_pipeline: Make, models: Any) -> None:
    import torch
    from footfall.server.making.job import Job
    from footfall.server.sound.finishing import loudness

    layers = ("bed", "spots")
    alone, under = (bed(make_pipeline, layers=which)[:, None] for which in (("bed",), layers))
    assert len(alone) == len(under) == 2 * RATE
    assert loudness(under, RATE) == pytest.approx(loudness(alone, RATE) - 6.0, abs=1.0)
    with torch.inference_mode():
        lengths = {
            duration_s: Job(
                shot(**(TWO_S | {"duration_s": duration_s, "layers": layers})), models, Recorder()
            ).batches()["bed"]
            for duration_s in (Fraction(2), Fraction(10), Fraction(11))
        }
    beyond = {float(d): batch.samples / models.rate_hz - float(d) for d, batch in lengths.items()}
    assert beyond == pytest.approx({2.0: 0.48, 10.0: 0.24, 11.0: 0.48}, abs=0.01)
    assert len(lengths[Fraction(10)].windows) == 1  # it costs no window more


def test_in_sync_is_silent_before_the_first_hit(make_pipeline: Make) -> None:
    sound = bed(make_pipeline, in_sync=True)
    first = round(HITS[0].time_s * RATE)
    assert not sound[: first - RATE // 50].any()
    assert sound[first:].any()
    assert any("in sync" in warning for warning in done(make_pipeline, in_sync=True, events=()).warnings)


def test_latents_are_silence_outside_of_the_windows(make_pipeline: Make, models: Any) -> None:
    import torch
    from footfall.server.making.job import Job
    from footfall.server.making.rendering import sample

    with torch.inference_mode():
        job = Job(shot(**TWO_S, in_sync=True), models, Recorder())
        batch = job.batches()["bed"]
        latents = sample(models, batch, Recorder(), lambda fraction: None)[0]
        silence = models.silence()
    assert batch.sounding is not None
    inside = np.zeros(latents.shape[1], bool)
    for first, stop in batch.sounding:
        inside[first:stop] = True
    assert 0 < inside.sum() < len(inside)
    for column in range(latents.shape[1]):
        same = torch.equal(latents[:, column], silence[:, 0])
        assert same != bool(inside[column])


@pytest.mark.parametrize("hits", [1, 500])
def test_hits_cost_a_dozen_short_sounds_at_most(make_pipeline: Make, models: Any, hits: int) -> None:
    import torch
    from footfall.server.making.job import Job

    words = ("wood", "glass", "tin", "")
    events = tuple(
        Event(time_s=Fraction(number, 300), words=words[number % 4], place=(0.5, 0.5, 0.1))
        for number in range(hits)
    )
    with torch.inference_mode():
        job = Job(shot(**(TWO_S | {"events": events, "layers": ("spots",)})), models, Recorder())
        batch = job.batches()["spots"]
    assert len(batch.names) <= 12
    assert len(set(batch.names)) == len(batch.names)


def test_too_many_hits_are_mixed_with_a_word(make_pipeline: Make) -> None:
    events = tuple(Event(time_s=Fraction(number, 600), words="w") for number in range(1_100))
    made = done(make_pipeline, events=events, layers=("spots",), steps=1)
    assert [(clip.event, clip.group) for clip in made.clips] == [(-1, 0)]
    assert any("too many" in warning for warning in made.warnings)
    few = done(make_pipeline, layers=("spots",), spots_as="mixed", steps=1)
    assert sorted(clip.group for clip in few.clips) == [0, 1]
    assert not few.warnings


def test_what_is_seen_close_around_a_hit_changes_its_sound(make_pipeline: Make) -> None:
    placed = (Event(time_s=Fraction(1, 4), words="wood", place=(0.1, 0.1, 0.1)),)
    plain = (Event(time_s=Fraction(1, 4), words="wood"),)
    one, other = (done(make_pipeline, layers=("spots",), events=events) for events in (placed, plain))
    length = min(len(one.clips[0].waveform), len(other.clips[0].waveform))
    assert not np.array_equal(one.clips[0].waveform[:length], other.clips[0].waveform[:length])
