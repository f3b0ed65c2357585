# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall doctor``: what is installed, which device, which bundles, what is wrong and how to mend it."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from .. import __version__
from ..addon.folders import models_folder
from ..addon.wire.errors import BadInput, FootfallError
from .blender import find_blender

# What pyproject.toml names for the worker, and the module of each.
PACKAGES = (
    ("numpy", "numpy"),
    ("pyzmq", "zmq"),
    ("torch", "torch"),
    ("torchvision", "torchvision"),
    ("diffusers", "diffusers"),
    ("transformers", "transformers"),
    ("open_clip_torch", "open_clip"),
    ("safetensors", "safetensors"),
    ("huggingface_hub", "huggingface_hub"),
    ("accelerate", "accelerate"),
    ("soundfile", "soundfile"),
    ("soxr", "soxr"),
    ("pyloudnorm", "pyloudnorm"),
    ("scipy", "scipy"),
    ("pillow", "PIL"),
    ("platformdirs", "platformdirs"),
    ("av", "av"),
    ("opencv-python-headless", "cv2"),
    ("psutil", "psutil"),
    ("rich", "rich"),
    ("matplotlib", "matplotlib"),
)
# How a package fails to load: it is not there, a shared library is missing, or it was made for another numpy.
BROKEN = (ImportError, OSError, AttributeError, RuntimeError, ValueError)
FREE_BYTES = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``remedy`` is empty when all is well."""

    what: str
    found: str
    remedy: str = ""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("doctor", help="what is installed, what is wrong, how to mend it")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def run(options: argparse.Namespace) -> int:
    findings = [*_python(), *_packages(), *_device(), *_bundles(), *_blender(), *_disk()]
    wrong = [finding for finding in findings if finding.remedy]
    if options.json:
        print(json.dumps({"ok": not wrong, "findings": [asdict(finding) for finding in findings]}))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            print(f"{'!' if finding.remedy else ' '} {finding.what:{width}} {finding.found}")
            if finding.remedy:
                print(f"  {'':{width}} -> {finding.remedy}")
        print("All is well." if not wrong else f"{len(wrong)} to mend.")
    return 0 if not wrong else BadInput.exit_code


def _python() -> Iterator[Finding]:
    yield Finding("footfall", __version__)
    fit = sys.version_info >= (3, 11)
    yield Finding(
        "python",
        platform.python_version(),
        "" if fit else "Python 3.11 or newer is needed; make a new environment.",
    )


def _packages() -> Iterator[Finding]:
    for package, module in PACKAGES:
        try:
            __import__(module)
            yield Finding(package, importlib.metadata.version(package))
        except BROKEN as error:
            yield Finding(package, f"does not load: {error}", "pip install 'footfall[worker]'")


def _device() -> Iterator[Finding]:
    try:
        from ..server.models.device import describe, pick_device
    except BROKEN as error:
        yield Finding("device", f"unknown: {error}", "Mend the packages above first.")
        return
    yield Finding("device", describe(pick_device("auto")))


def _bundles() -> Iterator[Finding]:
    try:
        from ..server.models.finding import installed
    except BROKEN as error:
        yield Finding("models", f"unknown: {error}", "Mend the packages above first.")
        return
    rows = [row for row in installed(models_folder()) if row.installed]
    yield Finding(
        "models",
        ", ".join(f"{row.name} ({' and '.join(row.makes) or 'a prior'})" for row in rows) or "none",
        "" if rows else "footfall models list shows what there is; footfall models pull NAME gets one.",
    )
    yield Finding("models folder", str(models_folder()))


def _blender() -> Iterator[Finding]:
    try:
        yield Finding("blender", str(find_blender()))
    except FootfallError as error:
        yield Finding("blender", "none, so .blend files cannot be read from the command line", error.sentence)


def _disk() -> Iterator[Finding]:
    folder = models_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    yield Finding(
        "disk",
        f"{free / 1e9:.0f} GB free",
        "" if free > FREE_BYTES else "Models need some GB; make room first.",
    )
