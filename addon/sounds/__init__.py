# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds: where their strips go, and their files: WAVs, layers as stems, timelines for other editors."""
