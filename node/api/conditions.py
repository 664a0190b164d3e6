"""The conditions of a request, by the ETags of what it concerns (RFC 9110, 13.1): what they say, and whether they hold.

An ETag is the version of a record: the same through every node, and another one after each write. Pure functions.
"""

from __future__ import annotations

import re
from binascii import hexlify
from functools import lru_cache
from typing import NamedTuple

from node.errors import RequestFault
from node.values.version import Version

_TAG = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e]*)"[ \t]*(?:,|$)')
_KEPT = 1024
"""So many texts are remembered: a client that polls sends the same again and again."""


class Given(NamedTuple):
    """The two headers as they were sent; None if they were not."""

    if_match: str | None = None
    if_none_match: str | None = None


NO_CONDITIONS = Given()


def etag_of(version: Version) -> bytes:
    return b'"%b"' % hexlify(version)


def is_refused(given: Given, version: Version | None) -> bool:
    """Whether `If-Match` does not hold. `version`: of what there is; None if there is nothing. Raises RequestFault."""
    if given.if_match is None:
        return False
    tags = _tags(given.if_match, "If-Match")
    return version is None or not (tags.any or version.hex() in tags.strong)


def is_known(given: Given, version: Version | None) -> bool:
    """Whether `If-None-Match` does not hold: what there is, the client has. Raises RequestFault."""
    if given.if_none_match is None:
        return False
    tags = _tags(given.if_none_match, "If-None-Match")
    return version is not None and (tags.any or version.hex() in tags.strong | tags.weak)


class _Tags(NamedTuple):
    any: bool
    """`*`: whatever version there is."""
    strong: frozenset[str]
    weak: frozenset[str]
    """Those that a cache has marked with `W/`."""


@lru_cache(_KEPT)
def _tags(text: str, header: str) -> _Tags:
    """What a header names. Raises RequestFault."""
    strong, weak, end = set[str](), set[str](), 0
    while text != "*" and (end < len(text) or not text):
        tag = _TAG.match(text, end)
        if tag is None:
            raise RequestFault(f"Malformed {header}: neither * nor ETags in double quotes, with commas between them")
        (weak if tag[1] else strong).add(tag[2])
        end = tag.end()
    return _Tags(text == "*", frozenset(strong), frozenset(weak))
