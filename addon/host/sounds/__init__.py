# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds into the sequencer and out of it: placing, preview, mixdown, export."""
