"""Which view holds: the value that every node agrees on, its total order, and its validation.

A view says who owns what: a list of shards, each a tuple of replica addresses, and a table from partition to shard.
From epoch 1 on, views are totally ordered by their id, (epoch, digest), and the higher one wins, always and everywhere.
Were the digest not part of the order, the two sides of a cut that both made epoch 5 would never agree; were it not
taken over the whole content, two different views could pass for one.

A view from outside is decoded and checked whole by `decode_view`, once.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias, TypeVar

import msgspec
import xxhash

T = TypeVar("T", int, str, tuple[str, bool], "ViewId")

ADDRESSES_KEPT = 16_384
"""Parsed addresses that are remembered: more than there ever are nodes, as every message names some of them."""
FIELDS_ALWAYS = 9
"""The fields of a view that are always encoded: up to `spare_until_ms`."""
FORMER_MAX = 4
"""To how many views before it a view may be taken back, one after the other, while none of them had settled."""
ELECTORS_MAX = 8
"""Of how many views before it a view names the nodes as its electors: each of them but the first was made while nobody
could tell whether the one before it was established."""
VIEWS_KEPT = 8
"""Decoded views that are remembered: at a change the same view comes from many peers, once for each refused call."""

Address: TypeAlias = str
"""`host:port` in canonical form, as made by `parse_address`."""

Zone: TypeAlias = str
"""What fails together, as an operator names it: a host, a rack, an availability zone."""
ZONE_CHARS_MAX = 255
"""As long as a host may be, which is the zone of a node that was told of none."""

_HOST_AND_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:/\s,]+)):(?P<port>[1-9][0-9]{0,4})")
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\.)*(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")


_RULE = "it is an IP or a name, a colon, and a port from 1 to 65535"


class BadAddress(ValueError):
    """The text is not an address, or not a list of distinct addresses. `faults`: what is wrong, naming the entry."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class BadView(ValueError):
    """The bytes are not a view, or they are one that contradicts itself."""


@lru_cache(ADDRESSES_KEPT)
def parse_address(text: str) -> Address:
    """The canonical form of `text`: `10.0.0.1:80`, `[::1]:80` or `name:80`. Raises BadAddress."""
    match = _HOST_AND_PORT.fullmatch(text.strip())
    if match is None or int(match["port"]) > 65535:
        raise BadAddress(f"malformed address {text.strip()!r}: {_RULE}")
    host, port = match["host"], match["port"]
    try:
        if match["six"]:
            return f"[{ipaddress.IPv6Address(match['six']).compressed}]:{port}"
        if re.fullmatch(r"[0-9.]+", host):
            return f"{ipaddress.IPv4Address(host)}:{port}"
    except ValueError:
        raise BadAddress(f"malformed address {text.strip()!r}: {_RULE}") from None
    if _DNS_NAME.fullmatch(host) is None:
        raise BadAddress(f"malformed address {text.strip()!r}: {_RULE}")
    return f"{host.lower()}:{port}"


def parse_nodes(text: str) -> tuple[Address, ...]:
    """The addresses of a comma-separated list, in its order. Raises BadAddress with the faults of all entries, in their
    order: those that are empty, malformed, or name an address a second time."""
    nodes: dict[Address, None] = {}
    faults: list[str] = []
    for entry in text.split(","):
        try:
            node = parse_address(entry)
            if node in nodes:
                raise BadAddress(f"duplicate address {node!r}")
            nodes[node] = None
        except BadAddress as error:
            faults += error.faults if entry.strip() else ["empty address"]
    if faults:
        raise BadAddress(*faults)
    return tuple(nodes)


def host_of(address: Address) -> str:
    """The host of a canonical address, without the brackets of an IPv6 one."""
    return address.rpartition(":")[0].strip("[]")


def port_of(address: Address) -> int:
    return int(address.rpartition(":")[2])


def is_zone(text: str) -> bool:
    """Whether a zone may be called that: by something that can be printed, and stand in a list."""
    printable = text.isprintable() and not any(char.isspace() or char == "," for char in text)
    return printable and 0 < len(text) <= ZONE_CHARS_MAX


class ViewId(NamedTuple):
    """Identifies and orders views. Every request between nodes carries that of its sender's view."""

    epoch: int
    digest: int

    def supersedes(self, other: ViewId) -> bool:
        """Whether a node that holds the view of `other` has to take the view of this id instead: it is of epoch 1 or
        later, and higher. A view of epoch 0 comes from the environment of its node, and supersedes none."""
        return self.epoch > 0 and self > other

    def __str__(self) -> str:
        return f"{self.epoch}/{self.digest:016x}"


class Former(NamedTuple):
    """A view before another one, as far as it is needed to come back."""

    id: ViewId
    repl_factor: int | None
    shards: tuple[tuple[Address, ...], ...]

    @property
    def nodes(self) -> frozenset[Address]:
        return frozenset(address for replicas in self.shards for address in replicas)


class Electors(NamedTuple):
    """The nodes of a view before another one: a quorum of them must hold that one before anything is decided under it,
    see `views.quorum`."""

    id: ViewId
    """Of the view whose nodes they are."""
    nodes: tuple[Address, ...]
    """Ascending. None: there is no quorum of them, ever."""


class View(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, dict=True):
    """Who owns what, under which epoch. Equal views have equal encodings, and so equal ids."""

    lineage: int
    """The digest of the epoch-0 view on which the first change was built; 0 in an epoch-0 view itself."""
    epoch: int
    base: ViewId | None
    """The id of the view that this one was built on; None at epoch 0."""
    coordinator: Address
    """The node that made this view, for people to see; empty at epoch 0."""
    repl_factor: int | None
    """Copies of each shard; None until a factor is given for the first time (the plain form of the API)."""
    shards: tuple[tuple[Address, ...], ...]
    table: bytes
    """For each partition the index of its shard, as a big-endian 16-bit number."""
    donors: tuple[tuple[Address, bool, bytes], ...]
    """Earlier owners that may still hold keys, ascending: the address; whether it may hold what nobody else has; the
    partitions of these keys (ascending, 16 bits each)."""
    spare_until_ms: int = 0
    """Until this time, in ms since 1970, no deletion is forgotten, as a node was removed that may come home. 0 at epoch
    0."""
    zones: tuple[tuple[Address, Zone], ...] = ()
    """The zones of those nodes whose zone is not their host, ascending by address. None at epoch 0."""
    former: tuple[Former, ...] = ()
    """The views to which it may be taken back while it has not settled, the one before it first; at most FORMER_MAX.
    Each was left before it had settled, but for the last."""
    absent: tuple[Address, ...] = ()
    """Nodes of the views before it that are not in it, and could not be reached when it was made, ascending: what only
    they have is given up until they are back."""
    electors: tuple[Electors, ...] = ()
    """Those of the view that this one was built on, last; before them those of earlier views, as long as nobody could
    tell whether the one that came next was established. None at epoch 0, in what an earlier release has made, and where
    an operator has vouched for those who were missing."""

    @cached_property
    def id(self) -> ViewId:
        return ViewId(self.epoch, xxhash.xxh3_64_intdigest(self.encoded))

    @cached_property
    def nodes(self) -> frozenset[Address]:
        return frozenset(address for replicas in self.shards for address in replicas)

    @cached_property
    def donor_nodes(self) -> frozenset[Address]:
        return frozenset(address for address, *_ in self.donors)

    @cached_property
    def encoded(self) -> bytes:
        """The canonical encoding, over which the digest is taken. A field that came after the first release of this
        form is left out where it says nothing, with all after it: views from before it keep their ids."""
        fields: list[object] = [getattr(self, name) for name in self.__struct_fields__]
        while len(fields) > FIELDS_ALWAYS and not fields[-1]:
            fields.pop()
        return msgspec.msgpack.encode(fields)

    @cached_property
    def zone_of(self) -> Mapping[Address, Zone]:
        """By node."""
        return {node: host_of(node) for node in self.nodes} | dict(self.zones)

    @property
    def plain(self) -> bool:
        """Whether the API answers in the plain form: with an entry per address instead of one per shard."""
        return self.repl_factor is None

    @property
    def lineage_of_successor(self) -> int:
        """The lineage of any view built on this one."""
        return self.lineage if self.epoch else self.id.digest


@lru_cache(VIEWS_KEPT)
def decode_view(data: bytes) -> View:
    """The view encoded in `data`, checked whole. Raises BadView."""
    try:
        view = msgspec.msgpack.decode(data, type=View)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadView(f"not a view: {error}") from None
    check_view(view)
    return view


def check_view(view: View) -> None:
    """Raises BadView if the view contradicts itself."""
    addresses = [address for replicas in view.shards for address in replicas]
    partitions = len(view.table) // 2
    _demand(0 <= view.epoch < 2**63 and 0 <= view.lineage < 2**64, "epoch or lineage out of range")
    _demand(
        (view.epoch == 0) == (view.base is None) == (view.lineage == 0) == (not view.coordinator),
        "half an epoch-0 view",
    )
    _demand(0 <= view.spare_until_ms < 2**63 and (view.epoch > 0 or view.spare_until_ms == 0), "spares nobody")
    _demand(view.base is None or view.base.epoch < view.epoch, "built on a later view")
    _demand(view.repl_factor is None or view.repl_factor >= 1, "replication factor below 1")
    _demand(bool(addresses) and all(view.shards), "a shard without replicas")
    _demand(len(set(addresses)) == len(addresses), "an address stands in two places")
    _demand(partitions > 0 and len(view.table) % 2 == 0, "no partitions")
    _demand(max(_numbers(view.table)) < len(view.shards), "a partition without a shard")
    donors = [address for address, *_ in view.donors]
    _demand(_ascends([(address, alone) for address, alone, _ in view.donors]), "donors out of order")
    for *_, held in view.donors:
        _demand(len(held) % 2 == 0 and len(held) > 0, "a donor of nothing")
        _demand(
            _ascends(_numbers(held)) and _numbers(held)[-1] < partitions, "donated partitions out of order or range"
        )
    _check_zones(view)
    _check_former(view)
    _demand(_ascends(view.absent) and view.nodes.isdisjoint(view.absent), "the absent out of order, or not absent")
    _check_electors(view)
    for address in (*addresses, *donors, *view.absent, *filter(None, [view.coordinator])):
        _demand_canonical(address)


def _check_former(view: View) -> None:
    """Raises BadView."""
    _demand(len(view.former) <= FORMER_MAX, "more former views than are kept")
    ids = [former.id for former in reversed(view.former)]
    _demand(_ascends(ids) and all(id_.epoch < view.epoch for id_ in ids), "former views out of order")
    for former in view.former:
        addresses = [address for replicas in former.shards for address in replicas]
        _demand(former.repl_factor is None or former.repl_factor >= 1, "a former replication factor below 1")
        _demand(bool(addresses) and all(former.shards), "a former shard without replicas")
        _demand(len(set(addresses)) == len(addresses), "an address stood in two places")
        for address in addresses:
            _demand_canonical(address)


def _check_electors(view: View) -> None:
    """Raises BadView."""
    ids = [electors.id for electors in view.electors]
    _demand(len(ids) <= ELECTORS_MAX, "electors of more views than are kept")
    _demand(_ascends(ids) and all(id_.epoch < view.epoch for id_ in ids), "electors out of order")
    for electors in view.electors:
        _demand(_ascends(electors.nodes), "an electorate out of order")
        for address in electors.nodes:
            _demand_canonical(address)


def _demand_canonical(address: str) -> None:
    try:
        _demand(parse_address(address) == address, f"address {address!r} is not canonical")
    except BadAddress as error:
        raise BadView(str(error)) from None


def _check_zones(view: View) -> None:
    _demand(view.epoch > 0 or not view.zones, "an epoch-0 view with zones")
    _demand(_ascends([address for address, _ in view.zones]), "zones out of order")
    for address, zone in view.zones:
        _demand(address in view.nodes, "a zone of a node that is not in the view")
        _demand(is_zone(zone), f"{zone!r} is no name of a zone")
        _demand(zone != host_of(address), "a zone that goes without saying")


def _numbers(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(packed) // 2}H", packed)


def _ascends(values: Sequence[T]) -> bool:
    return list(values) == sorted(set(values))


def _demand(holds: bool, fault: str) -> None:
    if not holds:
        raise BadView(fault)
