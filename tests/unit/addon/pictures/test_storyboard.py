# SPDX-License-Identifier: GPL-3.0-or-later
"""Which parts of a sound are pictured, which frames they get, and what the files hold."""

from __future__ import annotations

import itertools
import json
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footfall.addon.pictures import delivery as picture_delivery
from footfall.addon.pictures import files as picture_files
from footfall.addon.pictures import png, storyboard
from footfall.addon.pictures import story as picture_story
from footfall.addon.pictures.delivery import Board
from footfall.addon.sounds import save
from footfall.addon.timeline import Rate
from footfall.addon.wire import limits
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.addon.wire.messages import Picture, PictureResult
from footfall.tests.fakes.fake_pipeline import paint
from footfall.tests.fakes.peer import new_job, picture_request
from hypothesis import given
from hypothesis import strategies as st

SECONDS = st.fractions(Fraction(1, 10), 1_200, max_denominator=1_000)


def follow(parts: tuple[storyboard.Part, ...], duration_s: Fraction) -> None:
    """They follow each other from the beginning to the end, none empty."""
    assert parts[0][0] == 0
    assert parts[-1][1] == duration_s
    assert all(start < end for start, end in parts)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))


@given(SECONDS, st.fractions(2, 60, max_denominator=100))
def test_windows_cover_the_sound(duration_s: Fraction, every_s: Fraction) -> None:
    parts = storyboard.windows(duration_s, every_s)
    follow(parts, duration_s)
    assert all(end - start == every_s for start, end in parts[:-1])
    assert parts[-1][1] - parts[-1][0] <= every_s * Fraction(5, 4)


@given(SECONDS, st.lists(st.fractions(-10, 1_300, max_denominator=1_000), max_size=20))
def test_cuts_in_any_order_and_outside(duration_s: Fraction, cuts: list[Fraction]) -> None:
    parts = storyboard.at_cuts(duration_s, cuts)
    follow(parts, duration_s)
    assert {start for start, _ in parts[1:]} <= set(cuts)


def test_a_short_rest_joins_the_window_before() -> None:
    assert storyboard.windows(Fraction(11), Fraction(5)) == ((0, 5), (5, 11))
    assert storyboard.windows(Fraction(12), Fraction(5)) == ((0, 5), (5, 10), (10, 12))
    assert storyboard.windows(Fraction(1), Fraction(5)) == ((0, 1),)


def test_too_many_pictures_are_refused() -> None:
    with pytest.raises(BadInput, match="too many"):
        storyboard.windows(Fraction(limits.DURATION_S), Fraction(1))
    with pytest.raises(BadInput, match="too many"):
        storyboard.at_cuts(Fraction(limits.DURATION_S), [Fraction(n, 2) for n in range(2_400)])


def test_a_png_holds_the_pixels_and_the_words() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    octets = png.encode(pixels, {"Software": "Footfall", "story": "ü ☂"})
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(octets):
        length, kind = int.from_bytes(octets[at : at + 4]), octets[at + 4 : at + 8]
        data = octets[at + 8 : at + 8 + length]
        assert int.from_bytes(octets[at + 8 + length : at + 12 + length]) == zlib.crc32(kind + data)
        found[kind] = data
        at += 12 + length
    assert found[b"IHDR"][:8] == (7).to_bytes(4) + (5).to_bytes(4)
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(5, 22)
    assert not rows[:, 0].any()
    assert np.array_equal(rows[:, 1:].reshape(5, 7, 3), pixels)
    assert found[b"iTXt"].endswith("ü ☂".encode())


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 3), (4, 4, 4)])
def test_what_is_no_picture_is_no_png(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="pixels"):
        png.encode(np.zeros(shape, np.uint8))


def made(takes: int = 2) -> tuple[PictureResult, picture_story.AskedPictures]:
    request = picture_request(parts=3, takes=takes, seed=5)
    painting = paint(request)
    result = PictureResult(
        job_id=new_job(), pictures=painting.pictures, provenance=painting.provenance, warnings=("Flat.",)
    )
    return result, picture_story.asked(request, "Door", Fraction(2))


def board(start: Fraction = Fraction(11), end: int = 20) -> Board:
    return Board(start_frame=start, end=end, rate=Rate(24), channel=3, name="Dööör")


def test_pictures_are_written_with_their_stories(tmp_path: Path) -> None:
    result, what = made()
    target = save.choose_folder("", "", tmp_path / "pictures", "picture")
    stored = picture_delivery.deliver(result, board(), what, target)
    assert len({item.path for item in stored.strips}) == 6
    assert [item.path.name[12:] for item in stored.strips[:2]] == [
        "-picture-001-dooor.png",
        "-picture-001-take2-dooor.png",
    ]
    assert "The picture is kept" in stored.sentence
    for item in stored.strips:
        told = picture_story.read(item.story)
        assert told is not None
        assert told["request"]["seed"] == 5
        assert told["uuid"] == item.uuid
        assert item.story.encode() in item.path.read_bytes()
    assert json.loads(stored.strips[2].story)["start_s"] == pytest.approx(2.1)
    again = picture_delivery.deliver(result, board(), what, target)
    assert not {item.path for item in again.strips} & {item.path for item in stored.strips}
    assert [item.uuid for item in again.strips] == [item.uuid for item in stored.strips]


def test_a_disk_that_fails_leaves_no_half_storyboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result, what = made(takes=1)
    target = save.choose_folder("", "", tmp_path / "pictures", "picture")
    write, count = save.write_picture, iter(range(9))

    def fails_third(*words: object) -> save.Saved:
        if next(count) == 2:
            raise SaveError("The disk is full.")
        return write(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(save, "write_picture", fails_third)
    with pytest.raises(SaveError):
        picture_delivery.deliver(result, board(), what, target)
    assert not list((tmp_path / "pictures").glob("*.png"))


@given(
    st.lists(st.fractions(Fraction(1, 1000), 5, max_denominator=1000), min_size=1, max_size=9),
    st.fractions(-50, 50, max_denominator=10),
)
def test_frames_follow_each_other(lengths: list[Fraction], start: Fraction) -> None:
    edges = [sum(lengths[:number], Fraction(0)) for number in range(len(lengths) + 1)]
    what = picture_story.AskedPictures(
        settings={}, starts_s=tuple(edges[:-1]), ends_s=tuple(edges[1:]), source=""
    )
    found = picture_delivery.frames(board(start, 9_999), what)
    assert all(first < end for first, end in found)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(found))


@pytest.mark.parametrize(
    "text", [None, 7, "", "{}", "[1]", '{"footfall":1}', '{"footfall_picture":"x"}', "{" * 99]
)
def test_what_is_no_story_of_a_picture(text: object) -> None:
    assert picture_story.read(text) is None


@pytest.mark.parametrize(("job_id", "span", "take"), [("../x", 0, 0), ("0" * 32, -1, 0), ("0" * 32, 0, 99)])
def test_unusable_names_are_refused(job_id: str, span: int, take: int) -> None:
    with pytest.raises(SaveError):
        save.picture_name(job_id, span, take)


def test_a_place_that_takes_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    picture = Picture(span=0, take=0, pixels=np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(SaveError, match="another place"):
        picture_files.write(tmp_path / "file" / "x.png", picture.pixels, "")
