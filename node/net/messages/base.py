"""What all messages between nodes have in common, and the types of their fields.

A message is frozen and typed, and is validated when its frame is decoded, so nothing inside a node checks it again. On
the wire it is an array that begins with its tag, and a field is known by its place: names are free to change, tags and
places are not.

A release may put a field more at the end, with a default, if whoever does not know it does right without: it is left
out by those before, and skipped by who does not know it, from protocol 2 on, see `net.protocol`. What must be
understood as a whole or not at all has a fixed number of fields, and needs a new tag or protocol to have more: frames,
views, contexts, and all that is a tuple, such as conditions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, TypeAlias

import msgspec

from node.values.record import EXPIRY_BYTES, KEY_BYTES_MAX
from node.values.version import Version
from ring.sets import BYTES

KeyBytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=KEY_BYTES_MAX)]
PartOfKey = Annotated[bytes, msgspec.Meta(max_length=KEY_BYTES_MAX)]
"""What keys begin with, or one of them; may be empty."""
VersionBytes = Annotated[Version, msgspec.Meta(min_length=16, max_length=16)]
Partitions: TypeAlias = bytes
"""Partition numbers, packed by `ring.hashing.pack`."""
PartitionSet = Annotated[bytes, msgspec.Meta(min_length=BYTES, max_length=BYTES)]
"""A set as in `ring.sets`, its bits as bytes."""
Unsigned = Annotated[int, msgspec.Meta(ge=0)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=(1 << 8 * EXPIRY_BYTES) - 1)]
"""Since 1970, as far as a record can tell."""

LARGE_BYTES = 16 * 1024
"""A value or record beyond this counts as bulky."""


class NodeMessage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    any_view: ClassVar[bool] = False
    """Whether a receiver may act on the message whatever view its sender holds."""
    is_batch: ClassVar[bool] = False
    """Whether the message is one of many records or versions."""

    def is_bulky(self) -> bool:
        """Whether it is the last one in its frame: so a frame holds one bulky message at most."""
        return self.is_batch

    def carried_bytes(self) -> int:
        """How much of values, records or versions it carries, or its answer. Beyond `LARGE_BYTES` it travels apart:
        `net.lanes`."""
        return 0

    def may_end_at(self, key: bytes) -> bool:
        """Whether an answer to this that ends there, and says that there is more, has come any further."""
        return True

    def carried_records(self) -> Iterable[bytes]:
        """Those in it, as an answer, which its type says nothing about."""
        return ()


class Unable(NodeMessage, frozen=True, tag=7):
    """Answers any call: nothing was done, and nothing can be done now. To a Read or Write: nobody can tell what is
    right."""


class Apart(NodeMessage, frozen=True, tag=13):
    """Answers Read and Fetch on a link that asks for large answers apart: the answer carries so much, and is given on
    the link for transfers. Ask there."""

    bytes: Unsigned
