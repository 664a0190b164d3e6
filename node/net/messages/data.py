"""A client's operation on its way: what the router asks an owner, and an owner the others that may hold the key.

`context` is what the client depends on, None if it does not ask for that; in an answer, what it depends on now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from gossip.view import Address
from node.net.messages.base import (
    LARGE_BYTES,
    KeyBytes,
    Milliseconds,
    NodeMessage,
    PartitionSet,
    PartOfKey,
    Unable,
    Unsigned,
    VersionBytes,
)
from node.values.condition import Condition
from node.values.context import Context
from ring.hashing import partition_of


class Read(NodeMessage, frozen=True, tag=1):
    key: KeyBytes
    context: Context | None = None


class Write(NodeMessage, frozen=True, tag=2):
    """A put, or with `value` None a delete."""

    key: KeyBytes
    version: VersionBytes
    value: bytes | None
    context: Context | None = None

    def is_bulky(self) -> bool:
        return self.carried_bytes() > LARGE_BYTES

    def carried_bytes(self) -> int:
        return len(self.value or b"")


class WriteExpiring(Write, frozen=True, tag=70):
    """A put of what expires at this time, in milliseconds since 1970. A message of its own: a release that knows of no
    expiry must refuse it, where it would pass over a field and keep the value for ever."""

    expires_ms: Milliseconds = 0


class ReadResult(NodeMessage, frozen=True, tag=3):
    """Answers Read: the JSON text, None if the key does not exist; and its version, None if there is no value, or if an
    earlier release answers."""

    value: bytes | None
    context: Context | None = None
    version: VersionBytes | None = None

    def is_bulky(self) -> bool:
        return self.carried_bytes() > LARGE_BYTES

    def carried_bytes(self) -> int:
        return len(self.value or b"")


class ReadResultExpiring(ReadResult, frozen=True, tag=71):
    """The same of a value that expires, in so many milliseconds."""

    left_ms: Unsigned = 0


class Copies(NamedTuple):
    """Of how many owners of a key, by how many it was acknowledged."""

    acknowledged: Unsigned
    owners: Unsigned


class Wrote(NodeMessage, frozen=True, tag=4):
    """Answers Write: durable. `replaced`: it found a live value; `copies`: None if all owners have it."""

    replaced: bool
    context: Context | None = None
    copies: Copies | None = None


class NothingDeleted(NodeMessage, frozen=True, tag=5):
    """Answers Write: a delete found nothing, and wrote nothing."""

    context: Context | None = None


class Superseded(NodeMessage, frozen=True, tag=6):
    """Answers Write: nothing was written. Either the key is held in this newer version, or the owner takes no write at
    or below this version any more. The write may be stamped anew above it."""

    version: VersionBytes


class MayBeStored(NodeMessage, frozen=True, tag=8):
    """Answers Write: it is on this owner's disk, or may turn out to be, but not on every disk that it must be on, and
    may or may not last. `missing`: who stands in the way, as far as is known."""

    missing: tuple[Address, ...] = ()


class Unsatisfied(NodeMessage, frozen=True, tag=9):
    """Answers Read, and a Write that deletes: nothing was done. What the context demands is not here, and may be
    where nobody can look now."""


class WriteIf(NodeMessage, frozen=True, tag=59):
    """A Write that is carried out only if the condition is met. To the first owner of the key, who decides."""

    key: KeyBytes
    version: VersionBytes
    value: bytes | None
    condition: Condition
    context: Context | None = None
    expires_ms: Milliseconds | None = None
    """When what is put expires, in milliseconds since 1970; None: it stays."""

    def is_bulky(self) -> bool:
        return self.carried_bytes() > LARGE_BYTES

    def carried_bytes(self) -> int:
        return len(self.value or b"")


class Unmet(NodeMessage, frozen=True, tag=60):
    """Answers WriteIf: nothing was written. The key has the value of this version; None: it has none."""

    version: VersionBytes | None
    context: Context | None = None


class Batch(NodeMessage, frozen=True, tag=61):
    """Carry out what of these, each of another key, takes no more than your disk and your co-owners: plain ones without
    a context. The rest is left, and comes in messages of its own."""

    is_batch = True
    operations: tuple[Read | Write, ...]

    def carried_bytes(self) -> int:
        return sum(op.carried_bytes() for op in self.operations)


BatchAnswer: TypeAlias = ReadResult | ReadResultExpiring | Wrote | Superseded | MayBeStored | Unable


class Batched(NodeMessage, frozen=True, tag=62):
    """Answers Batch: what each operation would be answered, in their order. Unable: it was left."""

    is_batch = True
    answers: tuple[BatchAnswer, ...]

    def carried_bytes(self) -> int:
        return sum(answer.carried_bytes() for answer in self.answers)


class Fetch(NodeMessage, frozen=True, tag=30):
    """What is your record of this key?"""

    key: KeyBytes


class Fetched(NodeMessage, frozen=True, tag=31):
    """None: no record. `may_lack`: that there is none says nothing. `stable_watermark`: see `retention.tombstones`; the
    same in Compare and Offer."""

    record: bytes | None
    stable_watermark: Unsigned = 0
    may_lack: bool = False

    def is_bulky(self) -> bool:
        return self.carried_bytes() > LARGE_BYTES

    def carried_bytes(self) -> int:
        return len(self.record or b"")

    def carried_records(self) -> Iterable[bytes]:
        return () if self.record is None else (self.record,)


class AskStamp(NodeMessage, frozen=True, tag=50):
    """The sender's disk takes nothing, so its clock may not go on: a version, please, for a write of its client. It is
    above the reading that comes along with this."""

    any_view = True


class Stamped(NodeMessage, frozen=True, tag=51):
    """Answers AskStamp: nobody else is given this version."""

    version: VersionBytes


class Range(NamedTuple):
    """Which keys, in the order of their bytes: those that begin with `prefix` and come after `after`, empty: from the
    first; and of them no more than `limit`, and about `bytes_max` bytes."""

    prefix: PartOfKey
    after: PartOfKey
    limit: Unsigned
    bytes_max: Unsigned

    def leads_to(self, key: bytes) -> bool:
        return key > self.after


class ListKeys(NodeMessage, frozen=True, tag=52):
    """Which keys of your shard have a value? `with_values`: and which."""

    range: Range
    with_values: bool

    def may_end_at(self, key: bytes) -> bool:
        return self.range.leads_to(key)


class Listed(NodeMessage, frozen=True, tag=53):
    """Answers ListKeys: keys with the version and the value (None if it is not asked for), ascending. `end`: there may
    be more after this key; None: there are no more in the range."""

    is_batch = True
    entries: tuple[tuple[KeyBytes, VersionBytes, bytes | None], ...]
    end: KeyBytes | None

    def carried_bytes(self) -> int:
        return sum(len(key) + len(value or b"") for key, _, value in self.entries)


class ListedExpiring(Listed, frozen=True, tag=72):
    """The same if any of the values expires: of each that does, its key, and in how many milliseconds."""

    left_ms: tuple[tuple[KeyBytes, Unsigned], ...] = ()


class FetchRange(NodeMessage, frozen=True, tag=54):
    """What are your records of the keys of my shard? Without `with_values`, of each as much as tells its version, and
    when it is a deletion."""

    range: Range
    with_values: bool

    def may_end_at(self, key: bytes) -> bool:
        return self.range.leads_to(key)


class FetchedRange(NodeMessage, frozen=True, tag=55):
    """Answers FetchRange; `end`: see `Listed`, the rest: see `Fetched`."""

    is_batch = True
    records: tuple[tuple[KeyBytes, bytes], ...]
    end: KeyBytes | None
    stable_watermark: Unsigned
    may_lack: bool

    def carried_bytes(self) -> int:
        return sum(len(key) + len(record) for key, record in self.records)

    def carried_records(self) -> Iterable[bytes]:
        return (record for _, record in self.records)


class Unheard(NodeMessage, frozen=True, tag=56):
    """Answers ListKeys, Export and WriteIf: nothing was done. Whether these nodes have what nobody else has, or decide
    what nobody else may, nobody can tell; they cannot be asked."""

    nodes: tuple[Address, ...]


class Stretch(NamedTuple):
    """Which keys, one partition after the other, ascending, and in each in the order of their bytes: of `partitions`,
    those that begin with `prefix`, and of the first partition only those after `after`, empty: from the first."""

    partitions: PartitionSet
    prefix: PartOfKey
    after: PartOfKey

    def leads_to(self, key: bytes) -> bool:
        place = partition_of(key)
        is_within = bool(int.from_bytes(self.partitions) >> place & 1)
        return is_within and (not self.after or (place, key) > (partition_of(self.after), self.after))


class Export(NodeMessage, frozen=True, tag=67):
    """What has a value of these keys of your shard? About `bytes_max` bytes of keys and records."""

    stretch: Stretch
    bytes_max: Unsigned

    def carried_bytes(self) -> int:
        return self.bytes_max

    def may_end_at(self, key: bytes) -> bool:
        return self.stretch.leads_to(key)


class Exported(NodeMessage, frozen=True, tag=68):
    """Answers Export: a line of JSON for each key, ready for a client. `end`: there may be more after this key; None:
    there is no more."""

    is_batch = True
    lines: bytes
    end: KeyBytes | None

    def carried_bytes(self) -> int:
        return len(self.lines)


class FetchPartitions(NodeMessage, frozen=True, tag=69):
    """What are your records of these keys? About `bytes_max` bytes of them. Answered with FetchedRange."""

    stretch: Stretch
    bytes_max: Unsigned

    def carried_bytes(self) -> int:
        return self.bytes_max

    def may_end_at(self, key: bytes) -> bool:
        return self.stretch.leads_to(key)


DataRequest: TypeAlias = (
    Read | Write | WriteExpiring | WriteIf | Batch | Fetch | AskStamp | ListKeys | FetchRange | Export | FetchPartitions
)
DataAnswer: TypeAlias = (
    ReadResult
    | ReadResultExpiring
    | Wrote
    | NothingDeleted
    | Superseded
    | MayBeStored
    | Unmet
    | Unsatisfied
    | Batched
    | Fetched
    | Stamped
    | Listed
    | ListedExpiring
    | FetchedRange
    | Exported
    | Unheard
)
