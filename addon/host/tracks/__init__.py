# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits read from a scene's own motion: what moves, what it meets, and when exactly."""
