# SPDX-License-Identifier: GPL-3.0-or-later
"""Hits from motion, as numbers only: no Blender here, so that each rule can be tested by itself.

``watch`` finds sharp turns in many paths at once, ``arcs`` when exactly a path turns, ``passes`` what rushes
by the camera, ``merge`` which findings are one hit and makes events of them, ``words`` names out of names.
All times are in frames, all speeds in lengths per frame, unless said otherwise.
"""
