# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: a synthetic world to learn from, one loop, one module for each part of a bundle."""
