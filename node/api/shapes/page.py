"""The bodies of what only the page asks for."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from node.api.shapes.words import Address, Count, ETag

Milliseconds = Annotated[int, Meta(description="Since 1970")]
State = Literal["value", "deleted", "expired", "none", "unknown"]


class Copy(Struct, frozen=True, rename="kebab"):
    """What one node says of its copy of a key."""

    address: Address
    owner: Annotated[bool, Meta(description="Whether it owns the key now, or may have it from an earlier view")]
    state: Annotated[State, Meta(description="`none`: nothing of it is known there; `unknown`: it does not say")]
    etag: ETag | UnsetType = UNSET
    written_ms: Milliseconds | UnsetType = UNSET
    expires_ms: Milliseconds | UnsetType | None = UNSET
    bytes: Annotated[int, Meta(ge=0, description="Of the value")] | UnsetType = UNSET


class Copies(Struct, frozen=True, rename="kebab"):
    """Where each copy of a key stands."""

    message: Literal["Copies retrieved successfully"]
    partition: Count
    shard_id: str
    copies: tuple[Copy, ...]
