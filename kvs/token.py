"""A token: how one is made, given to this program, and sent with each request.

It is never an argument of the command, which all users of a machine can see, and stands in no error.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kvs.errors import BadRequest

BYTES = 32
"""Of chance: nobody guesses it, and a plain hash of it need not be slow."""
ROLES = ("read", "write", "admin")

_TOKEN = re.compile(r"[!-~]+")


class Made(NamedTuple):
    token: str
    line: str
    """For the file that `TOKENS_FILE` of each node names."""


def make_token(role: str) -> Made:
    token = secrets.token_urlsafe(BYTES)
    return Made(token, f"{role} {hashlib.sha256(token.encode()).hexdigest()}")


def headers_of(token: str | None) -> Mapping[str, str]:
    """What goes with each request. Raises BadRequest."""
    if token is None:
        return {}
    if not _TOKEN.fullmatch(token):
        raise BadRequest("a token is printable ASCII without spaces, at least one character")
    return {"Authorization": f"Bearer {token}"}


def read_token(path: Path) -> str:
    """The one that the file has, and nothing else. Raises BadRequest."""
    try:
        words = path.read_text("ascii").split()
    except OSError as error:
        raise BadRequest(f"{path}: {(error.strerror or 'it cannot be read').lower()}") from None
    except UnicodeDecodeError:
        words = []
    if len(words) != 1:
        raise BadRequest(f"{path}: it must have one token, and nothing else")
    return words[0]
