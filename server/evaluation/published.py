# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that others published, measured on other data with other measures: to be read, not compared.

Only those are here that were found in a source of the authors; a figure that is not here was not verified.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A published row: what was measured on which data, and where it is printed."""

    system: str
    data: str
    figures: tuple[tuple[str, float], ...]
    source: str


_TABLE = "table of the V2A-Mapper's authors (Wang et al. 2024, arXiv:2308.09300)"
_VGGSOUND = "VGGSound, test"
_IMAGEHEAR = "ImageHear"
# FD: Fréchet distance of PANNs' rows; FAD: of VGGish's; CS: cosine of Wav2CLIP and CLIP ViT-B/32, times 100.
CLIPSONIC = (
    Published(
        system="CLIPSonic, IQ",
        data=_VGGSOUND,
        figures=(("FD", 27.124), ("FAD", 3.495), ("CS", 7.251)),
        source=_TABLE,
    ),
    Published(
        system="V2A-Mapper",
        data=_VGGSOUND,
        figures=(("FD", 24.168), ("FAD", 0.841), ("CS", 9.720)),
        source=_TABLE,
    ),
    Published(system="CLIPSonic, IQ", data=_IMAGEHEAR, figures=(("CS", 11.392),), source=_TABLE),
    Published(system="V2A-Mapper", data=_IMAGEHEAR, figures=(("CS", 11.950),), source=_TABLE),
)
NOT_VERIFIED = (
    "What CLIPSonic publishes for ZS, PD and training on labels, and AudioToken for AIS, IIS, AIC and FID, "
    "could not be verified here, so it is not repeated."
)
