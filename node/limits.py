"""How much all clients together may take of a node, so that none of them, and no crowd, takes all of it.

Each number is far above what ordinary use takes; `LIMITS` in the environment changes those that it names. Other nodes,
and who asks for health, are none of these clients. What each is for stands in docs/operations.md, in one table.
"""

from __future__ import annotations

import re

import msgspec

_ENTRY = re.compile(r"([a-z-]+)\s*=\s*([0-9]{1,9})")


class Limits(msgspec.Struct, frozen=True, rename="kebab"):
    connections: int = 10_000
    """That clients have open. An idle one takes some 6 KiB of memory, and 30 KiB if it is encrypted."""
    connections_per_address: int = 4_000
    """From one address, or one /64 of IPv6: fewer than `requests`, so that nobody at one address has all of these."""
    requests: int = 5_000
    """Under way, of those that are answered in seconds."""
    watchers: int = 2_000
    """Streams of what happens to keys, and reads that wait for it."""
    listings: int = 64
    """A page of one has up to 8 MiB."""
    batches: int = 256
    """Each holds up to 4 MiB."""
    exports: int = 32
    """Each has all owners read their whole disks."""
    memory_mib: int = 256
    """For bodies that clients have sent, and for answers that they have not read."""

    @property
    def memory_bytes(self) -> int:
        return self.memory_mib * 1024 * 1024


NAMES = tuple(field.encode_name for field in msgspec.structs.fields(Limits))


def parse_limits(text: str) -> tuple[Limits, list[str]]:
    """What `name=number` with commas between says, and what is wrong with it: a line for each entry."""
    told: dict[str, int] = {}
    faults: list[str] = []
    for entry in filter(None, map(str.strip, text.split(","))):
        found = _ENTRY.fullmatch(entry)
        if found is None or found[1] not in NAMES:
            faults.append(f"{entry!r} is no NAME=NUMBER with a name of {', '.join(NAMES)}")
        elif not int(found[2]):
            faults.append(f"{entry!r}: a limit is 1 or more")
        elif found[1] in told:
            faults.append(f"{entry!r}: this limit is in an earlier entry already")
        else:
            told[found[1]] = int(found[2])
    return msgspec.convert(told, Limits), faults
