"""What the two ends of a link say of themselves before anything else, and who is turned away.

Who dials tells its own address, the one that it means, the name of its cluster and the protocols that it speaks; who
answers tells the name of its cluster and its protocols in return, in a refusal because of them too. Each end judges the
other one by the same rule: a release that knows of no names lets everybody in, so the end that knows must not rely on
the one that does not. Until both are content nothing passes: no view, no gossip, no clock and no key.

Nodes dial each other several times a second. That somebody is turned away is logged when it begins and when it ends,
once for each peer, whichever of the two dials; and that it calls this node by a name that is not its own, once for each
such name, since it may call it by its own as well. A stranger may call itself and others by a new name each time: so
there are few of these lines, and who gets none is not remembered, so that it gets one later if it comes again.

It may be this node itself that dials, if its view has another name for it: so who dials also tells a number that its
process has drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from yarl import URL

from gossip.view import Address
from node.config import CLUSTER_DEFAULT
from node.net.protocol import SPOKEN, Protocols, common, protocols_of, why_apart
from node.state_log import FewLines

log = logging.getLogger(__name__)

PATH = "/peer"
CLUSTER_HEADER, CLUSTER_FIELD = "Kvs-Cluster", "cluster"
"""In which who answers, and who dials, tells the name of its cluster."""
PROTOCOLS_HEADER, PROTOCOLS_FIELD = "Kvs-Protocols", "protocols"
"""In which who answers, and who dials, tells which protocols it speaks."""
KNOWS_HEADER, EXPIRY = "Kvs-Knows", "expiry"
"""In which it tells what it knows of that a release before it did not: that records may expire. Such a record would be
refused by one that does not, again and again, and all that stands behind it in a stream would wait."""

REFUSED_MAX = 1024
"""Peers that are remembered as turned away: a stranger may call itself whatever it likes."""

NOT_UNDERSTOOD = (
    "it tells neither a cluster nor a protocol, and what it sends is not understood: "
    "its release is too old, as 3.0 is, or it is no node"
)

_NO_NAME = ""


def url_of(
    peer: Address,
    sender: Address,
    cluster: str,
    process: str = "",
    large: str = "",
    scheme: str = "http",
    protocols: Protocols | None = None,
) -> URL:
    """Where `sender`, of this cluster, dials `peer`; `process`: the number of its process, if it has one; `large`:
    where it wants large answers, see `lanes`; `protocols`: what it speaks, if it tells."""
    told = {"process": process, "large": large, PROTOCOLS_FIELD: "" if protocols is None else protocols.told}
    query = {"from": sender, "to": peer, CLUSTER_FIELD: cluster} | {name: text for name, text in told.items() if text}
    return URL.build(scheme=scheme, authority=peer, path=PATH, query=query)


def cluster_of(told: Mapping[str, str], field: str) -> str:
    """The name that the other end tells in this field of its query or headers; one that tells none was made before
    there were names."""
    return told.get(field, CLUSTER_DEFAULT)


def is_older(told: Mapping[str, str]) -> bool:
    """Whether the other end, by the headers of its answer, is of a release that knows of no expiry."""
    return EXPIRY not in told.get(KNOWS_HEADER, "").split(",")


class Doorkeeper:
    """Whom one node turns away, and has said so. `process`: the number of this process, empty if it has drawn none.
    `found_itself` is told each name under which this process has dialled itself. `protocols`: what this node speaks.
    `now`: seconds."""

    def __init__(
        self,
        me: Address,
        cluster: str,
        now: Callable[[], float],
        process: str = "",
        found_itself: Callable[[str], None] = lambda _: None,
        protocols: Protocols = SPOKEN,
    ) -> None:
        self._me = me
        self._cluster = cluster
        self.process = process
        self.protocols = protocols
        self._found_itself = found_itself
        self._lines = FewLines(now)
        self._refused: dict[tuple[Address, str], str] = {}
        """Why, by peer, and by the wrong name that it has for this node, if that is why; as it was last logged."""
        self._not_understood: dict[Address, None] = {}
        """Who told no name of a cluster, and was not understood. Release 3.0 lets everybody in, and dials at once when
        its link ends: hundreds of times a second, if it were not turned away."""

    def is_kin(self, peer: Address, cluster: str) -> bool:
        """Whether `peer`, which says that it is of `cluster`, may be spoken to."""
        if cluster != self._cluster:
            self.refuse(peer, f"it is of the cluster {cluster!r}, and this node of {self._cluster!r}")
        return cluster == self._cluster

    def protocol_with(self, peer: Address, told: Mapping[str, str], field: str) -> int | None:
        """The one to be spoken with `peer`, which tells in this field of its query or headers what it speaks; None:
        they have none in common, and it is turned away."""
        text = told.get(field)
        theirs = protocols_of(text)
        spoken = None if theirs is None else common(self.protocols, theirs)
        if spoken is None:
            self.refuse(peer, why_apart(self.protocols, text))
        return spoken

    def note_not_understood(self, peer: Address) -> None:
        """A link with `peer`, which told no name of a cluster, has brought nothing that is understood."""
        if len(self._not_understood) >= REFUSED_MAX:
            del self._not_understood[next(iter(self._not_understood))]
        self._not_understood[peer] = None
        self.refuse(peer, NOT_UNDERSTOOD)

    def may_be_understood(self, peer: Address, told: Mapping[str, str], field: str) -> bool:
        """Whether `peer`, which tells the name of its cluster in this field, if it does, may be spoken to: not if that
        was in vain, and it has not been replaced by a later release since."""
        if field in told:
            self._not_understood.pop(peer, None)
        return peer not in self._not_understood

    def is_meant(self, peer: Address, meant: str, process: str = "") -> bool:
        """Whether it is this node that `peer`, a process of this number, has dialled."""
        if meant == self._me:
            return True
        if process and process == self.process:
            self.refuse(peer, f"it is this node, which takes {meant!r} for another one", meant)
            self._found_itself(meant)
        else:
            self.refuse(peer, f"it takes this node for {meant!r}; its ADDRESS is {self._me}", meant)
        return False

    def admit(self, peer: Address) -> None:
        """There is a link with `peer`, whoever has dialled."""
        if self._refused and (why := self._refused.pop((peer, _NO_NAME), None)) is not None:
            log.info("%s: turned away no more; before: %s", peer, why)

    def why_refused(self, peer: Address) -> str:
        """Why this node turned `peer` away when they met last, or was turned away by it; empty: there is a link, or no
        such reason."""
        return self._refused.get((peer, _NO_NAME), "")

    def refuse(self, peer: Address, why: str, name: str = _NO_NAME) -> None:
        """`name`: the wrong one that it has for this node, if that is why."""
        if self._refused.get((peer, name)) == why or not self._lines.is_due():
            return
        if len(self._refused) >= REFUSED_MAX:
            del self._refused[next(iter(self._refused))]
        self._refused[peer, name] = why
        log.error("%s is turned away: %s%s", peer, why, self._lines.rest())
