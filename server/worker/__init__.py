# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a process: its socket, the session with its host, the engine that runs one job at a time, its
log and its end. Nothing here loads a model, so it answers while one works.
"""
