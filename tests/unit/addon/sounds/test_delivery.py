# SPDX-License-Identifier: GPL-3.0-or-later
"""From a result to files and plans: one WAV per strip with its silence inside, all of a job or nothing."""

from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from footfall.addon.sounds import save
from footfall.addon.sounds.delivery import deliver
from footfall.addon.sounds.placement import Shot
from footfall.addon.sounds.save import Place, SaveTarget
from footfall.addon.takes.provenance import Asked, read
from footfall.addon.timeline import Rate
from footfall.addon.wire.errors import SaveError
from footfall.addon.wire.messages import Clip, Result
from footfall.tests.fakes.stories import MODEL

JOB = "0123456789abcdef0123456789abcdef"
SHOT = Shot(start_frame=Fraction(101), rate=Rate(24))


def result() -> Result:
    sound = np.full((4_000, 2), 0.5, np.float32)
    clips = tuple(
        Clip(take=take, layer=layer, start_s=start, rate_hz=48_000, waveform=sound, label=label)
        for take in (0, 1)
        for layer, start, label in (
            ("spots", Fraction(1, 32), "Glass"),
            ("bed", Fraction(0), ""),
            ("spots", Fraction(0), "Glass"),
        )
    )
    return Result(job_id=JOB, clips=clips, provenance=MODEL, warnings=("Short of memory.",))


def target(folder: Path) -> SaveTarget:
    return SaveTarget(places=(Place(folder=folder),), sentence="Kept here.")


def test_every_clip_becomes_a_file(tmp_path: Path) -> None:
    stored = deliver(result(), SHOT, Asked(settings={"seed": 3}), target(tmp_path))
    assert [item.path.name for item in stored.strips] == [
        "0123456789ab-take1-bed.wav",
        "0123456789ab-take1-spots-001-glass.wav",
        "0123456789ab-take1-spots-002-glass.wav",
        "0123456789ab-take2-bed.wav",
        "0123456789ab-take2-spots-001-glass.wav",
        "0123456789ab-take2-spots-002-glass.wav",
    ]
    assert stored.sentence == "Kept here."
    assert stored.warnings == ("Short of memory.",)
    for item in stored.strips:
        with wave.open(str(item.path)) as file:
            assert file.getnframes() == item.strip.samples == 2_000 * item.strip.frames
            silence = file.readframes(item.strip.lead)
            assert not any(silence)
            assert any(file.readframes(1))
        kept = read(item.story)
        assert kept is not None
        assert (kept.uuid, kept.take, kept.layer) == (item.strip.uuid, item.strip.take, item.strip.layer)
        assert kept.settings == {"seed": 3}
    assert [item.strip.lead for item in stored.strips] == [0, 0, 1_500, 0, 0, 1_500]


def test_nothing_of_half_a_job_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = save.write_clip, iter(range(10))

    def third_fails(*arguments: object, **options: object) -> object:
        if next(calls) == 2:
            raise SaveError("Full.")
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(save, "write_clip", third_fails)
    with pytest.raises(SaveError, match="Full"):
        deliver(result(), SHOT, Asked(settings={}), target(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_another_folder_is_told_once(tmp_path: Path) -> None:
    places = (Place(folder=tmp_path / "gone" / "a"), Place(folder=tmp_path / "ours"))
    stored = deliver(result(), SHOT, Asked(settings={}), SaveTarget(places=places))
    assert stored.sentence.count("ours") == 1
    assert {item.path.parent for item in stored.strips} == {tmp_path / "ours"}
