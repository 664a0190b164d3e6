"""How nodes to ask are written: as people have them at hand, with `http://` and a slash, or without their port."""

from __future__ import annotations

from collections.abc import Iterable

from gossip.view import BadAddress, host_of, parse_nodes, port_of
from kvs.errors import BadRequest

SCHEME = "http://"
PORT = 13800
"""Where a node listens of which nothing else is said."""


def parse_endpoints(text: str) -> tuple[str, ...]:
    """The addresses of a comma-separated list. Raises BadAddress."""
    return parse_nodes(",".join(_whole(entry.strip()) for entry in text.split(",")))


def endpoints_of(given: str | Iterable[str]) -> tuple[str, ...]:
    """The same, of a list with commas or of several. Raises BadRequest."""
    try:
        return parse_endpoints(given if isinstance(given, str) else ",".join(given))
    except BadAddress as error:
        raise BadRequest(str(error)) from None


def host_and_port(address: str) -> tuple[str, int]:
    return host_of(address), port_of(address)


def _whole(typed: str) -> str:
    scheme = typed[: len(SCHEME)].lower() == SCHEME
    address = (typed[len(SCHEME) :] if scheme else typed).removesuffix("/")
    has_port = address.rpartition("]")[2].rpartition(":")[1]
    return f"{address}:{PORT}" if address and not has_port else address
