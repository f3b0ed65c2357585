# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bound of the protocol, in one place. Both ends import these numbers and no others."""

from __future__ import annotations

# One message
HEADER_BYTES = 4 * 1024 * 1024  # JSON header frame
HEADER_DEPTH = 12  # nesting of the JSON header
BUFFERS = 2_048  # raw frames behind the header
FRAME_BYTES = 768 * 1024 * 1024  # one ZeroMQ frame (ZMQ_MAXMSGSIZE)

# Texts, in characters
PROMPT = 10_000
WORDS = 200  # the words of one event, of one heard caption
NAME = 200  # bundle names, device names, labels
SENTENCE = 1_000
DETAIL = 20_000
JOB_ID = 32  # hexadecimal digits, exactly

# One request
FRAMES = 4_800  # 20 minutes at 4 frames a second
FRAME_SIDE = (8, 1_024)  # pixels
DURATION_S = 1_200
TAKES = 16
TAKE_SECONDS = 2_400  # takes x duration
EVENTS = 10_000
CUTS = 1_000
PULLS = 64
MOTION = 72_000  # small grey pictures: 20 minutes at 60 frames a second
MOTION_SIDE = (8, 560)  # pixels
DUCK_DB = 40.0
SEED = 2**63 - 1
STEPS = 1_000
GUIDANCE = 30.0
RATE_HZ = (8_000, 192_000)
LOUDNESS_LUFS = (-60.0, -5.0)

SOUND_SAMPLES = DURATION_S * 96_000  # of a sound that is to be pictured

# One result
CLIPS = 1_024
PICTURES = 1_024  # spans x takes
PICTURE_SIDE = (8, 1_024)  # pixels
HEARD = 64
WARNINGS = 32
BUNDLES = 64
