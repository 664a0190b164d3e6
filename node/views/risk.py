"""Which keys a change of the view would lose: those of which all holders go, and cannot be reached. Pure functions.

A node that is removed while it is down gives up what only it has. That is right if its disk is gone, and a mistake if
it is merely down, so it is told beforehand. Which partitions are at risk follows from the view, from what the nodes
that can be reached still wait for, and from whether their disks may lack something. How many keys that are, only the
node knows that cannot be asked: of that there is what gossip last heard, its total. It is too high where a part of
that has copies elsewhere, and too low by what was written since. So the number decides nothing: of an owner, a count
of none counts as unknown, for clients write to it until the moment it is gone.

A node that is removed while it is up hands over what it has. It may fall silent before it has, when nothing can be
refused any more, and a change does not wait for a removed node that is gone. What it leaves behind comes home if it is
ever started again; whoever asked for the change is told.

Of what a node has to hand over, a count of none is believed if it was heard to have settled the view in force: nobody
writes to what it does not own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_, or_
from typing import NamedTuple

from gossip.view import Address, View
from node.errors import Conflict
from node.net.messages import Status
from node.views.census import Census, Estimate
from node.views.plan import placement_before
from node.views.rules import ring_of
from ring.hashing import unpack
from ring.placement import Shard
from ring.ring import Ring
from ring.sets import ALL, bits_of


class Risk(NamedTuple):
    keys: int | None
    """How many keys would be lost, as last heard; None: nobody can tell, not even whether there are any."""
    nodes: tuple[Address, ...]
    """The nodes that alone have them, ascending."""

    @property
    def is_none(self) -> bool:
        return not self.nodes


NO_RISK = Risk(0, ())


def risk_of(old: View, nodes: Collection[Address], statuses: Mapping[Address, Status], census: Census) -> Risk:
    """What is lost if `nodes` follow those of `old`. `statuses`: where those stand that can be reached."""
    gone = old.nodes - frozenset(nodes) - statuses.keys()
    if not gone:
        return NO_RISK
    ring, donated, unsafe = ring_of(old), *_what_is_missed(old, gone, statuses)
    anywhere = reduce(or_, unsafe.values())
    owners = {node for replicas, partitions in unsafe.items() if partitions for node in gone.intersection(replicas)}
    donors = {node for node in gone if donated.get(node, _NOTHING).any & ~ring.bits_of(node) & anywhere}
    keys = {node: last.under(old.id) if (last := census.get(node)) else Estimate() for node in gone}
    at_risk = owners | {node for node in donors if keys[node].to_hand_over != 0}
    if not at_risk:
        return NO_RISK
    lost = [copies for replicas in old.shards if (copies := owners.intersection(replicas))]
    counts = [
        *(_most([keys[node].owned for node in copies]) for copies in lost),
        *(keys[node].to_hand_over for node in donors),
    ]
    return Risk(_sum(counts), tuple(sorted(at_risk)))


def left_behind(
    view: View, removed: frozenset[Address], statuses: Mapping[Address, Status], census: Census, given_up: Risk
) -> Risk:
    """What the change to `view`, which has settled, gives up in the end: what it had `given_up` when it was made, and
    what those that it has `removed` had yet to hand over, if they cannot be reached any more."""
    waited_for = frozenset(owed.address for status in statuses.values() for owed in status.waiting)
    gone = waited_for & removed - statuses.keys() - frozenset(given_up.nodes)
    if not gone:
        return given_up
    donated, unsafe = _what_is_missed(view, gone, statuses)
    anywhere = reduce(or_, unsafe.values())
    keys = {
        node: last.all_under(view.id) if (last := census.get(node)) else None
        for node in gone
        if donated.get(node, _NOTHING).any & anywhere
    }
    at_risk = {node: count for node, count in keys.items() if count != 0}
    return Risk(_sum([given_up.keys, *at_risk.values()]), tuple(sorted({*given_up.nodes, *at_risk})))


def demand_safe(risk: Risk) -> None:
    """Raises Conflict if keys would be lost."""
    if not risk.is_none:
        details = {"keys-at-risk": risk.keys, "unreachable": list(risk.nodes)}
        raise Conflict("Keys would be lost: nodes that alone have them cannot be reached, and would go", **details)


class _Donated(NamedTuple):
    """The partitions of which a donor may hold keys, as sets."""

    alone: int
    copy: int

    @property
    def any(self) -> int:
        return self.alone | self.copy


_NOTHING = _Donated(0, 0)


def _what_is_missed(
    view: View, gone: frozenset[Address], statuses: Mapping[Address, Status]
) -> tuple[dict[Address, _Donated], dict[Shard, int]]:
    """What each donor may have under `view`; and of each shard the partitions that nobody has whole who can be reached,
    but for those that are `gone`."""
    ring = ring_of(view)
    sound = {node: status for node, status in statuses.items() if status.view == view.id and not status.may_lack}
    awaited = {node: gone & {owed.address for owed in status.waiting} for node, status in sound.items()}
    donated = dict.fromkeys(frozenset().union(*awaited.values()), _Donated(ALL, 0)) | _donated(view)
    before = placement_before(view)
    kept = {node: Ring(before).bits_of(node) if before else 0 for node in sound}
    return donated, {replicas: _unsafe(replicas, ring, donated, awaited, kept) for replicas in view.shards}


def _donated(view: View) -> dict[Address, _Donated]:
    donated: dict[Address, _Donated] = {}
    for donor, alone, packed in view.donors:
        partitions = bits_of(unpack(packed))
        before = donated.get(donor, _NOTHING)
        donated[donor] = before._replace(alone=partitions) if alone else before._replace(copy=partitions)
    return donated


def _unsafe(
    replicas: Shard,
    ring: Ring,
    donated: Mapping[Address, _Donated],
    awaited: Mapping[Address, Collection[Address]],
    kept: Mapping[Address, int],
) -> int:
    """The partitions of a shard that no replica which can be reached has whole, nor will be brought. `awaited`: for
    each node whose disk can be relied on, those that go which it has yet to hear; `kept`: the partitions that it owned
    before, of which it is a copy itself."""
    copies = reduce(or_, (share.copy for donor, share in donated.items() if donor in awaited), 0)

    def lacking(replica: Address) -> int:
        shares = (donated[donor] for donor in awaited[replica])
        return reduce(or_, (share.alone | share.copy & ~copies & ~kept[replica] for share in shares), 0)

    return reduce(and_, (lacking(replica) for replica in replicas if replica in awaited), ring.bits_of(replicas[0]))


def _sum(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count for count in known if count is not None)


def _most(copies: Sequence[int | None]) -> int | None:
    """The keys of copies of each other, of which one that was heard to have some speaks for those that were not."""
    return max(count or 0 for count in copies) or None
