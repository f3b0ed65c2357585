# SPDX-License-Identifier: GPL-3.0-or-later
"""One file per model; shapes in the docstrings."""
