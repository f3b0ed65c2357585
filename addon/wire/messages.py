# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages that add-on and worker exchange, and the two request objects.

``FoleyRequest`` holds everything that can change a sound, ``PictureRequest`` everything that can change a
picture of a sound: the same request, bundle and device give the same samples and pixels. No message carries a
path or a URL; sounds and pictures travel by value. Every field is bounded by its spec, and the bounds are
applied whenever a message is made, so they hold at both ends.

Add-on to worker: Hello, Submit, SubmitPicture, Cancel, Received, Ping, Shutdown.
Worker to add-on: Ready, Accepted, Progress, Result, PictureResult, Failed, CancelReply, Pong.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from . import limits
from .errors import LimitExceeded, Malformed
from .fields import Array, Choice, Flag, Integer, Many, Maybe, Nested, Rational, Real, Text, check, field

PROTOCOL_MAJOR = 4  # another major version is refused
PROTOCOL_MINOR = 0

QUALITIES = ("draft", "good", "best")
MAPPERS = ("auto", "bridge", "regression", "generative")
MAPPERS_USED = (*MAPPERS, "none")  # none: nothing led from the picture space to that of sounds
MAKES = ("sound", "pictures")
RANKS = ("", "round-trip")
LAYERS = ("bed", "spots")
SPOTS_AS = ("each", "mixed")
CONDITIONS = ("picture", "clap_text", "clip_text", "clip_text_prior")
PHASES = ("queued", "loading", "looking", "mapping", "sampling", "decoding", "finishing")
WORKER_STATES = ("idle", "loading", "busy")

_JOB_ID = Text(limits.JOB_ID, r"[0-9a-f]{32}")
_UNIT = Real(0.0, 1.0)
_SECONDS = Rational(Fraction(0), Fraction(limits.DURATION_S))
_COUNT = Integer(0, 2**53)
# Filled in by a factory: a plain default is left out on the wire, and each end would read its own number.
_VERSION = Integer(0, 2**31)


class Message:
    """Base of everything that travels; ``__post_init__`` applies every field's bound."""

    __slots__ = ()

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Message):
    """One hit: when (seconds from the start of the shot), how hard (0..1), what, and where it is heard.

    place: where it is seen, as (across, down, size): from the picture's top left, 0..1, and the share of the
    picture's height that the thing takes; empty where that is not known.
    """

    time_s: Fraction = field(_SECONDS)
    kind: str = field(Text(limits.NAME), default="hit")
    words: str = field(Text(limits.WORDS), default="")
    strength: float = field(_UNIT, default=1.0)
    pan: float = field(Real(-1.0, 1.0), default=0.0)
    distance_m: float = field(Real(0.0, 1e6), default=0.0)
    place: tuple[float, ...] = field(Many(_UNIT, 3), default=())

    def __post_init__(self) -> None:
        check(self)
        if len(self.place) not in (0, 3):
            raise Malformed("A place in the picture has three numbers: across, down, size.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull(Message):
    """Words that a sound is pulled towards (up to 1) or pushed away from (down to -1: banned)."""

    words: str = field(Text(limits.WORDS))
    weight: float = field(Real(-1.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoleyRequest(Message):
    """Everything that can change the sound.

    frames: (T, H, W, 3) uint8 sRGB, T may be 0 when ``condition`` is a text;
    times_s: (T,) float64, seconds from the start of the shot, rising;
    duration_s: exact length of the sound; the result has ``round(duration_s * rate_hz)`` samples.
    ``steps`` 0 and ``guidance`` 0.0 mean: as the quality says.

    Hits: motion (T', h, w) uint8 grey, small pictures at ``motion_rate`` a second from the start of the shot.
    The worker finds hits and cuts in them, leaves out those weaker than ``least_strength``, and adds the
    rest to ``events`` and ``cuts``. With ``motion`` and no layer it does nothing else.
    Spots: a clip for each hit or one for each kind (``spots_as``). Bed: ``background`` says what it is to be
    like, and ``prompt`` then pushes the spots alone, unless ``in_sync``; ``cuts`` (seconds) switch it at once
    where ``hard_cuts``, ``duck_db`` lowers it under spots, ``in_sync`` shapes it by the hits, ``loop``
    joins its end to its start. rank: "" takes as they come; round-trip: first the one whose picture looks
    most like the shot. Takes are numbered from ``first_take``, and their number decides their noise;
    ``vary`` turns it towards that of ``vary_seed``.
    """

    frames: np.ndarray = field(
        Array("|u1", ((0, limits.FRAMES), limits.FRAME_SIDE, limits.FRAME_SIDE, (3, 3)))
    )
    times_s: np.ndarray = field(Array("<f8", ((0, limits.FRAMES),), 0.0, limits.DURATION_S))
    duration_s: Fraction = field(Rational(Fraction(1, 100), Fraction(limits.DURATION_S)))
    prompt: str = field(Text(limits.PROMPT), default="")
    negative_prompt: str = field(Text(limits.PROMPT), default="")
    background: str = field(Text(limits.PROMPT), default="")
    nudge: float = field(_UNIT, default=0.5)
    condition: str = field(Choice(CONDITIONS), default="picture")
    takes: int = field(Integer(1, limits.TAKES), default=1)
    seed: int = field(Integer(0, limits.SEED), default=0)
    quality: str = field(Choice(QUALITIES), default="good")
    bundle: str = field(Text(limits.NAME), default="starter")
    mapper: str = field(Choice(MAPPERS), default="auto")
    layers: tuple[str, ...] = field(Many(Choice(LAYERS), len(LAYERS)), default=("bed",))
    events: tuple[Event, ...] = field(Many(Nested(Event), limits.EVENTS), default=())
    steps: int = field(Integer(0, limits.STEPS), default=0)
    guidance: float = field(Real(0.0, limits.GUIDANCE), default=0.0)
    rate_hz: int = field(Integer(*limits.RATE_HZ), default=48_000)
    loudness_lufs: float = field(Real(*limits.LOUDNESS_LUFS), default=-23.0)
    pulls: tuple[Pull, ...] = field(Many(Nested(Pull), limits.PULLS), default=())
    first_take: int = field(Integer(0, limits.TAKES - 1), default=0)
    vary: float = field(_UNIT, default=0.0)
    vary_seed: int = field(Integer(0, limits.SEED), default=0)
    motion: np.ndarray | None = field(
        Maybe(Array("|u1", ((1, limits.MOTION), limits.MOTION_SIDE, limits.MOTION_SIDE))), default=None
    )
    motion_rate: Fraction = field(Rational(Fraction(1, 10), Fraction(1_000)), default=Fraction(24))
    least_strength: float = field(_UNIT, default=0.0)
    spots_as: str = field(Choice(SPOTS_AS), default="each")
    cuts: tuple[Fraction, ...] = field(Many(_SECONDS, limits.CUTS), default=())
    hard_cuts: bool = field(Flag(), default=False)
    duck_db: float = field(Real(0.0, limits.DUCK_DB), default=0.0)
    in_sync: bool = field(Flag(), default=False)
    loop: bool = field(Flag(), default=False)
    rank: str = field(Choice(RANKS), default="")

    @property
    def only_looks(self) -> bool:
        """Asks for hits and cuts, and for no sound."""
        return self.motion is not None and not self.layers

    def __post_init__(self) -> None:
        check(self)
        if len(self.times_s) != len(self.frames):
            raise Malformed("Each frame needs its time.")
        if bool((np.diff(self.times_s) <= 0).any()):
            raise Malformed("The times of the frames must rise from the start of the shot.")
        if self.condition == "picture" and not len(self.frames) and not self.only_looks:
            raise Malformed("There is no picture to listen to.")
        if self.first_take + self.takes > limits.TAKES:
            raise LimitExceeded(f"Takes are numbered up to {limits.TAKES}; ask for fewer.")
        if self.takes * self.duration_s > limits.TAKE_SECONDS:
            raise LimitExceeded(
                f"Takes times length may be at most {limits.TAKE_SECONDS} seconds; ask for fewer takes."
            )
        if len(set(self.layers)) != len(self.layers) or not (self.layers or self.only_looks):
            raise Malformed("At least one layer is needed, each once.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PictureRequest(Message):
    """Everything that can change the pictures of a sound.

    waveform: (samples,) float32 in [-1, 1], one channel. A picture is made of each span, from ``starts_s`` to
    ``ends_s`` (seconds, the end not included), in each of ``takes``. words: what stands before the sound's
    own word. bundle: whose CLAP listens; pictures: the bundle that paints, "" for the same.
    ``steps`` 0 and ``guidance`` 0.0 mean: as the quality says.
    """

    waveform: np.ndarray = field(Array("<f4", ((1, limits.SOUND_SAMPLES),), -1.0, 1.0))
    rate_hz: int = field(Integer(*limits.RATE_HZ))
    starts_s: tuple[Fraction, ...] = field(Many(_SECONDS, limits.PICTURES))
    ends_s: tuple[Fraction, ...] = field(Many(_SECONDS, limits.PICTURES))
    words: str = field(Text(limits.PROMPT), default="a photo of a")
    takes: int = field(Integer(1, limits.TAKES), default=1)
    seed: int = field(Integer(0, limits.SEED), default=0)
    quality: str = field(Choice(QUALITIES), default="good")
    steps: int = field(Integer(0, limits.STEPS), default=0)
    guidance: float = field(Real(0.0, limits.GUIDANCE), default=0.0)
    bundle: str = field(Text(limits.NAME), default="starter")
    pictures: str = field(Text(limits.NAME), default="")

    @property
    def duration_s(self) -> Fraction:
        """Of the sound."""
        return Fraction(len(self.waveform), self.rate_hz)

    def __post_init__(self) -> None:
        check(self)
        if self.duration_s > limits.DURATION_S:
            raise LimitExceeded(f"A sound may last {limits.DURATION_S} seconds; choose a part of it.")
        if not self.starts_s or len(self.starts_s) != len(self.ends_s):
            raise Malformed("Each picture needs the start and the end of its part of the sound.")
        for start_s, end_s in zip(self.starts_s, self.ends_s, strict=True):
            if not start_s < end_s <= self.duration_s:
                raise Malformed("Each part must end after it begins, and within the sound.")
        if self.takes * len(self.starts_s) > limits.PICTURES:
            raise LimitExceeded(f"{limits.PICTURES} pictures are the most at once; ask for fewer.")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleInfo(Message):
    """A model bundle as the panel lists it. ``mappers``: those that this bundle can use.

    makes: of MAKES; queries: the conditions of a FoleyRequest that it can serve; paints_sounds: it has what
    leads from a sound to a picture.
    """

    name: str = field(Text(limits.NAME))
    title: str = field(Text(limits.NAME), default="")
    licence: str = field(Text(limits.NAME), default="")
    commercial: bool = field(Flag(), default=False)
    installed: bool = field(Flag(), default=True)
    mappers: tuple[str, ...] = field(Many(Choice(MAPPERS), len(MAPPERS)), default=("bridge",))
    size_bytes: int = field(_COUNT, default=0)
    makes: tuple[str, ...] = field(Many(Choice(MAKES), len(MAKES)), default=("sound",))
    queries: tuple[str, ...] = field(Many(Choice(CONDITIONS), len(CONDITIONS)), default=("picture",))
    paints_sounds: bool = field(Flag(), default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard(Message):
    """One caption that the picture called to mind, with its softmax weight."""

    words: str = field(Text(limits.WORDS))
    weight: float = field(_UNIT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip(Message):
    """One sound. waveform: (samples, channels) float32 in [-1, 1]; ``start_s`` from the start of the shot.

    event: number of its hit among the result's events, group: of the kind of hit; -1 for none or many.
    """

    take: int = field(Integer(0, limits.TAKES - 1))
    layer: str = field(Choice(LAYERS))
    start_s: Fraction = field(_SECONDS)
    rate_hz: int = field(Integer(*limits.RATE_HZ))
    waveform: np.ndarray = field(
        Array("<f4", ((1, limits.DURATION_S * limits.RATE_HZ[1]), (1, 2)), -1.0, 1.0)
    )
    label: str = field(Text(limits.NAME), default="")
    score: float = field(Real(-1.0, 1.0), default=0.0)
    event: int = field(Integer(-1, limits.EVENTS - 1), default=-1)
    group: int = field(Integer(-1, limits.EVENTS - 1), default=-1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture(Message):
    """One picture. pixels: (H, W, 3) uint8 sRGB, top row first; span: number of its part of the sound.

    score: how well it fits its sound, where that was judged; 0 otherwise.
    """

    span: int = field(Integer(0, limits.PICTURES - 1))
    take: int = field(Integer(0, limits.TAKES - 1))
    pixels: np.ndarray = field(Array("|u1", (limits.PICTURE_SIDE, limits.PICTURE_SIDE, (3, 3))))
    score: float = field(Real(-1.0, 1.0), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance(Message):
    """Which model made the sound or the pictures, for the strip's own story."""

    bundle: str = field(Text(limits.NAME))
    bundle_sha256: str = field(Text(64, r"[0-9a-f]{64}"))
    licence: str = field(Text(limits.NAME))
    commercial: bool = field(Flag())
    mapper: str = field(Choice(MAPPERS_USED))
    version: str = field(Text(limits.NAME))
    device: str = field(Text(limits.NAME))
    dtype: str = field(Text(limits.NAME))
    steps: int = field(Integer(1, limits.STEPS))
    guidance: float = field(Real(0.0, limits.GUIDANCE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """First message of the add-on; answered by Ready."""

    major: int = field(_VERSION, default_factory=lambda: PROTOCOL_MAJOR)
    minor: int = field(_VERSION, default_factory=lambda: PROTOCOL_MINOR)
    version: str = field(Text(limits.NAME))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready(Message):
    major: int = field(_VERSION, default_factory=lambda: PROTOCOL_MAJOR)
    minor: int = field(_VERSION, default_factory=lambda: PROTOCOL_MINOR)
    version: str = field(Text(limits.NAME))
    device: str = field(Text(limits.NAME))
    bundles: tuple[BundleInfo, ...] = field(Many(Nested(BundleInfo), limits.BUNDLES), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(Message):
    job_id: str = field(_JOB_ID)
    request: FoleyRequest = field(Nested(FoleyRequest))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPicture(Message):
    job_id: str = field(_JOB_ID)
    request: PictureRequest = field(Nested(PictureRequest))


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Message):
    """The worker has the job. A second submission of the same job_id is accepted again and run once."""

    job_id: str = field(_JOB_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Message):
    """``fraction`` never runs backwards and reaches 1 only with the result; ``left_s`` -1: not known yet."""

    job_id: str = field(_JOB_ID)
    phase: str = field(Choice(PHASES))
    fraction: float = field(_UNIT)
    left_s: float = field(Real(-1.0, 1e7), default=-1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Message):
    """events, cuts: all that were used: the request's own, and those that were found."""

    job_id: str = field(_JOB_ID)
    clips: tuple[Clip, ...] = field(Many(Nested(Clip), limits.CLIPS))
    provenance: Provenance = field(Nested(Provenance))
    heard: tuple[Heard, ...] = field(Many(Nested(Heard), limits.HEARD), default=())
    warnings: tuple[str, ...] = field(Many(Text(limits.SENTENCE), limits.WARNINGS), default=())
    events: tuple[Event, ...] = field(Many(Nested(Event), limits.EVENTS), default=())
    cuts: tuple[Fraction, ...] = field(Many(_SECONDS, limits.CUTS), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureResult(Message):
    """The answer to a PictureRequest: by span, then by take."""

    job_id: str = field(_JOB_ID)
    pictures: tuple[Picture, ...] = field(Many(Nested(Picture), limits.PICTURES))
    provenance: Provenance = field(Nested(Provenance))
    warnings: tuple[str, ...] = field(Many(Text(limits.SENTENCE), limits.WARNINGS), default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Message):
    """The job ended without a result; ``code`` as in errors.py (``cancelled`` included)."""

    job_id: str = field(_JOB_ID)
    code: str = field(Text(64, r"[a-z_]+"))
    sentence: str = field(Text(limits.SENTENCE))
    detail: str = field(Text(limits.DETAIL), default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Message):
    job_id: str = field(_JOB_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReply(Message):
    """Sent at once by the transport thread; Failed(cancelled) follows ``cancelled`` when the engine stops."""

    job_id: str = field(_JOB_ID)
    outcome: str = field(Choice(("cancelled", "not_running", "unknown")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(Message):
    """The add-on holds the result; the worker may forget it."""

    job_id: str = field(_JOB_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Message):
    number: int = field(_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Message):
    """Sent by a thread that is not the model's. ``steps_done`` rises with every sign of life."""

    number: int = field(_COUNT)
    state: str = field(Choice(WORKER_STATES))
    steps_done: int = field(_COUNT)
    memory_bytes: int = field(_COUNT, default=0)
    device_memory_bytes: int = field(_COUNT, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown(Message):
    """End cleanly; a running job is cancelled."""


Request = FoleyRequest | PictureRequest
Made = Result | PictureResult  # how a job ends that went well

MESSAGES: dict[str, type[Message]] = {
    kind.__name__: kind
    for kind in (
        Hello,
        Submit,
        SubmitPicture,
        Cancel,
        Received,
        Ping,
        Shutdown,
        Ready,
        Accepted,
        Progress,
        Result,
        PictureResult,
        Failed,
        CancelReply,
        Pong,
    )
}
