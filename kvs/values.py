"""Values as Python objects, and as the JSON texts that the store keeps.

The store gives a text back as it was sent, digit by digit. Python does not: 1.50 becomes 1.5, and 0.1 is no decimal. So
whoever needs the digits has the text too: `Found.raw` on the way out, `Json` on the way in.
"""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import msgspec

from kvs.errors import BadRequest

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


class Json(msgspec.Struct, frozen=True):
    """A value that is JSON already, to be stored as it is."""

    text: bytes | str


class Found(msgspec.Struct, frozen=True, dict=True):
    """A key's value, and which version of it that is."""

    raw: bytes
    """The JSON text, as it was sent."""
    version: str
    """Opaque; each write makes another one. For `put_if` and `delete`."""
    ttl: float | None = None
    """In how many seconds it expires; None: it stays."""

    @cached_property
    def value(self) -> Any:
        """What `json` makes of it. Raises RecursionError and ValueError as that does, for what is nested too deep, or
        has too many digits, for Python."""
        return _decode(self.raw.decode())


class Unchanged(msgspec.Struct, frozen=True):
    """The key has the version that it had."""


UNCHANGED = Unchanged()


class Entry(msgspec.Struct, frozen=True, dict=True):
    """One of the keys that a scan tells."""

    key: str
    raw: bytes
    """The JSON text of its value, as it was sent."""
    version: str
    """Opaque; each write makes another one. For `put_if` and `delete`."""
    ttl: float | None = None
    """In how many seconds it expires; None: it stays."""

    @cached_property
    def value(self) -> Any:
        """What `json` makes of it. Raises RecursionError and ValueError as that does, for what is nested too deep, or
        has too many digits, for Python."""
        return _decode(self.raw.decode())


class Exported(msgspec.Struct, frozen=True, dict=True):
    """One of the keys that an export tells."""

    key: str
    raw: bytes
    """The JSON text of its value, as it was sent."""
    expires: float | None = None
    """When it expires, in seconds since 1970; None: it stays."""

    @cached_property
    def value(self) -> Any:
        """What `json` makes of it. Raises RecursionError and ValueError as that does, for what is nested too deep, or
        has too many digits, for Python."""
        return _decode(self.raw.decode())


class Copies(msgspec.Struct, frozen=True):
    """How many owners of the key have a write on disk."""

    acknowledged: int
    owners: int


class Stored(msgspec.Struct, frozen=True):
    """What became of a write."""

    replaced: bool
    """Whether the key had a value before. A plain put that was sent twice may have replaced what it had itself sent
    first."""
    version: str
    """Of what was written."""
    copies: Copies | None = None
    """If fewer owners have it than the key has: how many. The others get it once they can take it."""


def text_of(given: object, what: str) -> str:
    """`given` itself. Raises BadRequest if it is no text."""
    if not isinstance(given, str):
        raise BadRequest(f"{what} is a text, not {given!r}")
    return given


def prefix_of(given: object) -> str:
    """What keys begin with: `given` itself. Raises BadRequest if none can."""
    prefix = text_of(given, "what keys begin with")
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise BadRequest("the prefix has half of a surrogate pair, which no UTF-8 can hold") from None
    return prefix


LINE_BREAKS_TO_SPACES = bytes.maketrans(b"\r\n", b"  ")
"""In a JSON text they stand between its parts only; within a string, they are escaped."""


def encoded(value: object) -> bytes:
    """The JSON text of a value. Raises BadRequest."""
    if isinstance(value, Json):
        return _checked(value.text)
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        raise BadRequest("the value has half of a surrogate pair in a string, which no UTF-8 can hold") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"the value is not JSON: {error}") from None


def _checked(text: bytes | str) -> bytes:
    """Raises BadRequest for what is not one JSON value: it would break out of the request that it is put into."""
    try:
        raw = text if isinstance(text, bytes) else text.encode()
        raw.decode()
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRequest(f"the text is not JSON: {error}") from None
    return raw
