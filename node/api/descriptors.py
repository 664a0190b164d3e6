"""How many descriptors the process may have open, and what is kept of them for other nodes and the disk.

A process that has none left can neither be called nor call, so clients, however idle, would part it from the other
nodes. The lowest number that is free is given to each new connection: so whoever gets one of the last is told apart by
its number alone, and nothing need be counted.
"""

from __future__ import annotations

import resource

OWN = 24
"""What a node needs for itself: its disk, its log, its loop."""
PER_NODE = 6
"""Links to and from each other node, a second one while the first is being replaced."""


def raise_limit() -> None:
    """To what the operator has allowed at most: the lower limit is for programs that cannot handle more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError):  # Some systems give more as the limit than they allow.
            return


def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def for_clients(limit: int, nodes: int) -> int:
    """The numbers that clients may have are below this, in a store of so many nodes: at least half of them."""
    return max(limit - OWN - PER_NODE * nodes, limit // 2)
