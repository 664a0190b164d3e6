"""A view change as it is asked for."""

from __future__ import annotations

from collections.abc import Collection

from gossip.view import Address
from node.node import Node
from node.views.change_conditions import Wish
from node.views.coordinator import Settled


async def change(node: Node, nodes: Collection[Address], factor: int | None = None) -> Settled:
    """As the API does it."""
    return await node.coordinator.await_settled(await node.coordinator.change(Wish(frozenset(nodes), factor)))
