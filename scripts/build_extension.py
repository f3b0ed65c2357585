# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the two extension zips into dist/, with Blender's own validator and builder.

Blender 4.2 to 5.0 run Python 3.11 and take cp311 wheels, 5.1 upward take cp312-abi3 wheels, and one zip that
holds both is refused by the newer ones, hence two. ``blender_manifest.toml`` is the one source: each zip's
manifest is that file with its own version range and wheel list.

    python scripts/build_extension.py [--out DIR] [--blender EXECUTABLE]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORMS = ("win_amd64", "win_arm64", "macosx_10_15_universal2", "manylinux_2_28_x86_64")
SHIPPED_FOLDERS = ("addon", "server", "cli")
SHIPPED_FILES = ("__init__.py", "pyproject.toml", "LICENSE", "README.md", "SECURITY.md")
MOST_BYTES = 60_000_000  # a zip beyond this holds something that should not ship


@dataclass(frozen=True)
class Package:
    """One of the two zips: its name, Blender range (maximum exclusive) and the wheels' Python."""

    suffix: str
    blender_min: str
    blender_max: str
    python: str
    abi: str


PACKAGES = (
    Package("blender-4.2-5.0", "4.2.0", "5.1.0", "3.11", "cp311"),
    Package("blender-5.1", "5.1.0", "", "3.12", "abi3"),
)


def download_wheels(package: Package, folder: Path) -> list[Path]:
    """The pinned pyzmq wheels for every platform; pip checks each against its sha256 in wheels.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    for platform in PLATFORMS:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--require-hashes", "--requirement", str(ROOT / "scripts" / "wheels.txt")]
        command += ["--python-version", package.python, "--implementation", "cp", "--abi", package.abi]
        subprocess.run([*command, "--platform", platform, "--dest", str(folder)], check=True)
    return sorted(folder.glob("*.whl"))


def manifest_for(package: Package, wheels: list[Path], source: str) -> str:
    """``source`` with this package's range and wheels; only those lines differ."""
    text = re.sub(
        r"^blender_version_min = .*$", f'blender_version_min = "{package.blender_min}"', source, flags=re.M
    )
    if package.blender_max:
        line = f'blender_version_min = "{package.blender_min}"'
        text = text.replace(line, f'{line}\nblender_version_max = "{package.blender_max}"')
    listed = "".join(f'  "./wheels/{wheel.name}",\n' for wheel in wheels)
    head, mark, tail = text.partition("\n[")  # top-level keys end at the first table
    return f"{head}\nwheels = [\n{listed}]\n{mark}{tail}"


def stage(package: Package, folder: Path, wheel_cache: Path) -> None:
    """Copy what ships, and nothing else, into ``folder``."""
    for name in SHIPPED_FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in SHIPPED_FILES:
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, folder / name)
    wheels = download_wheels(package, wheel_cache / package.abi)
    (folder / "wheels").mkdir()
    for wheel in wheels:
        shutil.copy2(wheel, folder / "wheels" / wheel.name)
    source = (ROOT / "blender_manifest.toml").read_text("utf-8")
    (folder / "blender_manifest.toml").write_text(manifest_for(package, wheels, source), "utf-8")


def extension_command(blender: str) -> list[str]:
    """Blender's extension tool: of the given executable, or the same script inside the bpy module."""
    if blender:
        return [blender, "--command", "extension"]
    spec = importlib.util.find_spec("bpy")
    if spec is None or spec.origin is None:
        sys.exit("Neither a Blender executable (--blender, FOOTFALL_BLENDER) nor the bpy module is here.")
    found = sorted(Path(spec.origin).parent.glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if not found:
        sys.exit("The bpy module holds no extension tool; name a Blender executable with --blender.")
    return [sys.executable, str(found[-1])]


def build(package: Package, out: Path, tool: list[str], wheel_cache: Path) -> Path:
    version = re.search(r'^version = "(.+)"$', (ROOT / "blender_manifest.toml").read_text("utf-8"), re.M)
    if version is None:
        sys.exit("blender_manifest.toml names no version.")
    target = out / f"footfall-{version[1]}-{package.suffix}.zip"
    with tempfile.TemporaryDirectory(dir=out) as temporary:
        folder = Path(temporary) / "footfall"
        folder.mkdir()
        stage(package, folder, wheel_cache)
        for words in (
            ["validate", str(folder)],
            ["build", "--source-dir", str(folder), "--output-filepath", str(target)],
        ):
            done = subprocess.run([*tool, *words], capture_output=True, text=True)
            if done.returncode or "FATAL" in done.stdout + done.stderr:
                sys.exit(f"Blender's extension tool refused {target.name}:\n{done.stdout}{done.stderr}")
    check(target)
    return target


def check(zipped: Path) -> None:
    """The zip is whole, small, and holds no tests, caches or private files."""
    with zipfile.ZipFile(zipped) as archive:
        names = archive.namelist()
        broken = archive.testzip()
    unwanted = [n for n in names if re.search(r"(^|/)(tests|scripts|__pycache__|\.git)(/|$)", n)]
    if broken or unwanted:
        sys.exit(f"{zipped.name} is broken ({broken}) or holds {unwanted[:5]}.")
    if zipped.stat().st_size > MOST_BYTES:
        sys.exit(f"{zipped.name} has {zipped.stat().st_size:,} bytes; at most {MOST_BYTES:,} may ship.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--blender", default=os.environ.get("FOOTFALL_BLENDER", ""), help="Blender executable"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    tool = extension_command(options.blender)
    for package in PACKAGES:
        made = build(package, options.out, tool, ROOT / "build" / "wheels")
        print(f"{made}  {made.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
