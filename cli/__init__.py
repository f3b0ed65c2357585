# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line. It may import addon (never addon/host) and server; nothing imports it."""
