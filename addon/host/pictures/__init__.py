# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture This Sound: orders, reading the sound, and placing the pictures."""
