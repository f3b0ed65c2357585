# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Worker: finding a Python, making the worker's environment, checking its packages."""
