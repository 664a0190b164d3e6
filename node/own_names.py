"""Does `VIEW` give this node a second name? Then it would wait for itself, under that name, for ever.

`localhost:13800` and `127.0.0.1:13800` are two members of a view, each with its share of the keys, and one of them
never answers. Only a node itself can be sure: what others are called by may not be known yet, or be known wrongly,
while they have yet to start. So each looks up its own name, and whether another one leads to the same address and port.
What takes the resolver too long is taken for another node, until this one reaches itself under that name; see
`net.handshake`.

Only a node that has nothing yet goes by `VIEW`, and so it alone is refused. Where nodes are started anew with IPs that
others had before, and the name server is late, the name of another node leads here for a while: that must not keep a
node, and its keys, away.
"""

from __future__ import annotations

import time
from functools import partial
from queue import Empty, SimpleQueue

from gossip.view import Address, host_of, port_of
from node.config import Config
from node.errors import BadEnvironment
from node.net.names import Found, Lookup, begin, look_up
from node.storage.data_dir import has_store

LOOKUP_S = 0.3
"""A node listens within a second of its start."""
LOOKUPS_MAX = 100
"""Each has a thread of its own, see `net.names`."""


class TwoNames(BadEnvironment):
    """`VIEW` has other names for the node of this address."""

    def __init__(self, address: Address, *others: Address) -> None:
        super().__init__(
            *(f"VIEW: {other!r} is this node, whose ADDRESS is {address!r}: give it one name" for other in others)
        )


def demand_one_name(config: Config, lookup: Lookup = look_up) -> None:
    """Raises TwoNames, with all in `VIEW` that are other names of this node, unless there is a store on its disk."""
    if has_store(config.data_dir):
        return
    own, port = host_of(config.address), port_of(config.address)
    others = [node for node in config.view if node != config.address and port_of(node) == port][: LOOKUPS_MAX - 1]
    if not others:
        return
    found = _look_up_all({own, *map(host_of, others)}, lookup)
    aliases = [other for other in others if found.get(host_of(other), set()) & found.get(own, set())]
    if aliases:
        raise TwoNames(config.address, *aliases)


def _look_up_all(hosts: set[str], lookup: Lookup) -> dict[str, set[str]]:
    """What could be found within `LOOKUP_S`."""
    results: SimpleQueue[tuple[str, set[str]]] = SimpleQueue()

    def tell(host: str, found: Found) -> None:
        results.put((host, set() if isinstance(found, OSError) else set(found)))

    for host in hosts:
        begin(lookup, host, partial(tell, host))
    found: dict[str, set[str]] = {}
    until = time.monotonic() + LOOKUP_S
    while len(found) < len(hosts):
        try:
            host, addresses = results.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        found[host] = addresses
    return found
