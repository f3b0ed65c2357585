# SPDX-License-Identifier: GPL-3.0-or-later
"""The synthetic world: shots whose sound, picture, words and hits are made here and so known exactly."""
