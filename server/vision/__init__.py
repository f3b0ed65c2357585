# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be read from small grey pictures alone: hits, flashes and cuts. No model, no torch."""
