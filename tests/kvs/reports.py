"""What three nodes say of themselves and of each other, in few words; and what may be wrong with a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kvs.asked import Asked
from kvs.responses import Disk, Environment, NodeReport, NodeStatus, PeerReport, Problem, RingMap, ShardShare, Status

A, B, C = NODES = ("a:1", "b:1", "c:1")
GIB = 2**30

PROBLEM = {
    "code": "node-down",
    "severity": "warning",
    "what": "10.0.0.2:80 is down",
    "do": "start it",
    "nodes": ["10.0.0.2:80"],
    "for-seconds": 300.0,
}
CRITICAL = {
    "code": "keys-without-owner",
    "severity": "critical",
    "what": "4 keys have no live owner",
    "do": "start 10.0.0.2:80",
    "nodes": ["10.0.0.2:80"],
    "keys": 4,
}


def peer(address: str, **fields: Any) -> PeerReport:
    return msgspec.structs.replace(PeerReport(address, True, 1.5, 0, None), **fields)


def report(node: str, peers: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> NodeReport:
    """All is well but for what is said."""
    said = peers or {}
    others = tuple(peer(other, **said.get(other, {})) for other in NODES if other != node)
    environment = Environment(NODES, 2, "kvs", 50)
    disk = Disk(50 * GIB, 100 * GIB, False, False)
    told = NodeReport(node, "4.0.1", 3, "00ff", node[0], node[0], 10, True, True, True, environment, disk, others)
    return msgspec.structs.replace(told, **fields)


def told_environment(**fields: Any) -> Environment:
    return msgspec.structs.replace(Environment(NODES, 2, "kvs", 50), **fields)


def status(node: str, *problems: Problem) -> Status:
    nodes = tuple(NodeStatus(other, "alive", True, "1", 10, 3) for other in NODES)
    return Status(node, 3, "00ff", "settled", 2, nodes, problems=problems)


def ring(repl_factor: int | None = 2, *shards: tuple[str, ...], zones: tuple[str, ...] = ("a", "b", "c")) -> RingMap:
    replicas = shards or (NODES,)
    shares = tuple(ShardShare(str(n), nodes, 1, zones) for n, nodes in enumerate(replicas, 1))
    return RingMap(3, "00ff", repl_factor, 4096, shares, ())


def asked(*reports: NodeReport, **more: Any) -> Asked:
    """All three, but for those that say otherwise; `more`: fields of `Asked`."""
    told = {node: report(node) for node in NODES} | {one.address: one for one in reports}
    return Asked({node: status(node) for node in told}, told, ring())._replace(**more)
