"""What the nodes tell of their views and counts, and waiting until they agree."""

from __future__ import annotations

from collections.abc import Iterable

from gossip.view import Address
from tests.cluster import Client, Reply, eventually


def count(reply: Reply) -> int:
    """The keys that a view change reports, all together."""
    assert reply.status == 200, reply.body
    return sum(shard["key-count"] for shard in reply.json["shards"])


async def counts_of(http: Client, nodes: Iterable[Address]) -> list[int]:
    return [await http.key_count(node) for node in nodes]


async def one_view(http: Client, nodes: Iterable[Address], members: Iterable[Address]) -> None:
    """Wait until all `nodes` hold one and the same view, of these members."""

    async def same() -> bool:
        held = {await http.view_of(node) for node in nodes}
        return len(held) == 1 and held.pop()[2] == frozenset(members)

    await eventually(same, "one view everywhere")


async def settles(http: Client, nodes: Iterable[Address]) -> None:
    async def settled() -> bool:
        shown = [(await http.ask(node, "GET", "/kvs/view-change")).json["state"] for node in nodes]
        return set(shown) == {"settled"}

    await eventually(settled, "the view change settles")
