"""What is wrong with a request, in more words than a body may have.

The bodies of errors are fixed, field by field, so these words travel in the header `Kvs-Detail`: where in a body its
JSON goes wrong, and what may have happened to it; or which nodes have not answered. They are for people. No program
may rely on them.
"""

from __future__ import annotations

import re

import msgspec

HEADER = "Kvs-Detail"
HINT_CHARS_MAX = 1024
"""Clients limit the length of a head."""

_WITHOUT_QUOTES = re.compile(rb"\s*'?\{\s*'?[A-Za-z_][A-Za-z0-9_-]*'?\s*:")
"""`{value:1}`, `{'value':1}` and `'{value:1}'`."""
_QUOTES = (
    "names and texts stand in double quotes, which a shell takes away unless the whole stands in single ones: "
    """-d '{"value": 1}'"""
)


def headers_of(hint: str) -> dict[str, str]:
    """The header that carries it; none if there is nothing to say."""
    if not hint:
        return {}
    return {HEADER: re.sub(r"[^\x20-\x7e]", "?", hint[:HINT_CHARS_MAX])}


def of_malformed_json(data: bytes, error: Exception) -> str:
    """Of what the decoder of a body has raised."""
    hint = _where(data, error)
    return f"{hint}; {_QUOTES}" if _WITHOUT_QUOTES.match(data) else hint


def _where(data: bytes, error: Exception) -> str:
    match error:
        case UnicodeDecodeError():
            return f"no UTF-8 (byte {error.start})"
        case RecursionError():
            return "nested too deep"
        case msgspec.ValidationError():
            return f"a body is a JSON object: {error}"
        case _ if "truncated" not in str(error):
            return str(error)
        case _ if b"\\ud" in data.lower():
            return "half a surrogate pair"
        case _:
            return f"JSON is malformed: it ends too early (byte {len(data)})"
