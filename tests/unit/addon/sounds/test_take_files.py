# SPDX-License-Identifier: GPL-3.0-or-later
"""A result as files: what is cut off by the end of the shot ends softly, what ends with it is left alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from footfall.addon.sounds import take_files
from footfall.addon.wire.messages import Clip, FoleyRequest

RATE = 48_000


def clip(layer: str, start_s: Fraction, samples: int) -> Clip:
    waveform = np.full((samples, 1), 0.25, np.float32)
    return Clip(take=0, layer=layer, start_s=start_s, rate_hz=RATE, waveform=waveform, label=layer, score=0.0)


def test_what_rings_beyond_the_end_is_faded_and_a_loop_is_not() -> None:
    request = FoleyRequest(
        frames=np.zeros((1, 8, 8, 3), np.uint8), times_s=np.zeros(1), duration_s=Fraction(1), loop=True
    )
    bed, ringing = clip("bed", Fraction(0), RATE), clip("spots", Fraction(3, 4), RATE)
    assert np.array_equal(take_files.mix([bed], request), bed.waveform)
    spots = take_files.mix([ringing], request)
    assert len(spots) == RATE
    assert abs(float(spots[-1, 0])) < 1e-3
    assert np.abs(np.diff(spots[-RATE // 5 :, 0])).max() < 0.01
    assert (spots[-RATE // 5 : -RATE // 50] == 0.25).all()
    assert float(ringing.waveform[RATE // 4 - 1, 0]) == 0.25  # the strip rings on
    late = clip("spots", Fraction(2), 100)
    assert not take_files.mix([late], request).any()
