"""Whom to ask, and in which order: the owners of the key, if they are known, and else any node, which forwards.

Pure: what answers and failures say goes in, addresses come out. Two things are known of a node besides: whether it is
*up*, and so asked before others; and whether an owner may be asked at all. The addresses in a ring are those by which
nodes know each other, and from where the client is they may lead nowhere, as those in a docker network do, or to
another store. So a node that is known from the ring alone is asked for keys only once it has shown that it holds that
ring's view, which no call waits for: see `kvs.asking`.

The ring is looked up when an answer shows that it would help, or that the one known is old; and now and then while a
node that is wanted is not up. No node is asked for it while all is well.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from kvs.responses import RingMap
from ring.hashing import HASH, PARTITIONS, partition_of

OTHERS_MAX = 2
"""So many nodes of the ring are asked besides owners and endpoints: any node forwards, so if these fail too, most
do."""
LOOK_S, LOOK_S_MAX = 1.0, 30.0
"""Between two looks at the ring: at least, and at most, while looking does not help."""


class Nodes:
    def __init__(self, endpoints: tuple[str, ...], chance: random.Random) -> None:
        self.endpoints = endpoints
        self._chance = chance
        self._met = set(endpoints)
        """Who may be asked."""
        self._up = set(endpoints)
        self._ring: tuple[tuple[str, ...], ...] | None = None
        """For each partition its owners; None: not known, or not to be used."""
        self._is_known = False
        """Whether the ring was looked up, usable or not."""
        self._others = endpoints
        """Who is asked besides owners."""
        self._turn = 0
        self._wants_look = False
        self._not_before = 0.0
        """When the ring may be looked up again."""
        self._look_s = LOOK_S

    @property
    def owners(self) -> tuple[tuple[str, ...], ...] | None:
        """For each partition; None: not known. Another object each time that the ring was looked up."""
        return self._ring

    def in_turn(self, key: bytes | None, *, reads: bool) -> Iterator[str]:
        """Whom to ask about a key, or anything else (None), the best first; each once. Reads go round all owners."""
        partition = None if key is None else partition_of(key)
        owners = () if self._ring is None or partition is None else self._ring[partition]
        if reads and len(owners) > 1:
            self._turn += 1
            owners = rotated(owners, self._turn)
        asked = set()
        for owner in owners:
            if owner in self._up:
                asked.add(owner)
                yield owner
            else:
                self._wants_look = True
        others = self._others if partition is None or not self._is_known else rotated(self._others, partition)
        rest = [node for node in (*others, *owners) if node not in asked and node in self._met]
        yield from sorted(dict.fromkeys(rest), key=lambda node: node not in self._up)

    def failed(self, node: str) -> None:
        """It is asked after all others from now on."""
        self._up.discard(node)
        self._wants_look = True

    def answered(self, node: str) -> None:
        self._met.add(node)
        self._up.add(node)

    def forwarded(self, key: bytes, asked: str) -> None:
        """The node that was asked about the key was no owner of it."""
        if self._ring is None or asked in self._ring[partition_of(key)]:
            self._wants_look = True

    def should_look(self, now: float) -> bool:
        """Whether to look at the ring now. If so, it counts as done, and `learned` says what came of it, if
        anything."""
        if not self._wants_look or now < self._not_before:
            return False
        self._wants_look = False
        self._not_before = now + self._look_s * self._chance.uniform(0.75, 1.25)
        self._look_s = min(2 * self._look_s, LOOK_S_MAX)
        return True

    def learned(self, answer: RingMap) -> tuple[str, ...]:
        """Take over the ring. Whichever one a node goes by is believed: an old one shows itself, since owners that are
        none any more forward. Returns the nodes that have to be introduced."""
        nodes = answer.nodes
        self._is_known = True
        self._ring = owners_in(answer)
        strangers = [node for node in nodes if node not in self.endpoints]
        self._others = (*self.endpoints, *self._chance.sample(strangers, min(OTHERS_MAX, len(strangers))))
        self._met &= {*nodes, *self.endpoints}
        self._up &= self._met
        return tuple(node for node in dict.fromkeys((*nodes, *self.endpoints)) if node not in self._up)

    def introduced(self, is_whole: bool) -> None:
        """All were tried that had to be introduced. `is_whole`: each of them is up now."""
        if is_whole and self._ring is not None:
            self._look_s = LOOK_S
        else:
            self._wants_look = True


def owners_in(answer: RingMap) -> tuple[tuple[str, ...], ...] | None:
    """For each partition its owners; None if the answer does not say that in a way that is known here."""
    if answer.hash != HASH or answer.partitions != PARTITIONS:
        return None
    replicas = {shard.shard_id: shard.replicas for shard in answer.shards}
    table: list[tuple[str, ...]] = [()] * PARTITIONS
    for first, last, shard_id in answer.ranges:
        if not 0 <= first <= last < PARTITIONS:
            return None
        table[first : last + 1] = [replicas.get(shard_id, ())] * (last + 1 - first)
    return tuple(table) if all(table) else None


def rotated(nodes: Iterable[str], by: int) -> tuple[str, ...]:
    nodes = tuple(nodes)
    by %= len(nodes)
    return (*nodes[by:], *nodes[:by])
