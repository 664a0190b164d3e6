"""What a request for a view change says: its options, and the fields of its body.

Nothing in it is passed over. A condition that was misspelled, and a trial that was meant to be one, would otherwise end
in a change that somebody wanted to be safe from.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

import msgspec

from gossip.view import Address, BadAddress, parse_nodes
from node.api.data import decode_body
from node.errors import RequestFault

TRUTH = {"true": True, "false": False}
IGNORED = {"causal-context"}
"""Fields that clients of data send with whatever they ask."""


class Options(NamedTuple):
    """Of the URL."""

    dry_run: bool = False
    wait: bool = True


class ViewChangeBody(msgspec.Struct, frozen=True, rename="kebab"):
    view: Any = msgspec.UNSET
    repl_factor: Any = msgspec.UNSET
    if_epoch: Any = msgspec.UNSET
    if_safe: Any = msgspec.UNSET
    gone_for_good: Any = msgspec.UNSET


_bodies = msgspec.json.Decoder(ViewChangeBody)
_any_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_fields = {field.encode_name for field in msgspec.structs.fields(ViewChangeBody)}


def options_of(query: Mapping[str, str]) -> Options:
    """Raises RequestFault."""
    demand_known("option", query, {"dry-run", "wait"})
    for name, value in query.items():
        if value not in TRUTH:
            raise RequestFault(f"Malformed {name}: neither true nor false")
    return Options(TRUTH[query.get("dry-run", "false")], TRUTH[query.get("wait", "true")])


def body_of(data: bytes, names_view: bool) -> ViewChangeBody:
    """`names_view`: whether it has to. Raises RequestFault."""
    body: ViewChangeBody = decode_body(data, _bodies, ViewChangeBody())
    if names_view and body.view is msgspec.UNSET:
        raise RequestFault("View is missing")
    demand_known("field", decode_body(data, _any_object, {}).keys() - IGNORED, _fields)
    return body


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


def if_epoch_of(body: ViewChangeBody) -> int | None:
    """Raises RequestFault."""
    epoch = body.if_epoch
    if epoch is msgspec.UNSET:
        return None
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
        raise RequestFault("Malformed if-epoch: not a whole number from 0 on, the epoch of the view in force")
    return epoch


def if_safe_of(body: ViewChangeBody) -> bool:
    """Raises RequestFault."""
    return _truth("if-safe", body.if_safe)


def gone_for_good_of(body: ViewChangeBody) -> bool:
    """Raises RequestFault."""
    return _truth("gone-for-good", body.gone_for_good)


def _truth(name: str, value: Any) -> bool:
    if value is msgspec.UNSET:
        return False
    if not isinstance(value, bool):
        raise RequestFault(f"Malformed {name}: neither true nor false")
    return value


def demand_known(kind: str, names: Collection[str], known: Collection[str]) -> None:
    """Raises RequestFault."""
    for name in sorted(set(names) - set(known)):
        meant = get_close_matches(name.replace("_", "-").lower(), sorted(known), 1, 0.5)
        hint = f"did you mean {meant[0]}?" if meant else f"known are {', '.join(sorted(known)) or 'none'}"
        raise RequestFault(f"Unknown {kind} {name}: {hint}")
