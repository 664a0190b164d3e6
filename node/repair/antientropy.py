"""Are copies alike that should be? This is checked now and then, whether or not there is reason to doubt it.

Streams and comparisons keep co-owners in step as long as this program makes no mistake and disks keep what they were
given. This is for when that fails: otherwise a difference would stay for ever, and each owner would answer from its own
copy. Co-owners that are in step compare the digests of their partitions. A write on its way makes a difference too, so
a difference counts only if it is *seen twice* with the same digest here: then nothing has arrived here in between that
could have made the two alike. Such co-owners are out of step, and compare what they hold, as after a start; see
`handoff`.

A node that lacks something finds the difference but cannot mend it; the node that has it finds it too.
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


class AntiEntropy:
    def __init__(self, config: Config, store: Store, views: Views, co_owners: CoOwners, calls: Calls) -> None:
        self._config = config
        self._store = store
        self._views = views
        self._co_owners = co_owners
        self._calls = calls

    async def run(self) -> None:
        """Compare, for as long as the node runs."""
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
        """The partitions of which the co-owner holds something different, with the digest that each has here."""
        partitions = sorted(self._views.ring.partitions_of(self._config.address))
        here = {partition: self._store.stats(partition).digest for partition in partitions}
        compare = Compare(pack(partitions), self._store.digests(partitions), self._store.stable_watermark)
        try:
            answer = await self._calls.ask(peer, compare, self._config.digests_wait_s, bulk=True)
        except PeerFault as fault:
            log.debug("no digests from %s: %s", peer, fault)
            return {}
        if not isinstance(answer, Differing) or answer.sweep_watermark != self._store.sweep_watermark:
            return {}  # They may differ just in tombstones that one of the two has dropped already.
        try:
            return {partition: here[partition] for partition in (*unpack(answer.different), *unpack(answer.empty))}
        except (ValueError, KeyError):
            log.error("%s compared what it was not asked for", peer)
            return {}
