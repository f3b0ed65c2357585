# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the synthetic world: Blender scenes through bpy, in a process of their own."""
