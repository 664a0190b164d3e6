"""What a fuzz target is, and how its input is varied: once, for Hypothesis and for atheris."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec

BYTES_MAX = 8192
"""Of an input: more says nothing that this does not."""
ROUNDS_MAX = 4
"""So many changes are made at once, at most."""
DEPTH_MAX = 24
"""Deeper than this nobody looks into a value for something to change."""

NUMBERS = (0, 1, -1, 127, 255, 4095, 4096, *(2**n + k for n in (15, 16, 31, 32, 47, 48, 62, 63) for k in (-1, 0, 1)))
NUMBERS_MAX = 2**64 - 1

Vary = Callable[[bytes, Random], bytes]


class Target(NamedTuple):
    name: str
    check: Callable[[bytes], None]
    """Whatever it raises is a fault: in what is tested, if not in the test."""
    seeds: Sequence[bytes]
    """Input that is in order, to begin with; and what once was a fault."""
    words: Sequence[bytes] = ()
    """What is put into an input where chance would not find it."""
    is_msgpack: bool = False
    """Its input has a structure that can be changed without breaking all of it."""
    share: int = 1
    """Of the time of `make fuzz`."""
    examples: int = 60
    """That Hypothesis tries in `make test`."""

    def varied(self, data: bytes, rng: Random) -> bytes:
        """Something like `data`."""
        for _ in range(rng.randint(1, ROUNDS_MAX)):
            if self.is_msgpack and rng.randint(0, 3):
                data = _with_other_structure(data, rng)
            else:
                data = rng.choice(_OF_BYTES)(self, data, rng)
        return data[:BYTES_MAX]


def _place(data: bytes, rng: Random) -> int:
    return rng.randint(0, len(data))


def _stretch(data: bytes, rng: Random) -> tuple[int, int]:
    start = _place(data, rng)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 64)))


def _with_word(target: Target, data: bytes, rng: Random) -> bytes:
    start, stop = _stretch(data, rng)
    word = rng.choice(target.words) if target.words else bytes([rng.randint(0, 255)])
    return data[:start] + word + data[stop if rng.randint(0, 1) else start :]


def _with_byte(_: Target, data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + bytes([rng.randint(0, 255)]) + data[start + 1 :]


def _without(_: Target, data: bytes, rng: Random) -> bytes:
    start, stop = _stretch(data, rng)
    return data[:start] + data[stop:]


def _twice(_: Target, data: bytes, rng: Random) -> bytes:
    start, stop = _stretch(data, rng)
    return data[:stop] + data[start:]


def _crossed(target: Target, data: bytes, rng: Random) -> bytes:
    """With the end of another seed."""
    other = rng.choice(target.seeds)
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def _followed(target: Target, data: bytes, rng: Random) -> bytes:
    return data + rng.choice(target.seeds)


_OF_BYTES = (_with_word, _with_word, _with_byte, _without, _twice, _crossed, _followed)


# Of msgpack


def _with_other_structure(data: bytes, rng: Random) -> bytes:
    try:
        value = msgspec.msgpack.decode(data)
        return msgspec.msgpack.encode(_changed(value, rng, 0))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, TypeError):
        start = _place(data, rng)
        return data[:start] + bytes([rng.randint(0, 255)]) + data[start + 1 :]


def _changed(value: Any, rng: Random, depth: int) -> Any:
    """`value` with a change somewhere in it."""
    if isinstance(value, list) and value and depth < DEPTH_MAX and rng.randint(0, 7):
        at = rng.randint(0, len(value) - 1)
        return [*value[:at], _changed(value[at], rng, depth + 1), *value[at + 1 :]]
    if isinstance(value, dict) and value and rng.randint(0, 7):
        key = rng.choice(list(value))
        return {**value, key: _changed(value[key], rng, depth + 1)}
    if isinstance(value, list) and rng.randint(0, 3):
        return _other_list(value, rng)
    if isinstance(value, bytes) and value and rng.randint(0, 3):
        return _other_bytes(value, rng)
    if isinstance(value, str) and value and rng.randint(0, 1):
        return value[: rng.randint(0, len(value))] + rng.choice(("", "x", ":1", "é", "\0", value))
    if isinstance(value, int) and rng.randint(0, 1):
        return max(-(2**63), min(NUMBERS_MAX, value + rng.choice((-1, 1, 2**15))))
    return rng.choice((*NUMBERS, NUMBERS_MAX, None, True, False, b"", "", b"k", "a:1", "b:1", [], 1.5))


def _other_list(value: list[Any], rng: Random) -> list[Any]:
    if not value:
        return [rng.choice((0, b"k", "b:1", None))]
    at = rng.randint(0, len(value) - 1)
    match rng.randint(0, 3):
        case 0:
            return [*value[:at], *value[at + 1 :]]
        case 1:
            return [*value, value[at]]
        case 2:
            return value[:at]
        case _:
            return [*value[at:], *value[:at]]


def _other_bytes(value: bytes, rng: Random) -> bytes:
    """It may be a structure itself."""
    if rng.randint(0, 1):
        try:
            return msgspec.msgpack.encode(_changed(msgspec.msgpack.decode(value), rng, 0))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, TypeError):
            pass
    start, stop = _stretch(value, rng)
    return value[:start] + rng.choice((b"", b"\0", b"\xff", value[start:stop] * 2)) + value[stop:]
