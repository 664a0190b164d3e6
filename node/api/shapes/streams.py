"""The bodies of what is about many keys: pages, lines and events."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from node.api.shapes.keys import TtlAsked
from node.api.shapes.words import KEY_CHARACTERS_MAX, YES, Addresses, ETag, JsonValue, Key, TtlLeft

Next = Annotated[str, Meta(description="To be given as `after` for the next page; null: this is the last one")]


class Entry(Struct, frozen=True):
    """A key and its value."""

    key: Key
    value: JsonValue
    etag: ETag
    ttl: TtlLeft | UnsetType = UNSET


class Keys(Struct, frozen=True):
    """A page of keys, in the order of their UTF-8 bytes."""

    message: Literal["Keys retrieved successfully"]
    keys: tuple[Key, ...]
    next: Next | None


class Entries(Struct, frozen=True):
    """A page of keys and values, in the order of the keys' UTF-8 bytes."""

    message: Literal["Keys retrieved successfully"]
    entries: tuple[Entry, ...]
    next: Next | None


class Exported(Struct, frozen=True, forbid_unknown_fields=True):
    """A key and its value."""

    key: Key
    value: JsonValue
    expires: Annotated[float, Meta(description="Seconds since 1970; only of one that expires")] | UnsetType = UNSET


class Cursor(Struct, frozen=True, forbid_unknown_fields=True):
    """All before it was told: an export may go on from here."""

    cursor: str


class End(Struct, frozen=True, forbid_unknown_fields=True):
    """All was told."""

    end: Annotated[bool, YES]


class Broken(Struct, frozen=True, forbid_unknown_fields=True):
    """It cannot go on: some of what these nodes have was not told."""

    error: str
    unreachable: Addresses


class BatchLine(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """One operation."""

    op: Annotated[str, Meta(extra_json_schema={"enum": ["put", "get", "delete"]})]
    key: Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": KEY_CHARACTERS_MAX})]
    value: Annotated[Raw, Meta(description="Of a put, and of nothing else")] | UnsetType = UNSET
    ttl: TtlAsked | UnsetType = UNSET
    if_match: Annotated[str, Meta(description="As the header of this name")] | None = None
    if_none_match: Annotated[str, Meta(description="As the header of this name")] | None = None
    causal_context: (
        Annotated[Raw, Meta(description="A batch takes none", extra_json_schema={"not": {}})] | UnsetType
    ) = UNSET


class BatchAnswer(Struct, frozen=True):
    """What the operation would have been answered alone: its status, the fields of its body, and its headers."""

    status: Annotated[int, Meta(ge=200, le=599)]
    key: Annotated[str, Meta(description="Missing where the line names none")] | UnsetType = UNSET
    etag: ETag | UnsetType = UNSET


class Happened(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The `data` of an event: of `put` with the value, of `delete` and `expire` without."""

    key: Key
    value: JsonValue | UnsetType = UNSET
    etag: ETag
    ttl: TtlLeft | UnsetType = UNSET


class Event(Struct, frozen=True):
    """What happened, as a server-sent event."""

    event: Literal["put", "delete", "expire", "gap"]
    id: Annotated[str, Meta(description="To be given as `Last-Event-ID` by who goes on from here")]
    data: str


class Gap(Struct, frozen=True, forbid_unknown_fields=True):
    """The `data` of `gap`: something may have been missed."""

    why: str
