"""Files of secrets, and what clients send as a token: what is told of a file repeats nothing of it."""

from __future__ import annotations

import functools
import hashlib
import tempfile
from pathlib import Path

from node.cluster_secret import CHARS_MIN, parse_cluster_secret
from node.errors import BadEnvironment
from node.secret_files import Parse, SecretFile
from node.tokens import Role, Tokens, parse_tokens
from tests.fuzz.target import Target
from tests.node.tokens import ADMIN, READ, WRITE, lines_for, write_secret

VARIABLE = "FILE"
_GOOD = lines_for(read=READ, write=WRITE, admin=ADMIN).encode()
_SECRET = b"Ab3+/=-_" * 4
_SPOILED = (b"", b"\xff", b"no", _GOOD + _GOOD, b"\n".join([_SECRET] * 3), b"a" * (64 * 1024 + 1))
"""For each fault that a file may have, one that has it."""


@functools.cache
def _path() -> Path:
    directory = tempfile.TemporaryDirectory()
    _kept.append(directory)
    return write_secret(Path(directory.name) / "secret", "")


_kept: list[object] = []
"""As long as the process."""


def fault_in(data: bytes, parse: Parse[object]) -> str | None:
    """What is told of a file with this in it, but for the number of the line."""
    path = _path()
    with open(path, "wb") as file:
        file.write(data)
    try:
        SecretFile(VARIABLE, path, parse)
    except BadEnvironment as fault:
        (told,) = fault.faults
        assert told.startswith(f"{VARIABLE} {path}") and "\n" not in told
        return _without_line(told, path)
    return None


def _without_line(told: str, path: Path) -> str:
    rest = told.removeprefix(f"{VARIABLE} {path}")
    if rest.startswith(", line "):
        number, _, rest = rest.removeprefix(", line ").partition(":")
        assert number.isdecimal()
        return rest.strip()
    return rest.removeprefix(":").strip()


@functools.cache
def _known(parse: Parse[object]) -> set[str | None]:
    return {fault_in(spoiled, parse) for spoiled in _SPOILED}


def check_files(data: bytes) -> None:
    for parse in (parse_tokens, parse_cluster_secret):
        fault = fault_in(data, parse)
        assert fault is None or fault in _known(parse), f"{fault!r}: is that known without the file?"
    if fault_in(data, parse_cluster_secret) is None:
        secrets = SecretFile(VARIABLE, _path(), parse_cluster_secret).now
        assert 1 <= len(secrets) <= 2 and all(len(secret) >= CHARS_MIN and secret in data for secret in secrets)


@functools.cache
def _tokens() -> Tokens:
    fault_in(_GOOD, parse_tokens)
    return SecretFile(VARIABLE, _path(), parse_tokens).now


def check_header(data: bytes) -> None:
    """A role has who says `Bearer`, blanks, and one of the tokens; nobody else."""
    scheme, _, rest = data.partition(b" ")
    token = rest.lstrip(b" ")
    known = {hashlib.sha256(text.encode()).digest(): role for text, role in zip(_TOKENS, _ROLES, strict=True)}
    has_one = scheme.lower() == b"bearer" and token != b""
    expected = known.get(hashlib.sha256(token).digest(), Role.ANYBODY) if has_one else Role.ANYBODY
    assert _tokens().role_of(data) is expected


def check(data: bytes) -> None:
    check_files(data)
    check_header(data)


_TOKENS, _ROLES = (READ, WRITE, ADMIN), (Role.READ, Role.WRITE, Role.ADMIN)
SECRETS = Target(
    "secrets",
    check,
    [_GOOD, b"# who\r\n\n  " + _SECRET + b"\t\r\n", b"\n".join([_SECRET, _SECRET]), *_SPOILED[:-1]]
    + [b"Bearer " + token.encode() for token in _TOKENS],
    [
        b"\n",
        b"#",
        b" ",
        b"\t",
        b"\r",
        b"\0",
        b"read ",
        b"write ",
        b"admin ",
        b"Bearer ",
        b"bearer  ",
        _SECRET,
        b"0" * 64,
    ],
    examples=200,
)
