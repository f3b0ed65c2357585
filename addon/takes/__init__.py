# SPDX-License-Identifier: GPL-3.0-or-later
"""The takes of a strip: their history, the story each carries, and how new takes join a strip."""
