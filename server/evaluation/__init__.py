# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring bundles, mappers and folders of sounds against the synthetic world's truth."""
