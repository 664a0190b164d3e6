"""What a run looks like to somebody who has to find out why a seed failed: one line for each thing that happened.

    time         n1 -> n2 #7 Write k3 = 12 @4.1/ab12 ...   a call arrives, as the seventh of n1
    time         n2 => n1 #7 Wrote replaced=True           its answer arrives
    time         n1 ~> n2 Digest ...                       a gossip message arrives
    time         c4 puts k3 = 12 through n1                what a client asks, and later what it was told
    time      !! n3 is killed                              a fault

A node goes by its address, without the port if that is 1, a view by its epoch and the first digits of its digest, a
version by its clock (ms since the start, counter) and the first digits of the store that stamped it. What is long is
counted, not shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from gossip.view import Address, ViewId, decode_view
from node.net.messages import CountKeys, Holding, Push, Status
from node.values.record import decode_record

Trace: TypeAlias = Callable[[str], None]
"""Takes what happened now."""

WALL_START_MS = 1_700_000_000_000
"""When simulations begin, by the wall clock."""
SHOWN_MAX = 12
"""Entries of a list that are shown."""


def name_of(address: Address) -> str:
    return address.removesuffix(":1")


def names_of(addresses: Any) -> str:
    return ",".join(map(name_of, addresses))


def view_name(view_id: ViewId) -> str:
    return f"{view_id.epoch}.{view_id.digest >> 48:04x}"


def version_name(version: bytes) -> str:
    clock, store = int.from_bytes(version[:8]), version[8:10].hex()
    return f"{(clock >> 16) - WALL_START_MS}.{clock & 0xFFFF}/{store}"


def brief(message: Any) -> str:
    """A message in one line."""
    name = type(message).__name__
    match message:
        case Push(records, finished):
            keys = " ".join(f"{key.decode()}@{_record(record)}" for key, record in records[:SHOWN_MAX])
            more = " ..." if len(records) > SHOWN_MAX else ""
            return f"{name} {len(records)} records [{keys}{more}], {len(finished) // 2} partitions finished"
        case Holding(partitions) | CountKeys(partitions):
            return f"{name} {len(partitions) // 2} partitions"
        case Status():
            handing = names_of(owed.address for owed in message.handing)
            waiting = names_of(owed.address for owed in message.waiting)
            settled = "settled" if message.settled else f"hands to [{handing}], waits for [{waiting}]"
            return f"{name} view={view_name(message.view)} promised={message.promised} {settled}"
    fields = (f"{field}={_brief_field(field, getattr(message, field))}" for field in message.__struct_fields__)
    return " ".join([name, *fields])


def _brief_field(name: str, value: Any) -> str:
    match name, value:
        case _, ViewId():
            return view_name(value)
        case "view", bytes():
            return view_name(decode_view(value).id)
        case "version", bytes():
            return version_name(value)
        case "record", bytes():
            return _record(value)
        case _, bytes():
            return value.decode(errors="replace") if len(value) <= 40 else f"{len(value)} bytes"
        case "target", str() if "/" in value:
            return value[:6]
        case (("coordinator" | "target" | "address"), str()) if value:
            return name_of(value)
        case _, tuple():
            more = ["..."] if len(value) > SHOWN_MAX else []
            return f"[{' '.join([*(_brief_entry(entry) for entry in value[:SHOWN_MAX]), *more])}]"
        case _, msgspec.Struct():
            return _brief_entry(value)
    return str(value)


def _brief_entry(entry: Any) -> str:
    if isinstance(entry, str):
        return name_of(entry)
    if isinstance(entry, msgspec.Struct):
        values = (getattr(entry, field) for field in entry.__struct_fields__)
        return "/".join(name_of(value) if isinstance(value, str) else str(value) for value in values)
    return str(entry)


def _record(encoded: bytes) -> str:
    record = decode_record(encoded)
    value = "deleted" if record.value is None else record.value.decode()
    return f"{version_name(record.version)}={value}"
