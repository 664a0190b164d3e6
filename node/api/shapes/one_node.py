"""The bodies of what a node says of itself."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from node.api.shapes.words import Address, Addresses, Count, Digest, Epoch

Bytes = Annotated[int, Meta(ge=0)]
Release = Annotated[str, Meta(description="null: it runs from its source")]


class Index(Struct, frozen=True):
    """What is where."""

    message: str
    version: Release | None
    address: Address
    paths: Annotated[dict[str, str], Meta(description="What each path takes, and what for")]
    links: Annotated[dict[str, str], Meta(description="What can be opened as it is, by what it is")]


class Environment(Struct, frozen=True, rename="kebab"):
    """What the node was told at its start, defaults included."""

    view: Addresses
    repl_factor: int | None
    cluster: str
    round_trip_ms: int
    log_level: str
    log_format: str
    slow_request_ms: int


class Disk(Struct, frozen=True, rename="kebab"):
    """Where the data is; null: the machine does not tell."""

    free_bytes: Bytes | None
    bytes: Bytes | None
    full: bool
    hangs: bool


class Peer(Struct, frozen=True, rename="kebab"):
    """How this node reaches another one."""

    address: Address
    reached: bool
    took_ms: Annotated[float, Meta(description="To answer; null: it does not")] | None
    clock_offset_ms: Annotated[int, Meta(description="By how much its clock is ahead of this node's")] | None
    name_fault: Annotated[str, Meta(description="Why its name leads nowhere")] | None


class Report(Struct, frozen=True, rename="kebab"):
    """What this node is, how it is, and how it reaches the others."""

    message: Literal["Node retrieved successfully"]
    address: Address
    release: Release | None
    epoch: Epoch
    digest: Digest
    zone: str
    zone_in_view: Annotated[str, Meta(description="null: it is not in the view")] | None
    key_count: Count
    settled: bool
    whole: Annotated[bool, Meta(description="Whether its disk has all that it should have")]
    ready: bool
    wall_ms: Annotated[int, Meta(description="Its clock, in milliseconds since 1970")]
    environment: Environment
    disk: Disk
    peers: tuple[Peer, ...]
