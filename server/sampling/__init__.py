# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure functions: schedules, solvers, guidance, windows."""
