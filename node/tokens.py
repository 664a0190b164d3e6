"""Which token has which role, as the file of `TOKENS_FILE` says it.

The file has the SHA-256 of each token, not the token: who reads a copy of it can do nothing with it. A token is random,
and long, so that a plain hash of it tells nothing; a password is no token.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from node.secret_files import BadLine, Line

REMEMBERED = 1024
"""So many `Authorization` headers are remembered with their role: a client sends the same one with each request."""

_LINE = re.compile(r"(read|write|admin)[ \t]+([0-9A-Fa-f]{64})")
_RIGHT = "a line is a role (read, write or admin), a space, and the SHA-256 of a token as 64 hexadecimal digits"
_BEARER = re.compile(rb"bearer +([!-~]+)", re.IGNORECASE)


class Role(IntEnum):
    """Each includes those before it."""

    ANYBODY = 0
    """Who has no token, or one that is unknown."""
    READ = 1
    WRITE = 2
    ADMIN = 3


class Tokens:
    """`roles`: by the SHA-256 of a token."""

    def __init__(self, roles: dict[bytes, Role]) -> None:
        self._roles = tuple(roles.items())
        self.role_of = lru_cache(REMEMBERED)(self._look_up)
        """Of whoever sends this `Authorization` header."""

    def _look_up(self, authorization: bytes) -> Role:
        """In a time that does not tell how much of a hash is right, nor which."""
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            return Role.ANYBODY
        told, role = hashlib.sha256(bearer[1]).digest(), Role.ANYBODY
        for known, its_role in self._roles:
            if hmac.compare_digest(known, told):
                role = its_role
        return role


def parse_tokens(lines: Iterable[Line]) -> Tokens:
    """Raises BadLine."""
    roles: dict[bytes, Role] = {}
    for number, text in lines:
        found = _LINE.fullmatch(text)
        if found is None:
            raise BadLine(_RIGHT, number)
        token_hash = bytes.fromhex(found[2])
        if token_hash in roles:
            raise BadLine("this token is in an earlier line already: one line for each", number)
        roles[token_hash] = Role[found[1].upper()]
    if not roles:
        raise BadLine(f"it has no tokens, so nobody could do anything: {_RIGHT}")
    return Tokens(roles)
