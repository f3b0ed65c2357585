# SPDX-License-Identifier: GPL-3.0-or-later
"""For a Blender that does not have the extension: ``blender -b FILE --python bootstrap.py -- generate …``.

Loads this checkout as the package ``footfall`` without touching sys.path, runs the words behind ``--``, and
ends
Blender with the exit code. An extension that is enabled already is switched off first, in this process only.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
NAME = "footfall"


def load_package() -> None:
    """Make ROOT importable as ``footfall``."""
    if NAME in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{ROOT} is not the folder of Footfall")
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)


def switch_off_extension() -> None:
    """Take back what an installed Footfall has registered; its preferences stay."""
    for name, module in list(sys.modules.items()):
        if name.startswith("bl_ext.") and name.endswith(f".{NAME}.addon.host.registration"):
            module.unregister()


def main() -> int:
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    switch_off_extension()
    load_package()
    background = importlib.import_module(f"{NAME}.addon.host.commands.background")
    return int(background.run(words, "blender -b FILE.blend --python bootstrap.py --"))


if __name__ == "__main__":
    sys.exit(main())
