# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as the add-on sees it: the client and its thread, the process, its life, what it reports."""
