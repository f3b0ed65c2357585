# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol shared by add-on and worker: standard library and numpy only, no clocks, no threads, no sockets."""
