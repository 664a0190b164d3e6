"""What a request for a view change says: its options, and the fields of its body.

Nothing in it is passed over. A condition that was misspelled, and a trial that was meant to be one, would otherwise end
in a change that somebody wanted to be safe from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from gossip.view import Address, BadAddress, parse_nodes
from node.api.data import decode_body
from node.api.query import demand_known, truth_of
from node.api.query import options_of as query_options_of
from node.api.shapes.cluster import TakeBackBody, ViewChangeBody
from node.errors import RequestFault

IGNORED = {"causal-context"}
"""Fields that clients of data send with whatever they ask."""


class Options(NamedTuple):
    """Of the URL."""

    dry_run: bool = False
    wait: bool = True


_changes, _take_backs = msgspec.json.Decoder(ViewChangeBody), msgspec.json.Decoder(TakeBackBody)
_any_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def options_of(query: str) -> Options:
    """`query`: as it was sent. Raises RequestFault."""
    given = query_options_of(query, {"dry-run", "wait"})
    return Options(truth_of(given, "dry-run", False), truth_of(given, "wait", True))


def change_of(data: bytes) -> ViewChangeBody:
    """The body of a view change. Raises RequestFault."""
    body: ViewChangeBody = decode_body(data, _changes, ViewChangeBody())
    if body.view is msgspec.UNSET:
        raise RequestFault("View is missing")
    _demand_known_fields(data, ViewChangeBody)
    return body


def take_back_of(data: bytes) -> TakeBackBody:
    """The body of one that is taken back. Raises RequestFault."""
    body: TakeBackBody = decode_body(data, _take_backs, TakeBackBody())
    _demand_known_fields(data, TakeBackBody)
    return body


def _demand_known_fields(data: bytes, body: type[TakeBackBody]) -> None:
    """Raises RequestFault."""
    known = {field.encode_name for field in msgspec.structs.fields(body)}
    sent = decode_body(data, _any_object, {}).keys()
    demand_known("field", sent - IGNORED, known - IGNORED)


def target_of(body: ViewChangeBody) -> tuple[tuple[Address, ...], int | None]:
    """The nodes in the order given, and the replication factor. Raises RequestFault."""
    if not isinstance(body.view, str):
        raise RequestFault("Malformed view: not a text")
    try:
        nodes = parse_nodes(body.view)
    except BadAddress as error:
        raise RequestFault(f"Malformed view: {error}") from None
    factor = body.repl_factor
    if factor is msgspec.UNSET:
        return nodes, None
    if not isinstance(factor, int) or isinstance(factor, bool) or not 1 <= factor <= len(nodes):
        raise RequestFault(f"Malformed repl-factor: not a whole number from 1 to {len(nodes)}, the number of nodes")
    return nodes, factor


def if_epoch_of(body: TakeBackBody) -> int | None:
    """Raises RequestFault."""
    epoch = body.if_epoch
    if epoch is msgspec.UNSET:
        return None
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
        raise RequestFault("Malformed if-epoch: not a whole number from 0 on, the epoch of the view in force")
    return epoch


def if_safe_of(body: TakeBackBody) -> bool:
    """Raises RequestFault."""
    return _truth("if-safe", body.if_safe)


def gone_for_good_of(body: TakeBackBody) -> bool:
    """Raises RequestFault."""
    return _truth("gone-for-good", body.gone_for_good)


def _truth(name: str, value: Any) -> bool:
    if value is msgspec.UNSET:
        return False
    if not isinstance(value, bool):
        raise RequestFault(f"Malformed {name}: neither true nor false")
    return value
