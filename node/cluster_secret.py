"""What the nodes of a cluster know and nobody else, as the file of `CLUSTER_SECRET_FILE` says it.

It can be exchanged while all nodes serve, as there may be two: the first is used, and both are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from node.secret_files import BadLine, Line

CHARS_MIN = 32
"""Whoever dials is given something by which a guess can be checked, as often as they like: so none may be in reach."""
SECRETS_MAX = 2

Secrets = tuple[bytes, ...]
"""At least one; the first is used."""

_SECRET = re.compile(rf"[!-~]{{{CHARS_MIN},}}")


def parse_cluster_secret(lines: Iterable[Line]) -> Secrets:
    """Raises BadLine."""
    secrets: list[bytes] = []
    for number, text in lines:
        if not _SECRET.fullmatch(text):
            raise BadLine(f"a secret is a line of {CHARS_MIN} or more random characters without spaces", number)
        if len(secrets) == SECRETS_MAX:
            raise BadLine("there are two secrets already, the one in use and the one before or after it", number)
        secrets.append(text.encode())
    if not secrets:
        raise BadLine(f"it has no secret: a line of {CHARS_MIN} or more random characters without spaces")
    return tuple(secrets)
