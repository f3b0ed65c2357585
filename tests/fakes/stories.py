# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's story, as it comes with every result, for tests that do not mind which."""

from __future__ import annotations

from footfall.addon.wire.messages import Provenance

MODEL = Provenance(
    bundle="starter",
    bundle_sha256="0" * 64,
    licence="CC0-1.0",
    commercial=True,
    mapper="bridge",
    version="0.1.0",
    device="CPU",
    dtype="float32",
    steps=20,
    guidance=2.5,
)
