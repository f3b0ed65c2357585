# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of shots and the batch of the open file."""
