# SPDX-License-Identifier: GPL-3.0-or-later
"""Small tools that every sound is made with: shaped noise, modes, grains, curves, tables and a room.

All signals are mono at 48 kHz, float32 unless said otherwise; ``draw`` is the shot's own generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from ..shot import RATE_HZ, SAMPLES

Draw = np.random.Generator
Signal = NDArray[np.floating[Any]]
Points = Sequence[tuple[float, float]]  # (Hz, dB), rising in Hz

HOP = 512
WINDOW = 1024
FRAMES = SAMPLES // HOP + 1
BINS_HZ = np.maximum(fft.rfftfreq(WINDOW, 1 / RATE_HZ), 10.0)
_OCTAVES = np.log2(BINS_HZ).astype(np.float32)
FRAME_S = np.arange(FRAMES) * HOP / RATE_HZ
TIME_S = np.arange(SAMPLES) / RATE_HZ
_FADE = np.sin(np.pi * (np.arange(WINDOW) + 0.5) / WINDOW).astype(np.float32)
_BLOCK = 256


def samples(seconds: float) -> int:
    """That many seconds in samples."""
    return round(seconds * RATE_HZ)


def between(draw: Draw, low: float, high: float) -> float:
    """A number drawn evenly on a logarithmic scale."""
    return float(low * (high / low) ** draw.random())


def mix(low: float, high: float, share: float) -> float:
    """From ``low`` at share 0 to ``high`` at share 1, on a logarithmic scale."""
    return float(low * (high / low) ** share)


# Noise -----------------------------------------------------------------------------------------------------


def noise(draw: Draw, count: int = SAMPLES) -> Signal:
    """White noise of standard deviation 1."""
    return draw.standard_normal(count, dtype=np.float32)


def gain_at(points: Points, hz: ArrayLike) -> Signal:
    """Amplitude at each frequency of a curve drawn through ``points``, straight in log Hz and dB."""
    where = np.log(np.maximum(np.asarray(hz, float), 1.0))
    decibels = np.interp(where, [np.log(at) for at, _ in points], [level for _, level in points])
    return np.asarray(10.0 ** (decibels / 20.0), np.float32)


def shaped(draw: Draw, points: Points, count: int = SAMPLES) -> Signal:
    """Steady noise with the spectrum of ``points``; its standard deviation is 1."""
    size = fft.next_fast_len(count, real=True)
    spectrum = fft.rfft(noise(draw, size)) * gain_at(points, fft.rfftfreq(size, 1 / RATE_HZ))
    sound = fft.irfft(spectrum, size)[:count]
    return sound / (np.std(sound) + 1e-9)


def painted(draw: Draw, gains: Signal) -> Signal:
    """Noise whose spectrum changes over time: ``gains`` (FRAMES, bins of BINS_HZ) amplitudes. (SAMPLES,)

    Frame k is centred on sample k * HOP; the frames overlap by half.
    """
    shape = np.broadcast_shapes(gains.shape, (FRAMES, len(BINS_HZ)))
    parts = draw.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
    blocks = fft.irfft(parts * np.asarray(gains, np.float32), WINDOW, axis=1) * _FADE
    halves = blocks.reshape(FRAMES, 2, HOP)
    sound = np.zeros((FRAMES + 1, HOP), np.float32)
    sound[:-1] += halves[:, 0]
    sound[1:] += halves[:, 1]
    return sound.ravel()[HOP : HOP + SAMPLES] * np.float32(np.sqrt(WINDOW / 2))


def hump(centre_hz: ArrayLike, octaves: float) -> Signal:
    """A bell curve over BINS_HZ; with ``centre_hz`` (FRAMES,) one for each frame. (1 or FRAMES, bins)"""
    centre = np.log2(np.atleast_1d(np.asarray(centre_hz, np.float32)))[:, None]
    return np.exp(-0.5 * ((_OCTAVES[None] - centre) / np.float32(octaves)) ** 2)


def wander(draw: Draw, per_second: float, count: int = FRAMES, spread: float = 1.0) -> Signal:
    """A smooth random curve around 0 over the shot, with about ``per_second`` bends a second. (count,)"""
    knots = max(4, round(2.56 * per_second) + 3)
    at = np.linspace(0.0, knots - 1.001, count)
    values = draw.standard_normal(knots) * spread
    low = at.astype(int)
    share = 0.5 - 0.5 * np.cos(np.pi * (at - low))
    return values[low] * (1 - share) + values[low + 1] * share


def stretched(curve: Signal) -> Signal:
    """A curve over FRAMES as one over samples. (SAMPLES,)"""
    return np.interp(TIME_S, FRAME_S, curve).astype(np.float32)


# Modes and grains ------------------------------------------------------------------------------------------


def ring(hz: ArrayLike, t60_s: ArrayLike, gains: ArrayLike, seconds: float, phase: float = 0.0) -> Signal:
    """Damped partials added up: each dies by 60 dB in its ``t60_s``; those above 20 kHz are left out."""
    at, t60, gain = np.broadcast_arrays(np.asarray(hz, float), np.asarray(t60_s), np.asarray(gains))
    heard = (at < 20_000) & (at > 15)
    rate = (2j * np.pi * at[heard] - 6.908 / np.maximum(t60[heard], 1e-3)) / RATE_HZ
    count = max(_BLOCK, samples(seconds))
    starts = np.arange(0, count, _BLOCK)
    coarse = (np.exp(rate[None] * starts[:, None]) * gain[heard] * np.exp(1j * phase)).astype(np.complex64)
    fine = np.exp(rate[:, None] * np.arange(_BLOCK)[None]).astype(np.complex64)
    return (coarse @ fine).imag.ravel()[:count]


def place(out: Signal, at_s: float, grain: Signal) -> None:
    """Add ``grain`` into ``out``, its first sample at ``at_s``; what lies outside is cut off."""
    start = samples(at_s)
    first, stop = max(0, -start), min(len(grain), len(out) - start)
    if stop > first:
        out[start + first : start + stop] += grain[first:stop]


def burst(draw: Draw, seconds: float, points: Points, rise_s: float = 0.0003) -> Signal:
    """A short noise that rises at once and dies away by 60 dB in ``seconds``; peak about 1."""
    count = max(64, samples(seconds))
    at = np.arange(count) / RATE_HZ
    sound = shaped(draw, points, count) * np.exp(-6.908 * at / seconds) * np.minimum(1.0, at / rise_s)
    return sound / (np.max(np.abs(sound)) + 1e-9)


def sprinkle(draw: Draw, per_second: ArrayLike, uneven: float = 1.0) -> Signal:
    """Single samples at random times (Poisson), ``per_second`` of them (a number or a curve (FRAMES,)).

    Their heights are log-normal with ``uneven`` as spread, and of either sign. (SAMPLES,)
    """
    rate = np.broadcast_to(np.asarray(per_second, float), (FRAMES,))
    total = draw.poisson(float(rate.mean()) * SAMPLES / RATE_HZ)
    out = np.zeros(SAMPLES, np.float32)
    if total:
        ladder = np.cumsum(rate)
        where = np.interp(draw.random(total) * ladder[-1], ladder, np.arange(FRAMES)) * HOP
        heights = np.exp(draw.normal(0.0, uneven, total)) * draw.choice((-1.0, 1.0), total)
        np.add.at(out, np.minimum(where.astype(int), SAMPLES - 1), heights.astype(np.float32))
    return out


def through(sound: Signal, *responses: Signal) -> Signal:
    """``sound`` convolved with the sum of ``responses``, cut to its own length."""
    size = fft.next_fast_len(len(sound) + max(map(len, responses)) - 1, real=True)
    total = sum(fft.rfft(np.asarray(response, np.float32), size) for response in responses)
    return fft.irfft(fft.rfft(np.asarray(sound, np.float32), size) * total, size)[: len(sound)]


def bubbles(times_s: Signal, hz: Signal, decay_s: Signal, rise: Signal, gains: Signal) -> Signal:
    """Air bubbles in water: sines that die away while their pitch rises (van den Doel, 2005). (SAMPLES,)

    ``rise``: by how much of itself the pitch has grown after one ``decay_s``.
    """
    out = np.zeros(SAMPLES, np.float32)
    order = np.argsort(decay_s)
    for group in np.array_split(order, max(1, len(order) // 24)):
        if not len(group):
            continue
        length = samples(float(np.max(decay_s[group])) * 1.2) + 32
        at = (np.arange(length, dtype=np.float32) / RATE_HZ)[None]
        decay, pitch, grown, gain = (
            np.asarray(part[group, None], np.float32) for part in (decay_s, hz, rise, gains)
        )
        turn = pitch * (at + 0.5 * grown * at**2 / decay)
        grains = np.sin(np.float32(2 * np.pi) * turn) * np.exp(-4.6 * at / decay) * gain
        for when, grain in zip(times_s[group], grains, strict=True):
            place(out, float(when), grain)
    return out


def swarm(draw: Draw, per_second: float, until_s: float = 2.56, start_s: float = 0.0) -> Signal:
    """Random times, ``per_second`` of them on average, unsorted."""
    return draw.uniform(start_s, until_s, draw.poisson(max(0.0, per_second * (until_s - start_s))))


# Tones -----------------------------------------------------------------------------------------------------


def turns(hz: ArrayLike) -> Signal:
    """Phase in whole turns of a tone whose frequency is ``hz``, a number or a curve (SAMPLES,)."""
    return np.cumsum(np.broadcast_to(np.asarray(hz, float), (SAMPLES,))) / RATE_HZ


def table(gains: ArrayLike, draw: Draw | None = None) -> Signal:
    """One cycle of a wave with these harmonics (1, 2, 3, ...); phases at random, or all sines. (4096,)"""
    spectrum = np.zeros(2049, complex)
    strength = np.asarray(gains, float)[:400]
    phase = draw.uniform(0, 2 * np.pi, len(strength)) if draw is not None else -np.pi / 2
    spectrum[1 : len(strength) + 1] = strength * np.exp(1j * np.asarray(phase))
    return (np.fft.irfft(spectrum, 4096) * 2048).astype(np.float32)


def cycles(phase: Signal, wave: Signal) -> Signal:
    """``wave`` read around at ``phase`` turns."""
    return wave[(phase * 4096).astype(np.int64) & 4095]


def strokes(at_s: float, every_s: float, last_s: float = 2.56) -> list[float]:
    """Where each movement begins, the one that already runs at 0 too (it may begin before)."""
    first = at_s - every_s if at_s > 0.02 else at_s
    return [first + k * every_s for k in range(1000) if first + k * every_s < last_s]


def over_strokes(
    at_s: float, every_s: float, shape: Callable[[Signal, int], Signal], times: Signal = FRAME_S
) -> Signal:
    """A curve over ``times``: within movement k it is shape(share of the movement done, k)."""
    passed = (times - at_s) / every_s
    out = np.zeros(len(times))
    for k in range(int(np.floor(passed[0])), int(np.floor(passed[-1])) + 1):
        inside = (passed >= k) & (passed < k + 1)
        out[inside] = shape(passed[inside] - k, k)
    return out


# The end of every sound ------------------------------------------------------------------------------------


def in_room(draw: Draw, sound: Signal, *, far: float, t60_s: float, wet: float) -> Signal:
    """``sound`` as heard from ``far`` (0 to 1) away in a room that dies in ``t60_s``: duller and blurred.

    The direct sound is not delayed.
    """
    count = max(samples(t60_s * 0.8), 2400)
    at = np.arange(count) / RATE_HZ
    tail = shaped(draw, ((40, -14), (150, 0), (1500, 0), (6000, -9), (16000, -24)), count)
    tail *= np.exp(-6.908 * at / t60_s) * np.clip((at - between(draw, 0.004, 0.014)) / 0.006, 0.0, 1.0)
    tail /= np.sqrt(np.sum(tail**2)) + 1e-9
    for when in draw.uniform(0.003, 0.03, 4):  # the nearest walls
        tail[samples(when)] += draw.choice((-1, 1)) * 0.25
    size = fft.next_fast_len(len(sound) + count, real=True)
    hz = fft.rfftfreq(size, 1 / RATE_HZ)
    direct = 1.0 / (1.0 + 1j * hz / mix(22_000, 4_500, far))
    whole = direct * (1.0 - 0.55 * far) + wet * (0.35 + far) * fft.rfft(tail.astype(np.float32), size)
    return fft.irfft(fft.rfft(np.asarray(sound, np.float32), size) * whole.astype(np.complex64), size)[
        : len(sound)
    ]


def finish(draw: Draw, sound: Signal, peak: float) -> Signal:
    """``sound`` at the wanted peak, above the noise of a quiet room and a microphone. float32 (SAMPLES,)"""
    floor = shaped(draw, ((20, 0), (100, -4), (1000, -12), (8000, -20), (20000, -26)))
    floor += 0.25 * noise(draw)
    loud = sound * (peak / (np.max(np.abs(sound)) + 1e-9))
    out = loud + floor * np.float32(10 ** (draw.uniform(-64, -57) / 20))
    return np.clip(out, -1.0, 1.0).astype(np.float32)
