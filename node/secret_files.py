"""Files that only the operator and the node may read: how they are read, and read again while the node serves.

Whoever may read one knows a secret, and whoever may change one lets in whom they like: so a file that is open to others
is refused, as ssh does; one without a secret in it, a certificate, they may read. What stands in it is never repeated,
neither in a log nor in an error: it may be a secret, also where it is out of place.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, NamedTuple, Protocol, TypeVar

from node.errors import BadEnvironment

T = TypeVar("T")

log = logging.getLogger(__name__)

BYTES_MAX = 64 * 1024
CHANGED_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
OPEN_TO_OTHERS = CHANGED_BY_OTHERS | stat.S_IROTH
"""A group may read: a node in a container often is let in by its group."""


class Line(NamedTuple):
    number: int
    text: str


class BadLine(Exception):
    """A line is not what it must be, or all together are not; `number`: None. The text says what would be right."""

    def __init__(self, right: str, number: int | None = None) -> None:
        super().__init__(right)
        self.number = number


Parse = Callable[[Iterable[Line]], T]
"""What the lines that say something mean. Raises BadLine."""


class Renewable(Protocol):
    """What a node was told by files."""

    async def renew(self) -> None:
        """Read them again. If one is not in order now, what was read before stays in force."""


class SecretFile(Generic[T]):
    """What the file that `variable` names says; `now`: as it was last found in order. Raises BadEnvironment."""

    def __init__(self, variable: str, path: Path, parse: Parse[T]) -> None:
        self._variable = variable
        self.path = path
        self._parse = parse
        self.now = self._read()

    async def renew(self) -> None:
        try:
            self.now = await asyncio.to_thread(self._read)
        except BadEnvironment as fault:
            log.error("%s; what was read before stays in force", fault)
        else:
            log.info("%s %s: read again", self._variable, self.path)

    def _read(self) -> T:
        content = content_of(self._variable, self.path)
        try:
            return self._parse(_lines(content))
        except BadLine as fault:
            where = "" if fault.number is None else f", line {fault.number}"
            raise BadEnvironment(f"{self._variable} {self.path}{where}: {fault}") from None


def content_of(variable: str, path: Path, is_secret: bool = True) -> bytes:
    """What is in the file that `variable` names. Raises BadEnvironment, also if others may do with it what they may
    not."""
    try:
        return _content(path, is_secret)
    except BadLine as fault:
        raise BadEnvironment(f"{variable} {path}: {fault}") from None
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise BadEnvironment(f"{variable} {path}: {why}: it must be a file that this node may read") from None


def _content(path: Path, is_secret: bool) -> bytes:
    """Raises BadLine and OSError."""
    with open(path, "rb", opener=_open_at_once) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise BadLine("it is no ordinary file")
        if is_secret and mode & OPEN_TO_OTHERS:
            raise BadLine(f"others may read or change it: chmod 640, or 600; it is {stat.S_IMODE(mode):03o}")
        if mode & CHANGED_BY_OTHERS:
            raise BadLine(f"others may change it: chmod 644; it is {stat.S_IMODE(mode):03o}")
        content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise BadLine(f"it has more than {BYTES_MAX // 1024} KiB")
    return content


def _open_at_once(path: str, flags: int) -> int:
    """A pipe would keep the node waiting."""
    return os.open(path, flags | os.O_NONBLOCK)


def _lines(content: bytes) -> Iterable[Line]:
    """Those that are neither blank nor a comment. Raises BadLine."""
    for number, raw in enumerate(content.split(b"\n"), 1):
        if not raw.isascii():
            raise BadLine("it is not plain ASCII text", number)
        text = raw.decode().strip()
        if text and not text.startswith("#"):
            yield Line(number, text)
