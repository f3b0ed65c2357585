# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs file and the options of a batch: what is said where counts, and nonsense is refused in words."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

import pytest
from footfall.addon import options, words_only
from footfall.addon.batch import asked as batch_jobs
from footfall.addon.batch.asked import FileJob
from footfall.addon.wire.errors import BadInput, WrongUsage
from hypothesis import given
from hypothesis import strategies as st


def parse(*words: str) -> argparse.Namespace:
    parser = options.Parser(prog="footfall batch")
    batch_jobs.add_options(parser)
    return parser.parse_args(list(words))


def jobs(folder: Path, text: str, *words: str) -> list[FileJob]:
    path = folder / "jobs.toml"
    path.write_text(text, "utf-8")
    return batch_jobs.file_jobs(parse("--jobs", str(path), *words))


def test_files_alone(tmp_path: Path) -> None:
    found = batch_jobs.file_jobs(parse(str(tmp_path / "a.blend"), str(tmp_path / "b.blend"), "--seed", "4"))
    assert [job.blend for job in found] == [tmp_path / "a.blend", tmp_path / "b.blend"]
    assert [job.wanted.seed for job in found] == [4, 4]
    assert batch_jobs.result_path(tmp_path / "a.blend", None) == tmp_path / "with_sound" / "a.blend"


def test_the_help_shows_a_jobs_file_that_works(tmp_path: Path) -> None:
    assert batch_jobs.JOBS_EXAMPLE in batch_jobs.JOBS_HELP
    (job,) = jobs(tmp_path, batch_jobs.JOBS_EXAMPLE)
    assert job.blend == tmp_path / "A.blend"
    assert job.out == tmp_path / "A_sound"
    assert job.playblast == tmp_path / "A.mp4"
    assert (job.scene, job.shots) == ("Edit", "markers")
    assert job.asked("sh010").prompt == "wet gravel"
    assert job.asked("sh010").background == "rain outside, far thunder"
    assert job.asked("sh010").seed == 5
    assert job.asked("another").background == "rain outside"
    assert job.asked("another").layers == ("bed", "spots")
    assert job.skip == {"sh020"}
    assert job.named == {"sh010", "sh020"}


def test_what_is_said_nearer_counts_and_words_add_up(tmp_path: Path) -> None:
    text = """
prompt = "rain"
quality = "draft"
[[file]]
path = "a.blend"
prompt = "tin roof"
takes = 2
[[file.shot]]
name = "one"
prompt = "boots"
takes = 3
negative = "music"
[[file]]
path = "b.blend"
"""
    first, second = jobs(tmp_path, text, "--prompt", "night", "--nudge", "0.25")
    assert first.wanted.prompt == "night, rain, tin roof"
    assert first.asked("one").prompt == "night, rain, tin roof, boots"
    assert (first.wanted.takes, first.asked("one").takes) == (2, 3)
    assert (first.wanted.negative, first.asked("one").negative) == ("", "music")
    assert first.asked("one").quality == "draft"
    assert second.wanted.prompt == "night, rain"
    assert second.wanted.nudge == 0.25


def test_words_for_the_background_add_up_too(tmp_path: Path) -> None:
    text = """
background = "rain"
[[file]]
path = "a.blend"
background = "far thunder"
[[file.shot]]
name = "one"
background = "frogs"
prompt = "boots"
"""
    (job,) = jobs(tmp_path, text, "--background", "night", "--prompt", "mud")
    assert job.asked("one").background == "night, rain, far thunder, frogs"
    assert job.asked("two").background == "night, rain, far thunder"
    assert (job.asked("one").prompt, job.asked("two").prompt) == ("mud, boots", "mud")
    assert options.request_settings(job.asked("one"))["background"] == "night, rain, far thunder, frogs"


def test_every_option_of_sound_can_be_said_in_the_file(tmp_path: Path) -> None:
    """All but the model, which is one for the whole batch, since one worker holds it."""
    parser = argparse.ArgumentParser(add_help=False)
    options.add_sound_options(parser)
    names = set(vars(parser.parse_args([]))) - {"model"}
    assert names <= set(batch_jobs._KEYS)
    text = """
loop = true
in_sync = true
pull = ["music=-1", "wood=0.5"]
duck = 6
[[file]]
path = "a.blend"
loop = false
pull = ["rain=1"]
[[file]]
path = "b.blend"
"""
    first, second = jobs(tmp_path, text, "--model", "starter", "--spots-as", "mixed", "--hard-cuts")
    assert (first.wanted.loop, second.wanted.loop, first.wanted.in_sync) == (False, True, True)
    assert [pull.words for pull in first.wanted.pull] == ["music", "wood", "rain"]
    assert [pull.words for pull in second.wanted.pull] == ["music", "wood"]
    assert (first.wanted.duck, first.wanted.spots_as, first.wanted.hard_cuts) == (6.0, "mixed", True)
    assert first.wanted.model == "starter"


def test_the_model_of_the_command_line_is_every_shots(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, '[[file]]\npath = "a.blend"\n[[file.shot]]\nname = "x"', "--model", "other")
    assert job.asked("x").model == "other"


def test_a_prompt_may_look_like_an_option(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, 'prompt = "--json = -5"\n[[file]]\npath = "a.blend"')
    assert job.wanted.prompt == "--json = -5"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("promt = 'x'", "did you mean 'prompt'"),
        ("takes = 0", "does not lie between"),
        ("takes = 'many'", "many"),
        ("takes = true", "takes cannot be"),
        ("quality = 'superb'", "draft"),
        ("layers = ['bed', 'bed']", "each once"),
        ("layers = 7", "layers"),
        ("seed = -1", "does not lie between"),
        ("nudge = nan", "does not lie between"),
        ("events = 'hits.json'", "one of scene"),
        ("loop = 1", "loop is true or false"),
        ("pull = ['music']", "from -1 to 1"),
        ("pull = [['music']]", "a part of a list"),
        ("model = './here'", "knows no 'model'"),
        ("file = 'a.blend'", r"\[\[file\]\]"),
        ("[[file]]\nprompt = 'x'", "has no path"),
        ("[[file]]\npath = 7", "path is a text"),
        ("[[file]]\npath = 'a.blend'\nshots = 'frames'", "shots is one of"),
        ("[[file]]\npath = 'a.blend'\nshot = 'x'", r"\[\[file.shot\]\]"),
        ("[[file]]\npath = 'a.blend'\n[[file.shot]]\nprompt = 'x'", "needs a name"),
        ("[[file]]\npath = 'a.blend'\n[[file.shot]]\nname='a'\n[[file.shot]]\nname='a'", "name of its own"),
        ("[[file]]\npath = 'a.blend'\n[[file.shot]]\nname='a'\nskip='yes'", "true or false"),
        ("[[file]]\npath = 'a.blend'\n[[file]]\npath = 'a.blend'", "would both become"),
        ("[[file]]\npath = 'a.blend'\nout = '.'", "would overwrite"),
        ("[[file", "is no TOML"),
        ('a = "\\u0000', "is no TOML"),
        (f"seed = {'9' * 5000}", "is no TOML"),
        (f"pull = [['x', 0x{'f' * 9000}]]", "too many digits"),
        ('prompt = "rain\\u0000"', "control characters"),
    ],
)
def test_nonsense_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        jobs(tmp_path, text)
    assert len(caught.value.sentence.replace(str(tmp_path), "")) < 400
    assert "jobs.toml" in caught.value.sentence or "would" in caught.value.sentence


@given(st.text(max_size=200))
def test_any_text_is_jobs_or_a_sentence(text: str) -> None:
    """Whatever is in the file: jobs come out, or an error that is meant for people."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BadInput, WrongUsage):
        jobs(Path(folder), text)


def test_a_jobs_file_from_notepad(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, '\ufeffprompt = "rain"\n[[file]]\npath = "A.blend"\n')
    assert job.wanted.prompt == "rain"


def test_shots_that_nobody_looks_at(tmp_path: Path) -> None:
    """Words alone for a whole file, or for one shot of it; its own words on top."""
    text = """
source = "words"
prompt = "rain"
[[file]]
path = "a.blend"
[[file.shot]]
name = "sh010"
prompt = "far thunder"
condition = "clip_text"
[[file.shot]]
name = "sh020"
source = "camera"
"""
    (job,) = jobs(tmp_path, text)
    assert (job.wanted.source, job.wanted.prompt) == (words_only.SOURCE, "rain")
    assert (job.asked("sh010").source, job.asked("sh010").prompt) == (words_only.SOURCE, "rain, far thunder")
    assert options.request_settings(job.asked("sh010"))["condition"] == "clip_text"
    assert job.asked("sh020").source == "camera"
    (job,) = batch_jobs.file_jobs(parse("a.blend", "--source", "words", "--prompt", "wind"))
    assert (job.wanted.source, job.wanted.prompt) == (words_only.SOURCE, "wind")


def test_no_file_at_all_is_wrong_usage() -> None:
    with pytest.raises(WrongUsage, match="jobs file"):
        batch_jobs.file_jobs(parse())
    (job,) = batch_jobs.file_jobs(parse(), open_file=True)
    assert job.blend is None


def test_a_jobs_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="check its name"):
        batch_jobs.file_jobs(parse("--jobs", str(tmp_path / "none.toml")))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="no TOML"):
        batch_jobs.file_jobs(parse("--jobs", str(tmp_path / "binary.toml")))
    (tmp_path / "big.toml").write_bytes(b"#" * (batch_jobs.MOST_BYTES + 1))
    with pytest.raises(BadInput, match="too large"):
        batch_jobs.file_jobs(parse("--jobs", str(tmp_path / "big.toml")))


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero here")
def test_what_never_ends_is_no_jobs_file() -> None:
    """It says of itself that it is empty."""
    with pytest.raises(BadInput, match="too large"):
        batch_jobs.file_jobs(parse("--jobs", "/dev/zero"))


def test_one_film_for_several_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="one file"):
        batch_jobs.file_jobs(parse("a.blend", "b.blend", "--playblast", "film.mp4"))
