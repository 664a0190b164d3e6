"""Do copies that should be alike resemble each other? Looked at now and then, while nothing else gives reason to.

Streams and comparisons keep co-owners in step as long as this program makes no mistake and disks keep what they were
given. This is for when they do not: a difference would else stay for ever, and each owner would answer from its own
copy. Co-owners that are in step compare the digests of their partitions. A write on its way makes a difference too, so
only one that is *seen twice*, with the same digest here, counts: in between nothing has arrived here that could have
made the two alike. Then they are in step no more, and compare what they hold, as after a start; see `handoff`.

Who lacks something finds the difference but cannot mend it; who has it finds it too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from gossip.view import Address
from node.config import Config
from node.errors import PeerFault
from node.net.messages import Compare, Differing
from node.replication.co_owners import CoOwners
from node.storage.store import Store
from node.views.calls import Calls
from node.views.holder import Views
from ring.hashing import pack, unpack

log = logging.getLogger(__name__)

ANSWER_S = 1.0


class AntiEntropy:
    def __init__(self, config: Config, store: Store, views: Views, co_owners: CoOwners, calls: Calls) -> None:
        self._config = config
        self._store = store
        self._views = views
        self._co_owners = co_owners
        self._calls = calls

    async def run(self) -> None:
        """Look, for as long as the node runs."""
        before: Mapping[Address, Mapping[int, int]] = {}
        while True:
            await asyncio.sleep(self._config.compare_every_s)
            now = {peer: await self._differing(peer) for peer in self._co_owners.in_step()}
            for peer, differing in now.items():
                again = differing.items() & before.get(peer, {}).items()
                if again:
                    log.error("%s holds %d partitions otherwise than this node", peer, len(again))
                    self._co_owners.distrust(peer)
            before = now

    async def _differing(self, peer: Address) -> Mapping[int, int]:
        """The partitions that the co-owner holds otherwise, with the digest that each has here."""
        partitions = sorted(self._views.ring.partitions_of(self._config.address))
        digests = [self._store.stats(partition).digest for partition in partitions]
        compare = Compare(
            pack(partitions), b"".join(digest.to_bytes(8) for digest in digests), self._store.stable_watermark
        )
        try:
            answer = await self._calls.ask(peer, compare, ANSWER_S, bulk=True)
        except PeerFault as fault:
            log.debug("no digests from %s: %s", peer, fault)
            return {}
        if not isinstance(answer, Differing) or answer.sweep_watermark != self._store.sweep_watermark:
            return {}  # They differ in deletions that one of the two has forgotten already.
        here = dict(zip(partitions, digests, strict=True))
        try:
            return {partition: here[partition] for partition in (*unpack(answer.different), *unpack(answer.empty))}
        except (ValueError, KeyError):
            log.error("%s compared what it was not asked for", peer)
            return {}
