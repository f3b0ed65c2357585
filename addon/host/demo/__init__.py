# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo shot, built from nothing."""
