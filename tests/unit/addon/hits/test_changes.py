# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of hits, and whether a picture has changed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from footfall.addon.hits.changes import compare
from footfall.addon.shots import fingerprint
from footfall.addon.shots.fingerprint import differ, sign
from footfall.addon.wire.messages import Event
from hypothesis import given
from hypothesis import strategies as st


def hit(time_s: float, words: str = "glass", strength: float = 1.0) -> Event:
    return Event(time_s=Fraction(time_s).limit_denominator(1000), words=words, strength=strength)


class TestHits:
    def test_as_before(self) -> None:
        found = compare({"a": hit(1), "b": hit(2)}, [hit(1), hit(2)])
        assert (found.same, found.moved, found.redo, found.gone, found.fresh) == (["a", "b"], {}, {}, [], [])

    def test_all_moved_together_stay_with_their_own(self) -> None:
        found = compare({"a": hit(1), "b": hit(2), "c": hit(3)}, [hit(1.2), hit(2.2), hit(3.2)])
        assert found.moved == {"a": hit(1.2), "b": hit(2.2), "c": hit(3.2)}

    def test_one_moved_one_gone_one_new(self) -> None:
        found = compare({"a": hit(1), "b": hit(2, "wood")}, [hit(1.5), hit(4, "steel")])
        assert (found.moved, found.gone, found.fresh) == ({"a": hit(1.5)}, ["b"], [hit(4, "steel")])

    def test_other_words_or_strength_at_the_same_time(self) -> None:
        found = compare({"a": hit(1), "b": hit(2)}, [hit(1, "wood"), hit(2, strength=0.5)])
        assert found.redo == {"a": hit(1, "wood"), "b": hit(2, strength=0.5)}

    def test_too_far_is_another_one(self) -> None:
        found = compare({"a": hit(1)}, [hit(30)])
        assert (found.gone, found.fresh) == (["a"], [hit(30)])

    def test_copies_of_a_spot_go_together(self) -> None:
        found = compare({"a": hit(1), "a.001": hit(1)}, [hit(1.5)])
        assert found.moved == {"a": hit(1.5), "a.001": hit(1.5)}
        assert compare({"a": hit(1), "a.001": hit(1)}, [hit(1)]).same == ["a", "a.001"]

    @given(
        st.lists(st.tuples(st.integers(0, 200), st.sampled_from("gws")), max_size=8),
        st.lists(st.tuples(st.integers(0, 200), st.sampled_from("gws")), max_size=8),
    )
    def test_every_spot_and_every_hit_is_accounted_for(self, old: list, new: list) -> None:
        spots = {str(n): hit(t / 10, w) for n, (t, w) in enumerate(old)}
        events = [hit(t / 10, w) for t, w in new]
        found = compare(spots, events)
        names = [*found.same, *found.moved, *found.redo, *found.gone]
        assert sorted(names) == sorted(spots)
        used = {id(e) for e in (*found.moved.values(), *found.redo.values())}
        assert len(found.fresh) <= len(events)
        assert all(id(event) not in used for event in found.fresh)


def pictures(count: int = 12, side: int = 64) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.clip(rng.normal(120, 30, (1, side, side, 3)).repeat(count, 0), 0, 255).astype(np.uint8)


class TestPictures:
    def test_the_same(self) -> None:
        assert not differ(sign(pictures()), sign(pictures()))

    def test_noise_is_no_change(self) -> None:
        noisy = pictures().astype(np.int16) + np.random.default_rng(4).integers(-2, 3, (12, 64, 64, 3))
        assert not differ(sign(pictures()), sign(np.clip(noisy, 0, 255).astype(np.uint8)))

    def test_a_small_thing_in_one_picture_is(self) -> None:
        changed = pictures()
        changed[7, 20:28, 20:28] = 255
        assert differ(sign(pictures()), sign(changed))

    def test_another_colour_of_the_same_brightness_is(self) -> None:
        changed = pictures()[..., [2, 0, 1]].copy()
        changed[..., 0] = np.minimum(changed[..., 0] + 20.0, 255).astype(np.uint8)
        assert differ(sign(pictures()), sign(changed))

    def test_another_length_is(self) -> None:
        assert differ(sign(pictures(12)), sign(pictures(13)))

    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 224, 398), (500, 16, 9), (121, 30, 31)])
    def test_any_shape(self, shape: tuple[int, ...]) -> None:
        frames = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert not differ(sign(frames), sign(frames.copy()))
        assert differ(sign(frames), sign(255 - frames))

    def test_none_at_all(self) -> None:
        assert sign(np.zeros((0, 8, 8, 3), np.uint8)) == ""

    @pytest.mark.parametrize("text", ["", "x", "5:", "5:!!", "x:eNo=", "1:" + "A" * 400])
    def test_what_cannot_be_read_differs(self, text: str) -> None:
        assert differ(text, sign(pictures()))
        assert differ(sign(pictures()), text)

    def test_small_enough_to_be_kept(self) -> None:
        assert len(sign(pictures(40, 224))) < 2_000
        assert fingerprint.MOST * fingerprint.CELLS**2 * 3 < 30_000
