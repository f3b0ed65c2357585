# SPDX-License-Identifier: GPL-3.0-or-later
"""Procedural Foley, one function for each family; numpy and scipy only."""
