"""One node's membership, and what it is told of another."""

from __future__ import annotations

from collections.abc import Iterable

from gossip.membership import Membership
from gossip.messages import MemberRecord, Rumour
from gossip.settings import Settings

SETTINGS = Settings(strangers_max=3)
OWN = MemberRecord("a:1", incarnation=5, version=2, store_id=7, settled_epoch=1, key_count=10)
B = MemberRecord("b:1", incarnation=5, version=2, store_id=8, settled_epoch=1, key_count=20)
SUSPECTED = Rumour("b:1", 5, dead=False)
DEAD = Rumour("b:1", 5, dead=True)


def membership(*known: MemberRecord, nodes: Iterable[str] = ("a:1", "b:1", "c:1"), epoch: int = 1) -> Membership:
    members = Membership(OWN, SETTINGS)
    members.set_view(epoch, frozenset(nodes))
    for record in known:
        members.merge_record(record)
    members.check()
    return members


def stranger(name: str, settled_epoch: int = 0) -> MemberRecord:
    return MemberRecord(f"{name}:1", 1, 0, 9, settled_epoch, 0)


def tell(members: Membership, sayings: Iterable[MemberRecord | Rumour]) -> list[bool]:
    """Merges them all; returns for each whether it changed anything."""
    changed = []
    for saying in sayings:
        if isinstance(saying, MemberRecord):
            changed.append(members.merge_record(saying))
        else:
            changed.append(members.merge_rumour(saying, now=0.0))
        members.check()
    return changed
