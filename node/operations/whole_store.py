"""What tells the keys of the whole store, a listing or an export: both sides of each, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gossip.view import Address
from node.config import Config
from node.net.messages import Answer, Export, FetchPartitions, FetchRange, ListKeys
from node.operations.exporting import Exporter, OwnerExport
from node.operations.listing import Lister, OwnerListing
from node.operations.routing import Routing
from node.operations.shard_inquiry import ShardInquiry
from node.replication.co_owners import CoOwners
from node.storage.store import Store
from node.timing.clock import Time
from node.views.calls import Calls
from node.views.holder import Views
from node.views.readiness import Readiness


class WholeStore:
    def __init__(
        self,
        config: Config,
        time: Time,
        store: Store,
        views: Views,
        readiness: Readiness,
        co_owners: CoOwners,
        calls: Calls,
        routing: Routing,
        now_ms: Callable[[], int],
    ) -> None:
        """`now_ms`: the time by which keys expire."""
        inquiry = ShardInquiry(config, time, store, views, readiness, co_owners, calls)
        self._listing = OwnerListing(config, time, store, views, inquiry, now_ms)
        self.lister = Lister(config, time, views, routing, self._listing)
        self._export = OwnerExport(config, store, views, calls, inquiry, now_ms)
        self.exporter = Exporter(config, time, views, calls, routing, self._export)

    def serve(self, request: ListKeys | Export, budget_s: float) -> Awaitable[Answer]:
        """Answer, as an owner, who a client has asked."""
        if isinstance(request, Export):
            return self._export.serve(request, budget_s)
        return self._listing.serve(request, budget_s)

    def fetch(self, asker: Address, request: FetchRange | FetchPartitions) -> Awaitable[Answer]:
        """Answer an owner that has not synced with this node."""
        if isinstance(request, FetchPartitions):
            return self._export.fetch(request)
        return self._listing.fetch(asker, request)
