# SPDX-License-Identifier: GPL-3.0-or-later
"""A real worker process around the fake pipeline: ``python -I tests/fakes/fake_worker.py``. Tests only.

It takes the place of ``server/launch.py``, and the same command line. Its environment may hold
FOOTFALL_FAKE_DIE=CODE          exit before the greeting is even read
FOOTFALL_FAKE_DIE=CODE-pipeline exit when the pipeline is made, after the address was told
FOOTFALL_FAKE_FAIL=import       the pipeline cannot be made, as in a half-installed environment
FOOTFALL_FAKE_START_S=SECONDS   making the pipeline takes so long, as the import of torch does
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def load(name: str, path: Path) -> ModuleType:
    """A module by its file, without touching sys.path."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def make_pipeline(settings: Any) -> Any:
    """The fake, after whatever the environment asks for."""
    code, _, when = os.environ.get("FOOTFALL_FAKE_DIE", "").partition("-")
    if when == "pipeline":
        os._exit(int(code))
    if os.environ.get("FOOTFALL_FAKE_FAIL") == "import":
        raise ImportError("No module named 'torch' (the fake was told so)")
    threading.Event().wait(float(os.environ.get("FOOTFALL_FAKE_START_S", "0")))
    return importlib.import_module("footfall.tests.fakes.fake_pipeline").FakePipeline(settings)


def main() -> None:
    code, _, when = os.environ.get("FOOTFALL_FAKE_DIE", "").partition("-")
    if code and not when:
        os._exit(int(code))
    launch = load("footfall_launch", ROOT / "server" / "launch.py")
    launch.load_package(ROOT)
    worker = importlib.import_module("footfall.server.__main__")
    if "FOOTFALL_FAKE_LEFT_S" in os.environ:
        importlib.import_module("footfall.server.worker.transport").LEFT_S = float(
            os.environ["FOOTFALL_FAKE_LEFT_S"]
        )
    worker.leave(worker.main(make_pipeline, arguments=sys.argv[1:]))


if __name__ == "__main__":
    main()
