# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol shared by add-on and worker: standard library and numpy only, no clocks, threads or sockets.

Importing this package loads none of its modules (and so no numpy): enabling the extension stays quick.
"""

__all__ = [
    "auth",
    "codec",
    "errors",
    "exits",
    "fields",
    "handshake",
    "limits",
    "liveness",
    "messages",
    "strict_json",
    "texts",
    "version",
]
