"""Tokens for tests, one of each role, and the file that has them."""

from __future__ import annotations

import hashlib
from pathlib import Path

READ, WRITE, ADMIN = "a-token-that-reads", "a-token-that-writes", "a-token-that-rules"
UNKNOWN = "a-token-that-nobody-has-made"


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def lines_for(**tokens: str) -> str:
    """`tokens`: by role."""
    return "".join(f"{role} {hash_of(token)}\n" for role, token in tokens.items())


def write_secret(path: Path, text: str) -> Path:
    """A file that others may not read."""
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def tokens_file(directory: Path) -> Path:
    return write_secret(directory / "tokens", lines_for(read=READ, write=WRITE, admin=ADMIN))


def bearing(token: str | None) -> dict[str, str]:
    """The header that sends it."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}
