"""What the two ends of a link say of themselves before anything else, and who is turned away.

Who dials tells its own address, the one that it means, and the name of its cluster; who answers tells the name of its
cluster in return, in a refusal too. Each end judges the other one by the same rule: a release that knows of no names
lets everybody in, so the end that knows must not rely on the one that does not. Until both are content nothing passes:
no view, no gossip, no clock and no key.

Nodes dial each other several times a second. That somebody is turned away is logged when it begins and when it ends,
once for each peer, whichever of the two dials.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from yarl import URL

from gossip.view import Address
from node.config import CLUSTER_DEFAULT

log = logging.getLogger(__name__)

PATH = "/peer"
CLUSTER_HEADER = "Kvs-Cluster"
"""In which who answers tells the name of its cluster."""

REFUSED_MAX = 1024
"""Peers that are remembered as turned away: a stranger may call itself whatever it likes."""


def url_of(peer: Address, sender: Address, cluster: str) -> URL:
    """Where `sender`, of this cluster, dials `peer`."""
    return URL.build(scheme="http", authority=peer, path=PATH, query={"from": sender, "to": peer, "cluster": cluster})


def cluster_of(told: Mapping[str, str], field: str) -> str:
    """The name that the other end tells in this field of its query or headers; one that tells none was made before
    there were names."""
    return told.get(field, CLUSTER_DEFAULT)


class Doorkeeper:
    """Whom one node turns away, and has said so."""

    def __init__(self, me: Address, cluster: str) -> None:
        self._me = me
        self._cluster = cluster
        self._refused: dict[Address, str] = {}
        """Why, by peer, as it was last logged."""

    def is_kin(self, peer: Address, cluster: str) -> bool:
        """Whether `peer`, which says that it is of `cluster`, may be spoken to."""
        if cluster != self._cluster:
            self._refuse(peer, f"it is of the cluster {cluster!r}, and this node of {self._cluster!r}")
        return cluster == self._cluster

    def is_meant(self, peer: Address, meant: str) -> bool:
        """Whether it is this node that `peer` has dialled."""
        if meant != self._me:
            self._refuse(peer, f"it takes this node for {meant!r}; its ADDRESS is {self._me}")
        return meant == self._me

    def admit(self, peer: Address) -> None:
        """There is a link with `peer`, whoever has dialled."""
        if self._refused and (why := self._refused.pop(peer, None)) is not None:
            log.info("%s: turned away no more; before: %s", peer, why)

    def _refuse(self, peer: Address, why: str) -> None:
        if self._refused.get(peer) == why:
            return
        if len(self._refused) >= REFUSED_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[peer] = why
        log.error("%s is turned away: %s", peer, why)
