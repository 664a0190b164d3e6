"""One gossip state machine, `a:1` in a view of four nodes, and what others say to it."""

from __future__ import annotations

from typing import TypeVar

from gossip.core import Gossip, Output
from gossip.membership import State
from gossip.messages import Delta, Digest, MemberRecord, Message, Rumour
from gossip.settings import Settings
from gossip.view import Address, ViewId
from tests.gossip.network import SETTINGS

VIEW_ID = ViewId(3, 30)
NODES = frozenset(["a:1", "b:1", "c:1", "d:1"])
STEP_S = SETTINGS.interval_s

M = TypeVar("M", bound=Message)


def record(address: Address, incarnation: int = 1, version: int = 0, store_id: int = 7) -> MemberRecord:
    return MemberRecord(address, incarnation, version, store_id, settled_epoch=3, key_count=5)


def ping(address: Address, *rumours: Rumour, view_id: ViewId = VIEW_ID) -> Digest:
    return Digest(view_id, record(address), rumours, ())


def gossip(settings: Settings = SETTINGS, nodes: frozenset[Address] = NODES, known: str = "bcd") -> Gossip:
    """Node a:1, which has already heard the `known` ones."""
    node = Gossip("a:1", store_id=7, incarnation=4, settings=settings, now=0.0)
    node.set_view(VIEW_ID, nodes)
    for name in known:
        node.receive(f"{name}:1", Delta(VIEW_ID, record(f"{name}:1"), (), (), ()), 0.0)
    return node


def sent(output: Output, to: Address, kind: type[M]) -> M:
    found = [message for address, message in output.sends if address == to and isinstance(message, kind)]
    assert len(found) == 1, output
    return found[0]


def states(node: Gossip) -> dict[Address, State]:
    return {address: member.state for address, member in node.members.items()}
