"""How nodes to ask are written: as people have them at hand, with `https://` and a slash, or without their port.

All nodes of a store speak TLS, or none does, so where one endpoint has `https://`, all are asked that way. That stays
with each of them wherever it is passed on, so that none is ever asked in the clear by mistake.
"""

from __future__ import annotations

from collections.abc import Iterable

from gossip.view import BadAddress, host_of, parse_nodes, port_of
from kvs.errors import BadRequest

HTTP, HTTPS = "http://", "https://"
PORT = 13800
"""Where a node listens of which nothing else is said."""


def parse_endpoints(text: str) -> tuple[str, ...]:
    """Those in a comma-separated list: addresses; or, if they are to be asked by TLS, each with `https://` before it.
    Raises BadAddress."""
    entries = [entry.strip() for entry in text.split(",")]
    is_secure = any(_has(entry, HTTPS) for entry in entries)
    if is_secure and any(_has(entry, HTTP) for entry in entries):
        raise BadAddress(f"{HTTP} and {HTTPS} together: all nodes of a store speak TLS, or none does")
    addresses = parse_nodes(",".join(map(_whole, entries)))
    return tuple(f"{HTTPS}{address}" for address in addresses) if is_secure else addresses


def endpoints_of(given: str | Iterable[str]) -> tuple[str, ...]:
    """The same, of a list with commas or of several. Raises BadRequest."""
    try:
        return parse_endpoints(given if isinstance(given, str) else ",".join(given))
    except BadAddress as error:
        raise BadRequest(str(error)) from None


def are_secure(endpoints: Iterable[str]) -> bool:
    """Whether they are to be asked by TLS."""
    return any(_has(endpoint, HTTPS) for endpoint in endpoints)


def addresses_of(endpoints: Iterable[str]) -> tuple[str, ...]:
    return tuple(endpoint.removeprefix(HTTPS) for endpoint in endpoints)


def host_and_port(address: str) -> tuple[str, int]:
    return host_of(address), port_of(address)


def _has(typed: str, scheme: str) -> bool:
    return typed[: len(scheme)].lower() == scheme


def _whole(typed: str) -> str:
    scheme = next((scheme for scheme in (HTTPS, HTTP) if _has(typed, scheme)), "")
    address = typed[len(scheme) :].removesuffix("/")
    has_port = address.rpartition("]")[2].rpartition(":")[1]
    return f"{address}:{PORT}" if address and not has_port else address
