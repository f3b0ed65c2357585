# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a strip's takes: a tree that is bounded, that loses nothing, and believes nothing it reads."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from footfall.addon.takes import history, provenance
from footfall.addon.takes.history import MOST, Take, Takes, read
from footfall.addon.wire.messages import Event
from hypothesis import given
from hypothesis import strategies as st

WORDS = ["footfall_takes", "takes", "id", "path", "story", "request", "events", "shared"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=20,
)


def name(number: int) -> str:
    return f"{number:032x}"


def story(number: int, hits: int = 0) -> str:
    events = tuple(Event(time_s=Fraction(n, 3), words="glass") for n in range(hits))
    told = provenance.Story(
        uuid=name(number),
        job_id=name(900),
        take=0,
        layer="bed",
        settings={"prompt": f"wet {number}", "seed": number, "events": events},
    )
    return told.text()


def take(number: int, parent: int | None = None, **more: object) -> Take:
    return Take(
        id=name(number),
        path=f"//footfall/{number}.wav",
        parent="" if parent is None else name(parent),
        story=story(number),
        made=1_700_000_000 + number,
        samples=48_000,
        rate_hz=48_000,
        **more,  # type: ignore[arg-type]
    )


def takes(count: int = 4) -> Takes:
    found = Takes(at_s=Fraction(1, 24))
    for number in range(count):
        found = found.added(take(number, number - 1 if number else None))
    return found.turned(name(0))


class TestStepping:
    def test_round_and_round(self) -> None:
        found = takes(3)
        seen = []
        for _ in range(4):
            found = found.turned(found.neighbour(1).id)  # type: ignore[union-attr]
            seen.append(found.place)
        assert seen == [(2, 3), (3, 3), (1, 3), (2, 3)]
        assert found.neighbour(-1) == found.takes[0]

    def test_deleted_ones_are_passed(self) -> None:
        found = takes(3).changed(name(1), deleted=True)
        assert found.place == (1, 2)
        assert found.neighbour(1) == found.takes[2]

    def test_from_a_deleted_one(self) -> None:
        found = takes(3).changed(name(0), deleted=True)
        assert found.place == (0, 2)
        assert found.neighbour(1) == found.takes[1]
        assert found.neighbour(-1) == found.takes[2]

    def test_nowhere_to_go(self) -> None:
        assert takes(1).neighbour(1) is None
        assert takes(1).rival() is None
        assert Takes().neighbour(1) is None

    def test_comparing_goes_to_and_fro(self) -> None:
        found = takes(4).turned(name(3))
        for wanted in (0, 3, 0):
            found = found.turned(found.rival().id)  # type: ignore[union-attr]
            assert found.current == name(wanted)

    def test_an_unknown_take_changes_nothing(self) -> None:
        assert takes().turned("f" * 32) == takes()


class TestTree:
    def test_children_lie_below_what_they_came_from_newest_first(self) -> None:
        found = Takes()
        for number, parent in ((0, None), (1, 0), (2, 0), (3, 1), (4, None)):
            found = found.added(take(number, parent))
        assert [(depth, int(t.id, 16)) for depth, t in found.rows()] == [
            (0, 4),
            (0, 0),
            (1, 2),
            (1, 1),
            (2, 3),
        ]

    def test_a_ring_of_parents_is_shown_flat(self) -> None:
        ring = Takes(takes=(take(0, 1), take(1, 0), take(2)))
        assert sorted(t.id for _, t in ring.rows()) == [name(0), name(1), name(2)]

    def test_twice_is_once(self) -> None:
        assert takes().added(take(2)) == takes()

    def test_bounded_but_never_without_the_starred_and_the_heard(self) -> None:
        found = takes(1).changed(name(0), starred=True)
        found = found.added(take(1, 0)).turned(name(1))
        for number in range(2, 3 * MOST):
            found = found.added(take(number, number - 1))
        assert len(found.takes) == MOST
        assert found.get(name(0)) is not None
        assert found.get(name(1)) is not None
        known = {t.id for t in found.takes}
        assert all(not t.parent or t.parent in known for t in found.takes)


class TestText:
    def test_there_and_back(self) -> None:
        found = replace(takes(), pulls=(("glass", -1.0), ("rain", 0.5)), other=name(2))
        back = read(found.text())
        assert back is not None
        assert [replace(t, story="") for t in back.takes] == [replace(t, story="") for t in found.takes]
        assert [t.told for t in back.takes] == [t.told for t in found.takes]
        assert (back.current, back.other, back.at_s, back.pulls) == (
            found.current,
            found.other,
            found.at_s,
            found.pulls,
        )
        assert read(back.text()) == back

    def test_hits_that_are_shared_are_written_once(self) -> None:
        long = [replace(take(n), story=story(n, hits=150)) for n in range(20)]
        found = Takes(takes=tuple(long), current=name(0))
        assert len(found.text()) < 3 * len(long[0].story)
        back = read(found.text())
        assert back is not None
        assert back.takes[19].told == long[19].told

    def test_what_a_newer_version_added_is_kept(self) -> None:
        plain = json.loads(takes().text())
        plain["later"] = [1]
        plain["takes"][0]["mood"] = "grim"
        plain[history.KEY] = 9
        back = read(json.dumps(plain))
        assert back is not None
        again = json.loads(back.text())
        assert (again["later"], again["takes"][0]["mood"], again[history.KEY]) == ([1], "grim", 9)

    @pytest.mark.parametrize(
        "text",
        [None, 5, "", "[]", "{", '{"footfall_takes":"1"}', '{"footfall_takes":1,"takes":[{}]}', "[" * 99_999],
    )
    def test_what_is_no_list_is_none(self, text: object) -> None:
        assert read(text) is None

    def test_damaged_parts_are_left_out(self) -> None:
        plain = json.loads(takes().text())
        plain["takes"][1]["id"] = "../../etc"
        plain["takes"][2] = 7
        plain["takes"][3] |= {"made": -1, "how": "stolen", "parent": [], "samples": True, "story": "x"}
        plain |= {"current": ["x"], "other": {}, "at_s": "1/0", "pulls": [["", 1], ["a", "b"], ["ok", 5]]}
        back = read(json.dumps(plain))
        assert back is not None
        assert [t.id for t in back.takes] == [name(0), name(3)]
        last = back.takes[1]
        assert (last.made, last.how, last.parent, last.samples, last.story) == (0, "generate", "", 0, "")
        assert (back.current, back.other, back.at_s, back.pulls) == (name(3), "", None, (("ok", 1.0),))

    @pytest.mark.parametrize(("text", "at_s"), [("1e999999999", None), ("7/24", Fraction(7, 24))])
    def test_a_number_that_would_fill_the_memory_is_none(self, text: str, at_s: Fraction | None) -> None:
        back = read(json.dumps(json.loads(takes().text()) | {"at_s": text}))
        assert back is not None
        assert back.at_s == at_s

    def test_a_time_that_no_clock_shows_is_unknown(self) -> None:
        plain = json.loads(takes().text())
        plain["takes"][0]["made"] = 2**53
        back = read(json.dumps(plain))
        assert back is not None
        assert back.takes[0].made == 0

    @given(ANYTHING)
    def test_nothing_that_a_file_holds_raises(self, plain: object) -> None:
        if isinstance(plain, dict):
            plain[history.KEY] = 1
        found = read(json.dumps(plain))
        if found is not None:
            assert read(found.text()) is not None


def test_pulls_are_set_changed_and_taken_back() -> None:
    found = Takes().pulled("rain", 0.5).pulled("glass", -1.0).pulled("rain", 0.25)
    assert found.pulls == (("glass", -1.0), ("rain", 0.25))
    assert found.pulled("glass", 0).pulls == (("rain", 0.25),)
