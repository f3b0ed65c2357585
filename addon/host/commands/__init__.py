# SPDX-License-Identifier: GPL-3.0-or-later
"""Footfall without a window: ``--command footfall``, batches, farms, and the ways to start them."""
