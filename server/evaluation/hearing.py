# SPDX-License-Identifier: GPL-3.0-or-later
"""When spots are heard in a mix. Numpy alone.

The *onset* of a spot is where the mix looks most like that spot, plus where the spot's own attack lies: so
the onset is measured whatever else sounds there. Its *attack* is the strongest rise in the mix around the
hit, which may be another sound's. A spot is *masked* when it has less energy in its first 20 ms than
everything else in the mix there, such as a loud bed or the ringing of harder hits, and *crowded* when another
one begins within 40 ms. Both are counted, and left out of what is said of attacks, never of onsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..sound.onsets import attack
from .timing import against

SEARCH_S = 0.08  # on both sides of a hit; no further than half way to the next, which may sound alike
CROWDED_S = 0.04
FIRST_S = 0.02
BEFORE_S = 0.01  # what an attack is compared with


@dataclass(frozen=True, slots=True)
class Spot:
    """One spot: when its hit is, in seconds, and how it begins: (M,) float32 at the mix's rate."""

    time_s: float
    head: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """How one spot is heard. Errors: seconds, late is positive; clear_db: its start against the rest."""

    time_s: float
    onset_s: float
    attack_s: float
    clear_db: float
    crowded: bool

    @property
    def masked(self) -> bool:
        return self.clear_db < 0.0


def listen(mix: np.ndarray, rate_hz: int, spots: Sequence[Spot]) -> list[Heard]:
    """mix: (N,) mono, from the shot's first moment."""
    times = np.array(sorted(spot.time_s for spot in spots))
    heard = []
    for spot in sorted(spots, key=lambda one: one.time_s):
        apart = np.abs(times - spot.time_s)
        nearest = float(np.partition(apart, 1)[1]) if len(times) > 1 else np.inf
        reach = max(1, round(min(SEARCH_S, nearest / 2) * rate_hz))
        centre = round(spot.time_s * rate_hz)
        first, front = max(0, centre - reach), round(BEFORE_S * rate_hz)
        low = max(0, first - front)
        part = mix[low : centre + reach]
        begins = low + attack(part, rate_hz, first - low) if len(part) > first - low else centre
        late = _shape_error(mix, spot.head, centre, reach)
        heard.append(
            Heard(
                time_s=spot.time_s,
                onset_s=(late + _own_attack(spot.head, rate_hz)) / rate_hz,
                attack_s=(begins - centre) / rate_hz,
                # where it really lies: a late sound is not called a masked one
                clear_db=_clear_db(mix, spot.head[: round(FIRST_S * rate_hz)], max(0, centre + late)),
                crowded=nearest < CROWDED_S,
            )
        )
    return heard


def _shape_error(mix: np.ndarray, head: np.ndarray, centre: int, reach: int) -> int:
    """Samples by which the mix must be moved to look most like ``head`` at ``centre``."""
    low = max(0, centre - reach)
    part = mix[low : centre + reach + len(head)]
    if len(part) < len(head) or not head.any():
        return 0
    size = 1 << (len(part) + len(head)).bit_length()
    product = np.fft.rfft(part, size) * np.conj(np.fft.rfft(head, size))
    likeness = np.fft.irfft(product, size)[: len(part) - len(head) + 1]
    return low + int(np.argmax(likeness)) - centre


def _own_attack(head: np.ndarray, rate_hz: int) -> int:
    """Samples before the spot itself begins."""
    silence = round(BEFORE_S * rate_hz)
    return (
        attack(np.concatenate([np.zeros(silence, np.float32), head]), rate_hz, 1) - silence
        if head.any()
        else 0
    )


def _clear_db(mix: np.ndarray, first: np.ndarray, centre: int) -> float:
    """Decibels between a spot's own first part in the mix and all else that sounds there."""
    part = mix[centre : centre + len(first)]
    own = first[: len(part)].astype(np.float64)
    power = float(own @ own)
    if not power:
        return -np.inf
    gain = float(part @ own) / power
    rest = part - gain * own
    return float(10 * np.log10(gain**2 * power / max(float(rest @ rest), 1e-20))) if gain > 0 else -np.inf


def figures(heard: Sequence[Heard], duration_s: float, frame_s: float) -> dict[str, float]:
    """What a mix comes to: onsets of all spots, attacks of the clear ones.

    ``stands_out``: share of the clear ones whose attack, within half a frame, is the strongest thing around.
    """
    clear = [one for one in heard if not one.masked and not one.crowded]
    masked = [one for one in heard if one.masked and not one.crowded]
    times = [one.time_s for one in heard]
    drift = against(times, [one.time_s + one.onset_s for one in heard], duration_s).drift
    near = [abs(one.attack_s) <= frame_s / 2 for one in clear]
    return {
        "spots": len(heard),
        "clear": len(clear),
        "masked": len(masked),
        "crowded": sum(one.crowded for one in heard),
        **_errors("onset", [one.onset_s for one in heard]),
        **_errors("masked_onset", [one.onset_s for one in masked]),
        **_errors("attack", [one.attack_s for one in clear]),
        "stands_out": float(np.mean(near)) if near else float("nan"),
        "half_frame_ms": 500 * frame_s,
        "drift_ms_in_ten_minutes": 600_000 * drift,
    }


def _errors(name: str, errors_s: Sequence[float]) -> dict[str, float]:
    size = 1000 * np.abs(np.array(errors_s)) if errors_s else np.array([np.nan])
    return {
        f"{name}_median_ms": float(np.median(size)),
        f"{name}_p95_ms": float(np.quantile(size, 0.95)),
        f"{name}_worst_ms": float(size.max()),
    }
