"""Which disks may be lost without breaking what the store promises: as many at once as there are copies, less one; and
of the next only once the survivors have caught up. All those of one host count as one, if the nodes of the view are so
many on so many hosts that no two copies need to share one. A disk that comes back older than it was counts as lost: all
that came to it since is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from gossip.view import View, host_of
from node.replication.emptied_disk import Filling
from node.views.rules import ring_of
from ring.hashing import partition_of
from tests.sim.cluster import Cluster, Machine
from tests.sim.disk import Disk


class Losses:
    """The disks that were lost, and may be. `seen` counts them. `are_namesakes_here`: whether another store of the same
    name has an address of this one now: a node whose disk is lost, and that finds nobody else, follows it."""

    def __init__(
        self, cluster: Cluster, seen: Counter[str], are_namesakes_here: Callable[[], bool] = lambda: False
    ) -> None:
        self._are_namesakes_here = are_namesakes_here
        self._cluster = cluster
        self._seen = seen
        self._lost: list[Machine] = []

    def unfilled(self) -> list[Machine]:
        """The machines whose disks were lost, and may not hold again what they should."""
        self._lost = [machine for machine in self._lost if not has_caught_up(self._cluster, machine)]
        return self._lost

    def spare(self) -> int:
        """How many more may be lost now."""
        if self._are_namesakes_here():
            return 0
        return (newest_view(self._cluster).repl_factor or 1) - 1 - len(self.unfilled())

    def may_lose(self, machine: Machine) -> bool:
        """Whether its disk may be lost now, without more being lost at a time than the copies allow."""
        return self.spare() > 0 and is_spared(self._cluster, machine)

    def lose(self, machine: Machine) -> None:
        self._seen["lost disks"] += 1
        machine.lose_disk()
        self._lost.append(machine)

    def put_back(self, machine: Machine, older: Disk) -> None:
        """Its disk is the copy that was made of it a while ago."""
        self._seen["older disks"] += 1
        machine.put_back(older)
        self._lost.append(machine)


def newest_view(cluster: Cluster) -> View:
    """On any disk."""
    views = [view for machine in cluster.machines.values() if (view := machine.disk.view()) is not None]
    return max(views, key=lambda view: view.id)


def is_spared(cluster: Cluster, machine: Machine) -> bool:
    """Whether each record on the disk of `machine` is on another disk too, in this version or a later one: on that of
    another owner, or, if `machine` owns it itself, on that of a former owner, which keeps what it has until as many
    owners as there shall be copies have it. So must be the view: one that was made while all others were away is known
    to nobody any more once that disk is lost."""
    newest, held = newest_view(cluster), machine.disk.view()
    views = [other.disk.view() for other in cluster.machines.values() if other is not machine]
    if held is not None and not any(view is not None and view.id >= held.id for view in views):
        return False
    ring = ring_of(newest)
    for key, record in machine.disk.records():
        owners = ring.owners(partition_of(key))
        keepers = cluster.machines if machine.address in owners else owners
        others = [cluster.machines[keeper].disk for keeper in keepers if keeper != machine.address]
        found = [other for disk in others if (other := disk.record(key)) is not None]
        if not any(other.version >= record.version for other in found):
            return False
    return True


def has_caught_up(cluster: Cluster, machine: Machine) -> bool:
    """Whether it holds the newest view, and of all that it owns the newest there is on any disk."""
    view = newest_view(cluster)
    if machine.node is None or machine.node.views.view_id != view.id or not machine.node.handoff.is_settled():
        return False
    ring = ring_of(view)
    for other in cluster.machines.values():
        for key, record in other.disk.records():
            held = machine.disk.record(key)
            behind = held is None or held.version < record.version
            if behind and machine.address in ring.owners(partition_of(key)):
                return False
    return True


def outlives_its_hosts(cluster: Cluster) -> bool:
    """Whether any one host may be lost now: there are two copies or more of each shard, no host has more nodes than
    there are shards, and all nodes of the view hold all that they should."""
    view = newest_view(cluster)
    nodes_on = Counter(map(host_of, view.nodes))
    is_owed = len(view.nodes) >= 2 * len(view.shards) and max(nodes_on.values()) <= len(view.shards)
    return is_owed and all(has_caught_up(cluster, cluster.machines[node]) for node in view.nodes)


def may_be_behind(owner: Machine, owners: list[Machine], since_s: float) -> bool:
    """Whether it does not know whether what it holds is the newest: its disk was lost, or got older, and no other owner
    was there that could have told it."""
    assert owner.node is not None
    others = [other for other in owners if other is not owner]
    is_unfilled = owner.node.co_owners.filling is not Filling.FULL
    return is_unfilled and bool(others) and not any(other.is_well(since_s) for other in others)
