# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits in the interface: marked, keyed or found, listed, edited and drawn."""
