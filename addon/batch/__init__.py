# SPDX-License-Identifier: GPL-3.0-or-later
"""Many shots: their order, what is asked, the journal of what is made, and folders for farms."""
