"""Bringing what is to be told to every owner first, as a read does: nobody may read something older afterwards.

What this node was to bring to the others is on its way anyway, and is only waited for. What a co-owner has brought here
may have come to nobody else, if that one is gone; it is brought to the others once, whoever asks, and of each key it is
remembered who was left out. What happened under an earlier view, to a key that others own by now, is brought to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set

from gossip.view import Address
from node.replication.co_owners import CoOwners
from node.replication.streams import NOBODY, Streams
from node.storage.transaction import Cause, Change
from node.values.record import version_of
from node.values.version import Version

REMEMBERED_MAX = 10_000
"""Keys; of the others it is found out anew."""


class Spreading:
    def __init__(self, co_owners: CoOwners, streams: Streams) -> None:
        self._co_owners = co_owners
        self._streams = streams
        self._turn = asyncio.Lock()
        self._brought: dict[bytes, tuple[Version, Set[Address]]] = {}
        """What was brought to the others, and to whom not."""

    def change_view(self) -> None:
        """Another view is in force."""
        self._brought.clear()

    async def spread(self, changes: Iterable[Change]) -> Set[Address]:
        """Returns once these, or something newer, are on every owner, but for those that were left out: these. Raises
        Fenced."""
        if self._co_owners.is_alone:
            return NOBODY
        own, others = dict[bytes, None](), dict[bytes, Version]()
        for change in changes:
            if not self._streams.owns(change.key):  # Any more: its owners ask this node until it has handed it over.
                continue
            if change.cause is Cause.TAKEN:
                own[change.key] = None
            elif change.cause is not Cause.EXPIRED:
                others[change.key] = version_of(change.record)
        lacking = [key for key in own if not self._co_owners.has_brought(key)]
        left_out = await self._streams.await_copies(lacking)
        return left_out | await self._bring(others) if others else left_out

    async def _bring(self, versions: dict[bytes, Version]) -> Set[Address]:
        async with self._turn:
            unsure = [key for key, version in versions.items() if not self._co_owners.is_on_all(key, version)]
            to_bring = [key for key in unsure if not self._is_brought(key, versions[key])]
            of_the_rest = {node for key in set(unsure).difference(to_bring) for node in self._brought[key][1]}
            left_out = await self._streams.await_copies(to_bring, are_noted=False)
            if len(self._brought) + len(to_bring) > REMEMBERED_MAX:
                self._brought.clear()
            self._brought |= {key: (versions[key], left_out) for key in to_bring}
            return left_out | of_the_rest

    def _is_brought(self, key: bytes, version: Version) -> bool:
        return key in self._brought and self._brought[key][0] == version
