"""What becomes of one write, by what is held of its key: the rules, applied within a transaction.

Whether a write comes alone or with many others makes no difference here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import msgspec

from node.storage.transaction import Transaction
from node.values.condition import NO_CONDITION, Condition
from node.values.record import Record, encode_record, expires, has_replaced, is_lasting, is_live, version_of
from node.values.version import Version


class Written(msgspec.Struct, frozen=True, gc=False):
    """The write is in the store under its version. `replaced`: it found a live value."""

    replaced: bool
    is_repeated: bool = False
    """Whether it was there already, wherever it came from."""


_ADDED, _REPLACED = Written(False), Written(True)


class Absent(NamedTuple):
    """A delete found nothing, and wrote nothing."""


class Newer(NamedTuple):
    """The key is held in a newer version, or the low watermark is higher: nothing was written, and the write must be
    stamped above this one."""

    version: Version


class Unmatched(NamedTuple):
    """What the key has does not meet the condition: nothing was written."""


class Unsure(NamedTuple):
    """No record is held here, but one may be held where nobody can look now: nothing was written."""


WriteOutcome: TypeAlias = Written | Absent | Newer | Unmatched | Unsure


def write(
    transaction: Transaction,
    partition: int,
    key: bytes,
    version: Version,
    value: bytes | None,
    now_ms: Callable[[], int],
    peers_newest: Record | None = None,
    sure: bool = True,
    context: bytes = b"",
    condition: Condition = NO_CONDITION,
    expires_ms: int | None = None,
) -> WriteOutcome:
    """See `Store.write`. The hot path."""
    held = transaction.get(partition, key)
    if peers_newest is not None and (held is None or peers_newest.version > version_of(held)):
        encoded = peers_newest.encode()
        transaction.put(partition, key, encoded, held, exclude=())
        held = encoded
    held_version, live = b"", False
    if held is not None:
        held_version = version_of(held)
        if held_version == version:
            return Written(has_replaced(held), is_repeated=True)
        live = is_lasting(held) or is_live(held, now_ms() if expires(held) else 0)
    elif not sure:
        return Unsure()
    lowest = transaction.lowest_version
    newest = held_version if held_version > lowest else lowest
    if condition is not NO_CONDITION and newest < version and not condition.is_met(held_version if live else None):
        return Unmatched()
    if value is None and not live and held_version < version:
        return Absent()
    if newest > version:
        return Newer(newest)
    transaction.put(partition, key, encode_record(version, value, live, context, expires_ms), held, ())
    return _REPLACED if live else _ADDED
