# SPDX-License-Identifier: GPL-3.0-or-later
"""What a field of a message may hold: one spec checks, packs and unpacks it, so both ends agree.

A message class declares ``name: type = field(spec)``; ``check(self)`` in ``__post_init__`` applies every
spec. ``pack`` turns a value into plain JSON and lifts arrays into ``buffers`` without copying them;
``unpack`` is the strict inverse. Only Malformed (wrong kind) and LimitExceeded (beyond its bound) are raised.
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from .errors import LimitExceeded, Malformed
from .texts import FORBIDDEN, scrub

Buffer = bytes | bytearray | memoryview


class Incoming:
    """The raw frames behind a header: flat, read-only, and each to be used exactly once."""

    def __init__(self, frames: Sequence[memoryview] = ()) -> None:
        self._frames = frames
        self._used: set[int] = set()

    def take(self, name: str, index: Any) -> memoryview:
        """Frame ``index`` for the field ``name``. Raises Malformed."""
        if type(index) is not int or not 0 <= index < len(self._frames):
            raise Malformed(f"{name} names a buffer that is not there.")
        if index in self._used:
            raise Malformed(f"{name} names a buffer that another field holds.")
        self._used.add(index)
        return self._frames[index]

    def check_all_used(self) -> None:
        """Raises Malformed when a frame belongs to no field."""
        if len(self._used) != len(self._frames):
            raise Malformed("The message carries a buffer that no field names.")


class Spec(Protocol):
    """What one field may hold; see the module's docstring."""

    def check(self, name: str, value: Any) -> None: ...
    def pack(self, value: Any, buffers: list[memoryview]) -> Any: ...
    def unpack(self, name: str, plain: Any, buffers: Incoming) -> Any: ...


def field(spec: Spec, **options: Any) -> Any:
    """A dataclass field that carries its spec; ``options`` as for ``dataclasses.field``.

    A ``default`` is left out on the wire, so changing one changes the protocol. A factory's value is sent.
    """
    return dataclasses.field(metadata={"spec": spec}, **options)


def check(message: Any) -> None:
    """Apply every field's spec to ``message``. Raises Malformed or LimitExceeded."""
    for item in dataclasses.fields(message):
        item.metadata["spec"].check(item.name, getattr(message, item.name))


def pack_fields(message: Any, buffers: list[memoryview]) -> dict[str, Any]:
    """The fields of ``message`` as plain JSON; those that hold their default are left out."""
    plain = {}
    for item in dataclasses.fields(message):
        value = getattr(message, item.name)
        if item.default is dataclasses.MISSING or not _same(value, item.default):
            plain[item.name] = item.metadata["spec"].pack(value, buffers)
    return plain


def unpack_fields(kind: type, plain: Any, buffers: Incoming) -> Any:
    """An instance of ``kind`` from ``pack_fields``' output; an unknown or missing field is Malformed."""
    if not isinstance(plain, dict):
        raise Malformed(f"{kind.__name__} is not an object.")
    known = {item.name: item for item in dataclasses.fields(kind)}
    unknown = sorted(set(plain) - set(known))
    if unknown:
        raise Malformed(f"{kind.__name__} has unknown fields: {scrub(', '.join(unknown), 200)}.")
    missing = [n for n, i in known.items() if i.default is dataclasses.MISSING and n not in plain]
    if missing:
        raise Malformed(f"{kind.__name__} lacks {', '.join(missing)}.")
    values = {n: known[n].metadata["spec"].unpack(n, v, buffers) for n, v in plain.items()}
    return kind(**values)


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and not isinstance(value, np.ndarray) and value == default


@dataclasses.dataclass(frozen=True, slots=True)
class Integer:
    low: int
    high: int

    def check(self, name: str, value: Any) -> None:
        if type(value) is not int:
            raise Malformed(f"{name} must be a whole number.")
        if not self.low <= value <= self.high:
            raise LimitExceeded(f"{name} must lie between {self.low} and {self.high}.")

    def pack(self, value: int, buffers: list[memoryview]) -> int:
        return value

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> int:
        self.check(name, plain)
        return int(plain)


@dataclasses.dataclass(frozen=True, slots=True)
class Real:
    low: float
    high: float

    def check(self, name: str, value: Any) -> None:
        if type(value) not in (int, float):
            raise Malformed(f"{name} must be a number.")
        # NaN and the infinities fail the comparison; math.isfinite would overflow on a huge int.
        if not self.low <= value <= self.high:
            raise LimitExceeded(f"{name} must lie between {self.low:g} and {self.high:g}.")

    def pack(self, value: float, buffers: list[memoryview]) -> float:
        return value

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> float:
        self.check(name, plain)
        return plain  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True, slots=True)
class Rational:
    """A ``Fraction``, on the wire as ``[numerator, denominator]`` in lowest terms."""

    low: Fraction
    high: Fraction
    denominator: int = 2**31

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, Fraction):
            raise Malformed(f"{name} must be a fraction.")
        if not self.low <= value <= self.high or value.denominator > self.denominator:
            raise LimitExceeded(f"{name} must lie between {self.low} and {self.high}.")

    def pack(self, value: Fraction, buffers: list[memoryview]) -> list[int]:
        return [value.numerator, value.denominator]

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> Fraction:
        if not isinstance(plain, list) or len(plain) != 2 or any(type(n) is not int for n in plain):
            raise Malformed(f"{name} must be [numerator, denominator].")
        if abs(plain[0]) > 2**63 or not 0 < plain[1] <= self.denominator:
            raise LimitExceeded(f"{name} is out of bounds.")
        value = Fraction(plain[0], plain[1])
        if value.denominator != plain[1]:
            raise Malformed(f"{name} is not in lowest terms.")
        self.check(name, value)
        return value


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """Unicode without control characters other than newline and tab; ``pattern`` must match all of it."""

    most: int
    pattern: str = ""

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str):
            raise Malformed(f"{name} must be a text.")
        if len(value) > self.most:
            raise LimitExceeded(f"{name} may have at most {self.most} characters.")
        if FORBIDDEN.search(value):
            raise Malformed(f"{name} holds control characters.")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise Malformed(f"{name} has the wrong form.")

    def pack(self, value: str, buffers: list[memoryview]) -> str:
        return value

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> str:
        self.check(name, plain)
        return str(plain)


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    options: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, str) or value not in self.options:
            raise Malformed(f"{name} must be one of {', '.join(self.options)}.")

    def pack(self, value: str, buffers: list[memoryview]) -> str:
        return value

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> str:
        self.check(name, plain)
        return str(plain)


@dataclasses.dataclass(frozen=True, slots=True)
class Flag:
    def check(self, name: str, value: Any) -> None:
        if type(value) is not bool:
            raise Malformed(f"{name} must be true or false.")

    def pack(self, value: bool, buffers: list[memoryview]) -> bool:
        return value

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> bool:
        self.check(name, plain)
        return bool(plain)


@dataclasses.dataclass(frozen=True, slots=True)
class Array:
    """A C-contiguous array: ``dtype`` as numpy writes it (little-endian), ``shape`` as (low, high) per axis.

    Floats must be finite and lie within ``low`` to ``high``.
    """

    dtype: str
    shape: tuple[tuple[int, int], ...]
    low: float = -sys.float_info.max
    high: float = sys.float_info.max

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, np.ndarray) or value.dtype != np.dtype(self.dtype):
            raise Malformed(f"{name} must be an array of {np.dtype(self.dtype).name}.")
        self._check_shape(name, list(value.shape))
        if not value.flags.c_contiguous:
            raise Malformed(f"{name} must be contiguous.")
        if value.dtype.kind == "f" and value.size:
            # min and max pass NaN on and, unlike isfinite and abs, need no memory of their own.
            with np.errstate(all="ignore"):
                lowest, highest = float(value.min()), float(value.max())
            if not (self.low <= lowest and highest <= self.high):
                raise LimitExceeded(f"{name} must lie between {self.low:g} and {self.high:g} everywhere.")

    def _check_shape(self, name: str, shape: Any) -> None:
        if (
            not isinstance(shape, list)
            or len(shape) != len(self.shape)
            or any(type(n) is not int for n in shape)
        ):
            raise Malformed(f"{name} must have {len(self.shape)} axes.")
        for size, (low, high) in zip(shape, self.shape, strict=True):
            if not low <= size <= high:
                raise LimitExceeded(f"{name} has {size} entries on an axis that takes {low} to {high}.")

    def pack(self, value: np.ndarray, buffers: list[memoryview]) -> dict[str, Any]:
        buffers.append(value.reshape(-1).view(np.uint8).data if value.size else memoryview(b""))
        return {"shape": list(value.shape), "buffer": len(buffers) - 1}

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> np.ndarray:
        if not isinstance(plain, dict) or set(plain) != {"shape", "buffer"}:
            raise Malformed(f"{name} must be an array.")
        self._check_shape(name, plain["shape"])
        frame = buffers.take(name, plain["buffer"])
        dtype = np.dtype(self.dtype)
        if math.prod(plain["shape"]) * dtype.itemsize != frame.nbytes:
            raise Malformed(f"{name} does not fill its buffer.")
        value = np.frombuffer(frame, dtype).reshape(plain["shape"])
        self.check(name, value)
        return value


@dataclasses.dataclass(frozen=True, slots=True)
class Maybe:
    """A value of ``spec``, or None."""

    spec: Spec

    def check(self, name: str, value: Any) -> None:
        if value is not None:
            self.spec.check(name, value)

    def pack(self, value: Any, buffers: list[memoryview]) -> Any:
        return None if value is None else self.spec.pack(value, buffers)

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> Any:
        return None if plain is None else self.spec.unpack(name, plain, buffers)


@dataclasses.dataclass(frozen=True, slots=True)
class Nested:
    kind: type

    def check(self, name: str, value: Any) -> None:
        if type(value) is not self.kind:
            raise Malformed(f"{name} must be {self.kind.__name__}.")

    def pack(self, value: Any, buffers: list[memoryview]) -> dict[str, Any]:
        return pack_fields(value, buffers)

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> Any:
        return unpack_fields(self.kind, plain, buffers)


@dataclasses.dataclass(frozen=True, slots=True)
class Many:
    """A tuple of at most ``most`` values of one spec."""

    spec: Spec
    most: int

    def check(self, name: str, value: Any) -> None:
        if not isinstance(value, tuple):
            raise Malformed(f"{name} must be a list.")
        if len(value) > self.most:
            raise LimitExceeded(f"{name} may have at most {self.most} entries.")
        for entry in value:
            self.spec.check(name, entry)

    def pack(self, value: tuple[Any, ...], buffers: list[memoryview]) -> list[Any]:
        return [self.spec.pack(entry, buffers) for entry in value]

    def unpack(self, name: str, plain: Any, buffers: Incoming) -> tuple[Any, ...]:
        if not isinstance(plain, list):
            raise Malformed(f"{name} must be a list.")
        if len(plain) > self.most:
            raise LimitExceeded(f"{name} may have at most {self.most} entries.")
        return tuple(self.spec.unpack(name, entry, buffers) for entry in plain)
