# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender scenes whose hits are known exactly, made from a seed, and what measures a reader of hits by them.

Seeds 0 to 999 are for tuning; those from 1000 on are only ever measured.
"""
