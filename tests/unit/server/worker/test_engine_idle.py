# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without work gives its memory back, once."""

from __future__ import annotations

from collections.abc import Callable

from footfall.addon.wire.messages import Result
from footfall.tests.fakes.engine_bench import Bench
from footfall.tests.fakes.fake_pipeline import DEVICE_BYTES
from footfall.tests.fakes.peer import wait_until


def test_memory_is_given_back_after_idling_and_only_once(bench: Callable[..., Bench]) -> None:
    now = [0.0]
    one = bench(idle_s=300.0, clock=lambda: now[0])
    assert isinstance(one.run(), Result)
    wait_until(lambda: one.engine.device_bytes == DEVICE_BYTES)
    assert one.pipeline.releases == 0
    now[0] = 299.0
    one.engine.describe()  # wakes the thread, which is to find that it is not time yet
    wait_until(lambda: one.engine.description)
    assert one.pipeline.releases == 0
    now[0] = 300.0
    one.engine.describe()
    wait_until(lambda: one.pipeline.releases == 1)
    wait_until(lambda: one.engine.device_bytes == 0)
    now[0] = 10_000.0
    one.engine.describe()
    wait_until(lambda: one.engine.description)
    assert one.pipeline.releases == 1
    assert isinstance(one.run(), Result)


def test_idle_time_runs_by_itself(bench: Callable[..., Bench]) -> None:
    one = bench(idle_s=0.01)
    assert isinstance(one.run(), Result)
    wait_until(lambda: one.pipeline.releases == 1)


def test_without_an_idle_time_memory_is_kept(bench: Callable[..., Bench]) -> None:
    now = [0.0]
    one = bench(idle_s=0.0, clock=lambda: now[0])
    assert isinstance(one.run(), Result)
    now[0] = 1e9
    one.engine.describe()
    wait_until(lambda: one.engine.description)
    assert one.pipeline.releases == 0
