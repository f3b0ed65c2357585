# SPDX-License-Identifier: GPL-3.0-or-later
"""From a request to its sounds or pictures: what one job does with the models, page by page."""
