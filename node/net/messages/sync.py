"""Moving records: between who holds records of a partition and its owners, under the same view.

First the donor announces what it holds, or is asked for that. Then digests are compared, versions offered, and records
pushed, each step for what the one before has shown to differ.
"""

from __future__ import annotations

from typing import TypeAlias

from node.net.messages.base import KeyBytes, NodeMessage, Partitions, Unsigned, VersionBytes


class AskHolding(NodeMessage, frozen=True, tag=32):
    """Of which of my partitions do you hold records?"""


class Holding(NodeMessage, frozen=True, tag=33):
    """All the receiver's partitions of which the sender holds records; as a call, the announcement of a donor.
    `may_lack`: it held more before it lost its disk, so that it speaks for no other copy."""

    partitions: Partitions
    may_lack: bool = False


class Push(NodeMessage, frozen=True, tag=34):
    """Records on their way to their owner, of any of its partitions. Of those in `finished`, the sender holds no other
    records. `may_lack`: see `Holding`."""

    is_batch = True
    records: tuple[tuple[KeyBytes, bytes], ...]
    finished: Partitions
    may_lack: bool = False

    def carried_bytes(self) -> int:
        return sum(len(key) + len(record) for key, record in self.records)


class Taken(NodeMessage, frozen=True, tag=35):
    """Answers Push, Holding and Replicate: durable."""


class Compare(NodeMessage, frozen=True, tag=36):
    """The sender's digests of these partitions, 8 bytes each: in which do we differ?"""

    partitions: Partitions
    digests: bytes
    stable_watermark: Unsigned = 0


class Differing(NodeMessage, frozen=True, tag=37):
    """Answers Compare: of which partitions the sender of this holds nothing, and takes everything; and of which others
    it wants to be offered what there is, since they differ."""

    empty: Partitions
    different: Partitions
    sweep_watermark: Unsigned = 0
    """See `retention.tombstones`."""


class Offer(NodeMessage, frozen=True, tag=38):
    """Keys with their versions: which of these records do you want?"""

    is_batch = True
    versions: tuple[tuple[KeyBytes, VersionBytes], ...]
    stable_watermark: Unsigned = 0

    def carried_bytes(self) -> int:
        return sum(len(key) + len(version) for key, version in self.versions)


class Wanted(NodeMessage, frozen=True, tag=39):
    """Answers Offer: the indexes, packed like partitions, of the records that are newer than its own."""

    indexes: Partitions


SyncRequest: TypeAlias = AskHolding | Holding | Push | Compare | Offer
SyncAnswer: TypeAlias = Holding | Taken | Differing | Wanted
