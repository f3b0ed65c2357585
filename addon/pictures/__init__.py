# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of sounds: which parts get one, how they become files, and the story they carry."""
