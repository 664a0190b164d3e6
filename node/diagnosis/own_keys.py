"""How many keys this node owns, and whether they are those of its copies: what it says of itself, counted once."""

from __future__ import annotations

import xxhash

from node.config import Config
from node.net.messages import Answer, KeyCounts, Unable
from node.storage.store import Store
from node.views.holder import Views
from ring.hashing import pack, unpack
from ring.ring import Ring


class OwnKeys:
    def __init__(self, config: Config, store: Store, views: Views) -> None:
        self._config = config
        self._store = store
        self._views = views
        self._counted: tuple[Ring, int, int] | None = None
        """The last count of keys: of which ring, at which revision of the store, and how many."""

    @property
    def count(self) -> int:
        """The live keys that this node owns."""
        ring, store = self._views.ring, self._store
        if self._counted is None or self._counted[:2] != (ring, store.revision):
            mine = store.occupied & ring.partitions_of(self._config.address)
            self._counted = ring, store.revision, sum(store.stats(partition).live for partition in mine)
        return self._counted[2]

    @property
    def digest(self) -> int:
        """64 bits over all that this node owns; equal on all owners of a shard that hold the same."""
        owned = sorted(self._store.occupied & self._views.ring.partitions_of(self._config.address))
        return xxhash.xxh3_64_intdigest(pack(owned) + self._store.digests(owned))

    def counts(self, packed: bytes) -> Answer:
        """The live keys here of each of these partitions, whoever owns them."""
        try:
            return KeyCounts(tuple(self._store.stats(partition).live for partition in unpack(packed)))
        except (ValueError, IndexError):
            return Unable()
