# SPDX-License-Identifier: GPL-3.0-or-later
"""A Blender that the shell started ends when nobody waits for it any more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from footfall.addon.caller import ENV_CALLER, Caller

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes of POSIX")


def test_a_parent_that_dies() -> None:
    parents = [4242]
    caller = Caller({ENV_CALLER: "4242"}, lambda: parents[-1])
    assert not caller.gone()
    parents.append(1)
    assert caller.gone()


def test_one_behind_a_launcher() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    caller = Caller({ENV_CALLER: str(child.pid)})
    assert not caller.gone()
    child.communicate(b"\n")
    assert caller.gone()


@pytest.mark.parametrize("named", ["", "x", "-1", "9" * 30, "0"])
def test_nobody_waits(named: str) -> None:
    assert not Caller({ENV_CALLER: named}).gone()
    assert not Caller({}).gone()
