# SPDX-License-Identifier: GPL-3.0-or-later
"""The Footfall tab: its rows, presets, and whether its button can be pressed."""
