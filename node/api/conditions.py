"""The conditions of a request, by the ETags of what it concerns (RFC 9110, 13.1): what they say.

An ETag is the version of a record: the same through every node, and another one after each write. Pure functions.
"""

from __future__ import annotations

import re
from binascii import hexlify
from functools import lru_cache
from typing import NamedTuple

from node.errors import RequestFault
from node.values.condition import NO_CONDITION, Condition, Versions
from node.values.version import Version

_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e]*)"[ \t]*(?:,|$)')
_OURS = re.compile("[0-9a-f]{32}")
_KEPT = 1024
"""So many texts are remembered: a client that polls sends the same again and again."""


class Given(NamedTuple):
    """The two headers as they were sent; None if they were not."""

    if_match: str | None = None
    if_none_match: str | None = None


NO_CONDITIONS = Given()


def etag_of(version: Version) -> bytes:
    return b'"%b"' % hexlify(version)


def etag_as_json(version: Version) -> bytes:
    """The same in a JSON text."""
    return b'"\\"%b\\""' % hexlify(version)


@lru_cache(_KEPT)
def condition_of(given: Given) -> Condition:
    """What they demand: `If-Match` one of some versions, and `If-None-Match` none of some. Raises RequestFault."""
    if given == NO_CONDITIONS:
        return NO_CONDITION
    one_of, none_of = given
    return Condition(
        None if one_of is None else _versions(one_of, "If-Match", False),
        None if none_of is None else _versions(none_of, "If-None-Match", True),
    )


def _versions(text: str, header: str, with_weak: bool) -> Versions:
    """Those that a header names; what is no version of this store's is none of any value. `with_weak`: also those that
    a cache has marked with `W/`. Raises RequestFault."""
    found, end = list[Version](), 0
    while text != "*" and (end < len(text) or not text):
        tag = _TAG.match(text, end)
        if tag is None:
            raise RequestFault(f"Malformed {header}: neither * nor ETags in double quotes, with commas between them")
        if _OURS.fullmatch(tag[2]) and (with_weak or not tag[1]):
            found.append(bytes.fromhex(tag[2]))
        end = tag.end()
    return Versions(text == "*", tuple(found))
