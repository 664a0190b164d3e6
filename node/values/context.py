"""A causal context: what a client has seen, or depends on through what it has read, and some owners may not have yet.

It holds, for each key that matters, by its hash: the version that a later read must find or pass, and an owner that is
known to have it on disk. Without it, a client that has read an answer on one side of a cut could read on the other side
the question as it was before.

- *Merging is a join*: of two versions of a key the newer is the one that matters. So it is idempotent and commutative,
  and what comes twice, or from the other side first, changes nothing.
- *It is bounded.* Beyond `ENTRIES_MAX`, the oldest entries fold into one clock for each owner that has them: "whatever
  this owner had by then". That covers all they said, and more: since the keys are not known then, a read of any key of
  that owner has to reach it. Beyond `OWNERS_MAX`, clocks fold into one for `ANYBODY`, and a read has to reach every
  owner of its key. Folding never uncovers what a context covered.
- *It shrinks* by what is known to be on every owner, see `stability`; in a healthy cluster, to nothing.

Owners are known by the hash of their address, so that a node that has just started, and has heard of no other, can tell
whether a context names its co-owner. To clients a context is opaque. What this store cannot have made is `BadContext`,
and never another error. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec
import xxhash

from node.values.version import CLOCK_MAX, Version, clock_of, make_version

ENTRIES_MAX = 64
OWNERS_MAX = 64
"""A context of that many entries and owners takes some 7 KiB as JSON, and 4 KiB beside a value."""
ANYBODY = 0
"""Stands in place of one owner for all that there are."""
FORMAT = 1

Hash = Annotated[int, msgspec.Meta(ge=0)]


class BadContext(ValueError):
    """This store did not make that."""


class Sight(NamedTuple):
    """One version of a key, and an owner that is known to have it or a newer one."""

    version: Annotated[Version, msgspec.Meta(min_length=16, max_length=16)]
    owner: Hash


class Context(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    entries: Annotated[dict[Hash, Sight], msgspec.Meta(max_length=ENTRIES_MAX)] = {}
    """What a read must find, by the hash of its key."""
    folded: Annotated[dict[Hash, Hash], msgspec.Meta(max_length=OWNERS_MAX)] = {}
    """The clock up to which a read depends on what an owner had, by owner."""

    def __bool__(self) -> bool:
        """Whether it demands anything."""
        return bool(self.entries or self.folded)

    def needed(self, key_hash: int) -> Version | None:
        """The version that a read of the key must find or pass."""
        sight = self.entries.get(key_hash)
        return None if sight is None else sight.version

    def floor(self, key_hash: int) -> Version:
        """What a later write of the key must have a version above: so high a clock may be in here that no node has
        taken it over."""
        folded = make_version(max(self.folded.values(), default=0), 2**64 - 1)
        return max(folded, self.needed(key_hash) or folded)

    def names(self, address: str) -> bool:
        """Whether a read of one of this owner's keys must reach this owner."""
        return bool(self.folded) and (ANYBODY in self.folded or owner_id(address) in self.folded)

    @property
    def newest(self) -> int:
        """The highest clock in it; 0 if it is empty."""
        return max(chain((clock_of(version) for version, _ in self.entries.values()), self.folded.values()), default=0)

    def merge(self, other: Context) -> Context:
        """A context that covers both."""
        if not other or other == self:
            return self
        if not self:
            return other
        return _bounded(
            [*self.entries.items(), *other.entries.items()], chain(self.folded.items(), other.folded.items())
        )

    def with_entry(self, key_hash: int, version: Version, owner: int) -> Context:
        """What covers this version too."""
        return self.merge(Context({key_hash: Sight(version, owner)}))

    def without(self, key_hash: int, version: Version) -> Context:
        """What is left when every owner has this version of the key, or a newer one."""
        needed = self.needed(key_hash)
        if needed is None or needed > version:
            return self
        return Context({other: sight for other, sight in self.entries.items() if other != key_hash}, self.folded)

    def without_stable(self, of_key: Callable[[int], int], of_owner: Callable[[int], int], latest: int) -> Context:
        """What is left without what is known to be on all owners, that is, was written up to the clock that `of_key`
        gives for the hash of a key, or `of_owner` for an owner; and without what is above `latest`."""
        entries = {key: sight for key, sight in self.entries.items() if of_key(key) < clock_of(sight.version) <= latest}
        folded = {owner: clock for owner, clock in self.folded.items() if of_owner(owner) < clock <= latest}
        unchanged = len(entries) == len(self.entries) and len(folded) == len(self.folded)
        return self if unchanged else Context(entries, folded)


EMPTY = Context()


def owner_id(address: str) -> int:
    """What stands for an owner in a context; never ANYBODY."""
    return xxhash.xxh3_64_intdigest(address.encode()) or 1


def _bounded(sights: Sequence[tuple[int, Sight]], clocks: Iterable[tuple[int, int]]) -> Context:
    entries: dict[int, Sight] = {}
    folded: dict[int, int] = {}
    for key, sight in sights:
        entries[key] = max(sight, entries.get(key, sight))
    for owner, clock in clocks:
        folded[owner] = max(clock, folded.get(owner, 0))
    if len(entries) > ENTRIES_MAX:
        oldest_first = sorted(entries, key=lambda key: (entries[key], key))
        forgotten = set(oldest_first[: len(entries) - ENTRIES_MAX])
        for key, (version, owner) in sights:  # The older of two sights too: nobody knows any more that it is the older.
            if key in forgotten:
                folded[owner] = max(clock_of(version), folded.get(owner, 0))
        entries = {key: sight for key, sight in entries.items() if key not in forgotten}
    if len(folded) > OWNERS_MAX:
        clock = folded.pop(ANYBODY, 0)
        for owner in sorted(folded, key=lambda owner: (folded[owner], owner))[: len(folded) - OWNERS_MAX + 1]:
            clock = max(clock, folded.pop(owner))
        folded[ANYBODY] = clock
    return Context(entries, folded)


# As clients carry it: in hexadecimal, since in some languages a JSON number has only 53 bits.


def to_json(context: Context) -> dict[str, Any]:
    """The JSON object for clients: `{}` if the context is empty."""
    fields: dict[str, Any] = {"v": FORMAT} if context else {}
    if context.entries:
        fields["k"] = {
            f"{key:016x}": f"{version.hex()}{owner:016x}" for key, (version, owner) in context.entries.items()
        }
    if context.folded:
        fields["s"] = {f"{owner:016x}": f"{clock:016x}" for owner, clock in context.folded.items()}
    return fields


def from_json(value: Any, clock_max: int) -> Context:
    """The context in a decoded body, in whichever form clients carry it. No clock in it may be above `clock_max`.
    Raises BadContext."""
    if value is None or value in ("", "{}"):
        return EMPTY
    if not isinstance(value, dict):
        raise BadContext("not an object")
    entries, folded = _numbers(value.get("k", {}), 48), _numbers(value.get("s", {}), 16)
    if len(entries) > ENTRIES_MAX or len(folded) > OWNERS_MAX:
        raise BadContext("longer than contexts are")
    sights = {key: Sight((sight >> 64).to_bytes(16), sight % 2**64) for key, sight in entries.items()}
    context = Context(sights, folded)
    if type(value.get("v", FORMAT)) is not int or value != to_json(context):
        raise BadContext("not in the form in which contexts are given out")
    if context.newest > min(clock_max, CLOCK_MAX - 1):
        raise BadContext("of a time that has not come")
    return context


def _numbers(value: Any, digits: int) -> dict[int, int]:
    """Numbers of so many hexadecimal digits, by numbers of 64 bits."""
    if not isinstance(value, dict) or not all(isinstance(text, str) and len(text) == digits for text in value.values()):
        raise BadContext("not an object of numbers")
    try:
        numbers = {int(name, 16): int(text, 16) for name, text in value.items()}
    except ValueError:
        raise BadContext("not hexadecimal") from None
    if any(name < 0 or name >> 64 or number < 0 for name, number in numbers.items()):
        raise BadContext("not 64 bits")
    return numbers


# As a record keeps it.

encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Context)


def decode(data: bytes) -> Context:
    """The context that a value was written with. Raises BadContext."""
    if not data:
        return EMPTY
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadContext(str(error)) from None
