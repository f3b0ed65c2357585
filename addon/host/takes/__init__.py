# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a strip: heard, swapped, asked for, compared, collected and deleted."""
