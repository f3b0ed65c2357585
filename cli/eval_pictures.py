# SPDX-License-Identifier: GPL-3.0-or-later
"""``footfall eval --compare audiotoken``, ``round-trip``: what pictures of held-out sounds show."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..addon.folders import models_folder
from ..addon.wire.errors import WrongUsage

Measured = tuple[dict[str, Any], str, Callable[[Path], list[Path]]]  # plain, in words, how to draw it


def measure(
    options: argparse.Namespace, work: Path, model: str, say: Callable[[str, float, float | None], None]
) -> Measured:
    """Raises FootfallError."""
    from ..server.evaluation import picture_tables, pictures, ranking
    from ..server.evaluation.picture_systems import Painting

    plan = pictures.PicturePlan(
        work=work,
        models_dir=models_folder(),
        model=_one(options.model, "--model") or model,
        ears=options.ears or "",
        most=options.limit,
        device=options.device,
        painting=Painting(
            seed=options.seed,
            steps=_one(options.steps, "--steps") or 0,
            guidance=_one(options.guidance, "--guidance") or 0.0,
        ),
    )
    if options.compare == "round-trip":
        ranked = ranking.run(plan, say)
        return ranking.plain(ranked), ranking.markdown(ranked), lambda out: ranking.draw(ranked, out)
    report = pictures.run(plan, say)
    plain, words = picture_tables.plain(report), picture_tables.markdown(report)
    return plain, words, lambda out: picture_tables.draw(report, out)


def _one(values: list[Any], name: str) -> Any:
    if len(values) > 1:
        raise WrongUsage(f"Pictures are measured with one {name} at a time; give it once.")
    return values[0] if values else None
