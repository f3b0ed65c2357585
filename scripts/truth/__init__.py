# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender scenes whose hits are known exactly, made from a seed, and what measures a reader of hits by them.

Seeds 1000 to 1999 are only ever measured; the others are for tuning.
"""
