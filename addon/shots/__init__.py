# SPDX-License-Identifier: GPL-3.0-or-later
"""The shots of a file, and their pictures as numbers: model frames, small grey pictures, fingerprints."""
