# SPDX-License-Identifier: GPL-3.0-or-later
"""Which bundles there are: one by its name, and all that can be chosen."""

from __future__ import annotations

import logging
from pathlib import Path

from ...addon.wire import limits
from ...addon.wire.errors import FootfallError, ModelMissing
from ...addon.wire.messages import BundleInfo
from . import manifest, registry
from .bundle import STARTER, STARTER_ROOT, Bundle, open_bundle

log = logging.getLogger(__name__)


def find_bundle(name_or_dir: str | Path, models_dir: Path, *, paths: bool = False) -> Bundle:
    """A bundle by name: a folder of ``models_dir``, or ``starter`` that ships with Footfall.

    ``models_dir`` comes first: whoever names a folder that is called ``starter`` means that one.
    A ``Path`` is a bundle's own folder; a text is taken for a folder only if ``paths`` says so, because names
    arrive over the wire and a message never carries a path. Raises ModelMissing, ModelRefused.
    """
    if isinstance(name_or_dir, Path):
        return open_bundle(name_or_dir)
    if manifest.NAME.fullmatch(name_or_dir):
        if (models_dir / name_or_dir / manifest.FILE).is_file():
            return open_bundle(models_dir / name_or_dir)
        if name_or_dir == STARTER and (STARTER_ROOT / manifest.FILE).is_file():
            return open_bundle(STARTER_ROOT)
    if paths and Path(name_or_dir).expanduser().is_dir():
        return open_bundle(Path(name_or_dir))
    raise ModelMissing(_how_to_get(name_or_dir, models_dir))


def installed(models_dir: Path) -> list[BundleInfo]:
    """What can be chosen: the starter, what is in ``models_dir``, then public bundles not yet pulled."""
    own = [models_dir / STARTER, STARTER_ROOT]  # as find_bundle chooses
    roots = [root for root in own if (root / manifest.FILE).is_file()][:1]
    if models_dir.is_dir():
        roots += sorted(path.parent for path in models_dir.glob(f"[!.]*/{manifest.FILE}"))
    found: dict[str, BundleInfo] = {}
    for root in roots:
        if root.name in found or not manifest.NAME.fullmatch(root.name):
            continue
        try:
            found[root.name] = open_bundle(root).info()
        except FootfallError as error:
            log.warning("not usable: %s: %s %s", root, error.sentence, error.detail)
            found[root.name] = BundleInfo(name=root.name, title=f"{root.name} (damaged)", installed=False)
    for row in registry.rows():
        found.setdefault(row.name, row.info())
    return list(found.values())[: limits.BUNDLES]


def _how_to_get(name: str, models_dir: Path) -> str:
    short = name[:80]
    if any(row.name == name for row in registry.rows()):
        return f"The model {short} is not on this machine; get it with: footfall models pull {short}"
    return f"There is no model named {short!r} in {models_dir}; see what there is with: footfall models list"
