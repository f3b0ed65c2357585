# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip's story survives the round trip, other versions, and anything that a file may hold in its place."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from footfall.addon.shots.fingerprint import sign
from footfall.addon.takes import provenance
from footfall.addon.takes.provenance import Story, asked, read, story
from footfall.addon.wire.messages import Clip, Event, FoleyRequest, Heard, Provenance, Result
from hypothesis import given
from hypothesis import strategies as st

JOB = "0123456789abcdef0123456789abcdef"
UUID = "f" * 32
MODEL = Provenance(
    bundle="audioldm-s-full-v2",
    bundle_sha256="ab" * 32,
    licence="CC-BY-NC-SA-4.0",
    commercial=False,
    mapper="bridge",
    version="0.1.0",
    device="CUDA: RTX 4070",
    dtype="float16",
    steps=20,
    guidance=2.5,
)


def request(**changes: Any) -> FoleyRequest:
    return FoleyRequest(
        frames=np.zeros((2, 8, 8, 3), np.uint8),
        times_s=np.array([0.0, 0.25]),
        duration_s=Fraction(1001, 240),
        **{"prompt": "nasser Kies 🦶", "takes": 2, "seed": 2**63 - 1, "layers": ("bed", "spots")} | changes,
    )


def result() -> Result:
    sound = np.zeros((10, 1), np.float32)
    clips = (
        Clip(take=0, layer="bed", start_s=Fraction(0), rate_hz=48_000, waveform=sound),
        Clip(take=1, layer="spots", start_s=Fraction(1, 3), rate_hz=48_000, waveform=sound, label="glass"),
    )
    heard = (Heard(words="steps on gravel", weight=0.75), Heard(words="rain", weight=0.25))
    return Result(job_id=JOB, clips=clips, provenance=MODEL, heard=heard)


def told(**changes: Any) -> Story:
    what = asked(request(**changes), {"scene": "Küche", "start": Fraction(203, 2), "rate": 24, "cut": None})
    return story(UUID, result(), 1, 4, what)


class TestRoundTrip:
    def test_all_of_it(self) -> None:
        before = told(events=(Event(time_s=Fraction(1, 3), kind="hit", strength=0.5, pan=-1.0),))
        after = read(before.text())
        assert after == before
        assert (after.take, after.layer, after.index, after.label) == (1, "spots", 4, "glass")
        picture = sign(request().frames)
        assert after.shot == {"scene": "Küche", "start": "203/2", "rate": 24, "cut": None, "picture": picture}
        assert not after.newer

    def test_a_spot_tells_of_its_own_hit_only(self) -> None:
        hits = tuple(Event(time_s=Fraction(n, 3), words=str(n)) for n in range(300))
        made = replace(
            result(),
            clips=tuple(replace(clip, event=n * 250) for n, clip in enumerate(result().clips)),
            events=hits,
        )
        what = asked(request(events=hits))
        assert what.left_out == ("events",)
        spot = read(story(UUID, made, 1, 4, what).text())
        assert spot is not None
        assert (spot.settings["events"], spot.left_out) == ((hits[250],), ())
        bed = read(story(UUID, made, 0, 0, what).text())
        assert bed is not None
        assert ("events" in bed.settings, bed.left_out) == (False, ("events",))

    def test_the_request_can_be_made_again(self) -> None:
        before = request(negative_prompt="music", steps=7, rate_hz=44_100, loudness_lufs=-16.0)
        kept = read(story(UUID, result(), 0, 0, asked(before)).text())
        assert kept is not None
        again = FoleyRequest(frames=before.frames, times_s=before.times_s, **kept.settings)
        for name in kept.settings:
            assert getattr(again, name) == getattr(before, name)
        assert set(kept.settings) | {"frames", "times_s", "motion"} == set(FoleyRequest.__dataclass_fields__)

    def test_the_model_is_named(self) -> None:
        kept = read(told().text())
        assert kept is not None
        assert Provenance(**kept.model) == MODEL

    def test_no_picture_inside(self) -> None:
        plain = json.loads(told().text())
        assert not {"frames", "times_s"} & set(plain["request"])
        what = asked(request())
        assert not any(isinstance(value, np.ndarray) for value in what.settings.values())

    def test_defaults_are_written_out(self) -> None:
        assert json.loads(told().text())["request"]["nudge"] == 0.5

    def test_many_events_are_left_out_and_named(self) -> None:
        events = tuple(Event(time_s=Fraction(n, 1_000)) for n in range(provenance.EVENTS_KEPT + 1))
        kept = read(told(events=events).text())
        assert kept is not None
        assert kept.left_out == ("events",)
        assert "events" not in kept.settings
        assert len(told(events=events).text()) < 5_000


class TestOtherVersions:
    def test_what_an_older_one_did_not_know_was_at_its_default(self) -> None:
        plain = json.loads(told(background="rain", loop=True).text())
        assert read(json.dumps(plain)).made_with["background"] == "rain"
        del plain["request"]["background"]
        old = read(json.dumps(plain))
        assert old is not None
        assert "background" not in old.settings
        assert (old.made_with["background"], old.made_with["loop"]) == ("", True)
        assert not {"frames", "times_s", "duration_s"} & (set(old.made_with) - set(old.settings))

    def test_a_newer_one_keeps_what_it_added(self) -> None:
        plain = json.loads(told().text())
        plain |= {provenance.KEY: 7, "mood": ["calm"]}
        plain["request"] |= {"sparkle": 3, "quality": "ultra"}
        plain["model"]["watts"] = 300
        kept = read(json.dumps(plain))
        assert kept is not None
        assert kept.newer
        assert kept.extra == {"mood": ["calm"]}
        assert "quality" not in kept.settings
        assert kept.settings["prompt"] == "nasser Kies 🦶"
        written = json.loads(kept.text())
        assert (written[provenance.KEY], written["mood"]) == (7, ["calm"])

    def test_numbers_and_texts_that_json_should_not_hold(self) -> None:
        text = told().text()[:-1] + ',"mood":[NaN,1e999,"\\ud800"],"shot":{"a":-Infinity,"b":1e999}}'
        kept = read(text)
        assert kept is not None
        assert kept.extra == {"mood": [None, None, "\ud800"]}
        assert kept.shot == {"a": None, "b": None}
        assert kept.text().isascii()

    def test_an_older_one_with_less(self) -> None:
        plain = {provenance.KEY: 1, "uuid": UUID, "job_id": JOB, "take": 0, "layer": "bed"}
        kept = read(json.dumps(plain))
        assert kept == Story(uuid=UUID, job_id=JOB, take=0, layer="bed")

    @pytest.mark.parametrize(
        ("place", "value"),
        [
            ("request", {"seed": -1, "prompt": 3, "duration_s": [1, 0], "layers": ["bed"]}),
            (
                "request",
                {"seed": float("nan"), "events": [{"time_s": [1, 3], "colour": 1}], "layers": ["bed"]},
            ),
            ("request", {"duration_s": [2**70, 3], "rate_hz": 10**30, "layers": ["bed"]}),
        ],
    )
    def test_damaged_settings_are_left_out(self, place: str, value: Any) -> None:
        kept = read(json.dumps(json.loads(told().text()) | {place: value}))
        assert kept is not None
        assert kept.settings == {"layers": ("bed",)}

    @pytest.mark.parametrize("name", ["request", "model", "heard", "shot", "label", "index", "left_out"])
    @pytest.mark.parametrize("value", [None, 3, "x", [], {}, [3], [{}], {"a": {}}, float("inf")])
    def test_damaged_parts_are_left_out(self, name: str, value: Any) -> None:
        kept = read(json.dumps(json.loads(told().text()) | {name: value}))
        assert kept is not None
        assert kept.uuid == UUID
        assert read(kept.text()) == kept


class TestNoStory:
    @pytest.mark.parametrize(
        "text",
        [
            None,
            3,
            b"{}",
            "",
            "{",
            "[]",
            "{}",
            '{"footfall": 0}',
            '{"footfall": true}',
            '{"footfall": 1e400}',
            "[" * 100_000,
            '{"footfall": 1, "uuid": "../../x", "job_id": "x", "take": 0, "layer": "bed"}',
            " " * (provenance.MOST_CHARACTERS + 1),
        ],
    )
    def test_reads_as_none(self, text: object) -> None:
        assert read(text) is None

    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda s: st.lists(s)))
    def test_any_json(self, plain: Any) -> None:
        assert read(json.dumps(plain)) is None

    @given(
        st.dictionaries(
            st.sampled_from(["footfall", "uuid", "job_id", "take", "layer", "request", "heard", "shot"]),
            st.sampled_from(
                [
                    1,
                    UUID,
                    "bed",
                    None,
                    [],
                    {},
                    [{"words": "x", "weight": 2}],
                    10**400,
                    -1,
                    {"a": float("nan")},
                ]
            ),
        )
    )
    def test_anything_shaped_like_one(self, plain: dict[str, Any]) -> None:
        kept = read(json.dumps(plain))
        assert kept is None or read(kept.text()) == kept
