# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker: its own process and environment, the only place that imports torch; never bpy."""
