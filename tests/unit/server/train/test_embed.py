# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of videos to shards of pairs: labels, bad files told and skipped, and nothing done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from footfall.addon.wire.errors import BadInput, SaveError
from footfall.server.models.bundle import SpaceId
from footfall.server.train.embed import Plan, as_json, embed
from footfall.server.train.films import Wanted
from footfall.server.train.labels import label_of, read_labels
from footfall.server.train.pairs import SHARDS, Row, read_pairs
from footfall.tests.fakes.films import tone, write_film

WANTED = Wanted(seconds=1.0, windows=2, frames=3, side=8)


class Eye:
    """The mean colour of each picture, eight times over, and how often it was asked."""

    space = SpaceId(name="eye", sha256="a" * 64)

    def __init__(self) -> None:
        self.frames = 0

    def encode_images(self, frames: np.ndarray) -> torch.Tensor:
        self.frames += len(frames)
        return torch.from_numpy(frames.mean((1, 2, 3), dtype=np.float32))[:, None].repeat(1, 8)


class Ear:
    """How often a sound crosses zero, beside its length."""

    space = SpaceId(name="ear", sha256="b" * 64)

    def encode_audio(self, sounds: np.ndarray, rate_hz: int = 16_000) -> torch.Tensor:
        crossings = (np.diff(np.signbit(sounds), axis=1)).mean(1)
        rows = np.stack([crossings * 100, np.full(len(sounds), 1.0)], 1)
        return torch.nn.functional.normalize(torch.from_numpy(rows.astype(np.float32)), dim=-1)


def videos(folder: Path, count: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        write_film(
            folder / f"id{number}_{30 * number:06d}.mkv",
            times_s=(0.0, 0.5, 1.0, 1.5, 2.1),
            levels=[40 + 40 * number] * 5,
            sound=tone(2.1, 16_000, 300.0 * (number + 1)),
        )
    return folder


def run(folder: Path, out: Path, **more: Any) -> tuple[dict[str, Any], Eye]:
    eye = Eye()
    calls = {name: more.pop(name) for name in ("told", "stop") if name in more}
    plan = Plan(**({"folder": folder, "out": out, "wanted": WANTED, "workers": 2} | more))
    return as_json(embed(plan, eye, Ear(), **calls)), eye


def test_vggsounds_layout(tmp_path: Path) -> None:
    """Names of id and start, and the list of labels and splits that belongs to them."""
    folder = videos(tmp_path / "videos")
    labels = tmp_path / "vggsound.csv"
    labels.write_text('id0,0,"people, clapping",train\nid1,30,dog barking,test\nnonsense\nid9,5,rain,train\n')
    told: list[tuple[int, int, str]] = []
    report, _ = run(folder, tmp_path / "out", labels=labels, told=lambda *what: told.append(what))
    assert (report["files"], report["done"], report["pairs"], report["bad_rows"]) == (3, 3, 6, 1)
    assert report["whole"]
    assert told == [(n + 1, 3, f"id{n}_{30 * n:06d}.mkv") for n in range(3)]
    pairs = read_pairs(tmp_path / "out")
    assert [pairs.row(n).label for n in range(6)] == ["people, clapping"] * 2 + ["dog barking"] * 2 + [""] * 2
    trained, held_out = pairs.parted()
    assert {held_out.row(n).file for n in range(len(held_out))} >= {"id1_000030.mkv"}
    assert len(trained) + len(held_out) == 6
    frames, heard = pairs.take(range(6))
    assert frames.shape == (6, 3, 8)
    assert frames[:, 0, 0].tolist() == pytest.approx([40, 40, 80, 80, 120, 120], abs=4)
    assert heard[0, 0] < heard[2, 0] < heard[4, 0]
    assert (pairs.clip_space, pairs.clap_space) == (Eye.space, Ear.space)


def test_bad_files_are_told_and_skipped(tmp_path: Path) -> None:
    folder = videos(tmp_path / "videos", 1)
    (folder / "deep" / "er").mkdir(parents=True)
    write_film(folder / "deep" / "er" / "mute.mkv")
    write_film(folder / "deep" / "blind.mkv", times_s=(), sound=tone(1.0, 16_000))
    (folder / "broken.mp4").write_bytes(b"\0" * 2000)
    (folder / "empty.webm").write_bytes(b"")
    (folder / "nowhere.mp4").symlink_to(tmp_path / "gone.mp4")
    (folder / "notes.txt").write_text("no video")
    (folder / ".hidden.mp4").write_bytes(b"")
    report, _ = run(folder, tmp_path / "out")
    assert {row["file"]: row["reason"] for row in report["skipped"]} == {
        "deep/er/mute.mkv": "no sound",
        "deep/blind.mkv": "no picture",
        "broken.mp4": "damaged",
        "empty.webm": "damaged",
        "nowhere.mp4": "damaged",
    }
    assert all(row["said"].endswith(".") for row in report["skipped"])
    assert (report["files"], report["done"], report["pairs"]) == (6, 1, 2)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    folder, out = videos(tmp_path / "videos"), tmp_path / "out"
    (folder / "bad.mp4").write_bytes(b"nothing")
    asked = iter([False, True, True])
    first, eye = run(folder, out, stop=lambda: next(asked))
    assert not first["whole"]
    assert eye.frames == 6  # bad.mp4 and one video
    second, eye = run(folder, out)
    assert eye.frames == 12
    assert (second["resumed"], second["done"], second["pairs"], second["whole"]) == (2, 3, 6, True)
    third, eye = run(folder, out)
    assert eye.frames == 0
    assert third["skipped"] == second["skipped"]
    one_go = tmp_path / "one go"
    run(folder, one_go)
    for here, there in zip(read_pairs(out).take(range(6)), read_pairs(one_go).take(range(6)), strict=True):
        assert torch.equal(here, there)


def test_a_skipped_file_is_tried_again_once_it_changed(tmp_path: Path) -> None:
    folder, out = videos(tmp_path / "videos", 1), tmp_path / "out"
    (folder / "later.mkv").write_bytes(b"half a download")
    run(folder, out)
    (folder / "later.mkv").write_bytes((folder / "id0_000000.mkv").read_bytes())
    report, eye = run(folder, out)
    assert (report["done"], report["skipped"], eye.frames) == (2, [], 6)
    report, _ = run(folder, out)
    assert (report["done"], report["skipped"]) == (2, [])


def test_again_tries_what_was_skipped(tmp_path: Path) -> None:
    folder, out = videos(tmp_path / "videos", 1), tmp_path / "out"
    (folder / "bad.mp4").write_bytes(b"nothing")
    run(folder, out)
    with (out / "skipped.jsonl").open("a") as stream:
        stream.write('{"file": "cut sho')  # by a kill
    assert run(folder, out)[0]["resumed"] == 2
    assert run(folder, out, again=True)[0]["resumed"] == 1


def test_a_shard_cut_short_is_named(tmp_path: Path) -> None:
    folder, out = videos(tmp_path / "videos", 1), tmp_path / "out"
    run(folder, out)
    (shard,) = out.glob(SHARDS)
    whole = shard.read_bytes()
    for raw in (whole[: len(whole) // 2], b"", whole + b"x", whole.replace(b"length_s", b"strength")):
        shard.write_bytes(raw)
        with pytest.raises(BadInput, match=r"pairs-00000\.safetensors is damaged"):
            read_pairs(out)
        with pytest.raises(BadInput, match=r"pairs-00000\.safetensors is damaged"):
            run(folder, out)


def test_a_part_left_by_a_kill_does_not_count(tmp_path: Path) -> None:
    folder, out = videos(tmp_path / "videos", 1), tmp_path / "out"
    run(folder, out)
    (out / ".pairs-00001.safetensors.part").write_bytes(b"half")
    videos(folder, 2)
    report, eye = run(folder, out)
    assert (report["done"], eye.frames) == (2, 6)
    assert len(read_pairs(out)) == 4
    assert not list(out.glob(".*"))


def test_other_embeddings_are_not_mixed(tmp_path: Path) -> None:
    folder, out = videos(tmp_path / "videos", 1), tmp_path / "out"
    run(folder, out)
    with pytest.raises(BadInput, match="frames: 3 before, 5 now"):
        run(folder, out, wanted=Wanted(seconds=1.0, windows=2, frames=5, side=8))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """As on a full disk: the error names the file, and the shards before are whole."""
    folder, out = videos(tmp_path / "videos", 2), tmp_path / "out"
    asked = iter([True])
    run(folder, out, stop=lambda: next(asked))
    before = read_pairs(out)
    assert len(before) == 2
    (out / ".pairs-00001.safetensors.part").mkdir()
    with pytest.raises(SaveError, match="pairs-00001"):
        run(folder, out)
    assert len(read_pairs(out)) == 2


@pytest.mark.parametrize("made", [False, True])
def test_nothing_to_embed(tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "videos").mkdir()
    with pytest.raises(BadInput, match="holds no videos" if made else "There is no folder"):
        run(tmp_path / "videos", tmp_path / "out")


def test_an_empty_folder_of_embeddings(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="footfall embed VIDEOS"):
        read_pairs(tmp_path)
    (tmp_path / "embed.json").write_text("{")
    with pytest.raises(BadInput, match="is damaged"):
        read_pairs(tmp_path)
    space = {"name": "x", "sha256": "y"}
    (tmp_path / "embed.json").write_text(json.dumps({"clip": space, "clap": space}))
    with pytest.raises(BadInput, match="no embeddings yet"):
        read_pairs(tmp_path)


def test_plain_lists(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_bytes('\ufeffa.mp4,rain,train\nsub/b.mp4,"wind, strong",validation\nc,fire\n,,\n\n'.encode())
    names, bad = read_labels(table)
    assert bad == 2
    assert label_of(names, "a.mp4") == ("rain", "train")
    assert label_of(names, "sub/b.mp4") == ("wind, strong", "test")
    assert label_of(names, "deep/c.mkv") == ("fire", "")
    assert label_of(names, "d.mp4") == ("", "")
    with pytest.raises(BadInput, match="cannot be read"):
        read_labels(tmp_path / "none.csv")


def test_one_clip_in_twenty_is_held_out_where_no_list_says() -> None:
    held = [Row(file=f"clip{number}.mp4").held_out for number in range(4000)]
    assert 150 < sum(held) < 250
    assert Row(file="x.mp4", split="test").held_out
    assert not any(Row(file=f"clip{number}.mp4", split="train").held_out for number in range(100))
