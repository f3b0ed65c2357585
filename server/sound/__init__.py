# SPDX-License-Identifier: GPL-3.0-or-later
"""From raw vocoder output to finished sound: offset, rate, loudness, layers."""
