# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall bench --quick``: every figure that the README's table and the bars need is there, and makes
sense.
"""

from __future__ import annotations

import argparse
import json

import pytest
from footfall.addon.wire.errors import BadInput
from footfall.cli import bench as command
from footfall.server.bench import Watch


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(["bench", *arguments])


def test_quick_bench_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        command.run(options("--quick", "--json", "--steps", "2", "--seconds", "1.28", "--repeats", "1")) == 0
    )
    out = capsys.readouterr().out
    report = json.loads(out)
    assert report["ok"] is True
    assert report["dtype"] == "float32"
    assert report["device"] == "CPU"
    assert report["parity"] < 1e-3
    assert report["parity_waveform"] < 1e-3
    assert report["nudge_frames_looked_at"] == 0
    for name in ("ratio", "ratio_interval", "takes4_ratio", "short_ratio", "long_ratio", "long_peak_ratio"):
        assert report[name] > 0, name
    for name in ("ours_s", "diffusers_s", "one_s", "nudge_s", "peak_mb", "load_s", "load_peak_ratio"):
        assert report[name] > 0, name
    assert {"sampling", "decoding"} <= set(report["cancel_waits_s"])
    assert set(report["parts"]) == {"diffusers", "ours", "interval"}
    for parts in report["parts"].values():
        assert parts["all"] == pytest.approx(parts["unet"] + parts["vae"] + parts["vocoder"], rel=0.05)
    text = command.table(report)
    assert "of diffusers' time" in text
    assert len(text.splitlines()) > 20


@pytest.mark.parametrize(
    "arguments",
    [("--only", "nothing"), ("--seconds", "0"), ("--seconds", "60"), ("--steps", "0"), ("--repeats", "0")],
)
def test_nonsense_is_a_sentence(arguments: tuple[str, ...]) -> None:
    with pytest.raises(BadInput):
        command.run(options("--quick", *arguments))


def test_the_longest_wait_is_by_phase() -> None:
    watch = Watch()
    watch.progress("sampling", 0.0)
    watch.check()
    watch.progress("decoding", 0.5)
    watch.check()
    assert set(watch.longest) == {"sampling", "decoding"}
    assert all(wait >= 0 for wait in watch.longest.values())
