# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a shot out of Blender: the routes, the stage they share, and what is put back afterwards."""
