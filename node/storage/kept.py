"""What a process finds on its disk was written by one like it. Where it was not, the disk is damaged, and that is told
in one line: a node that went on with a part of it would forget what it has promised.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeVar

import msgspec

from node.errors import StorageFault

K = TypeVar("K")
T = TypeVar("T")

NUMBER_BYTES = 8


def read_kept(what: str, decode: Callable[[K], T], kept: K) -> T:
    """What `decode` makes of what is kept as `what`. Raises StorageFault if it cannot."""
    try:
        return decode(kept)
    except (ValueError, struct.error, msgspec.MsgspecError) as error:
        raise StorageFault(f"store.lmdb is damaged: what it keeps as {str(what)!r} cannot be read: {error}") from error


def number(kept: bytes) -> int:
    """Raises ValueError if no number is kept so."""
    if len(kept) != NUMBER_BYTES:
        raise ValueError(f"a number has {NUMBER_BYTES} bytes, and not {len(kept)}")
    return int.from_bytes(kept)
