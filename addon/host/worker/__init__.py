# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker in the interface: set-up, state, models, and what goes to the clipboard."""
