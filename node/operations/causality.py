"""What a causal context demands of an owner, and what the owner's answer adds to it.

A read, or a delete, of a key that the context names must find that version or a newer one: here, or with any peer that
can be heard, whether a lease is held of it or not. A lease covers what was acknowledged, and somebody may have read
what was not acknowledged yet. Where the context only names an owner of the key, or a donor, for "whatever it had by
then", that one must be heard. Otherwise the answer could be older than what the client has seen, so it is refused.

But a context is no reason to refuse for ever: if every co-owner was heard, and every donor that can be waited for, then
what it demands is nowhere any more, and the newest there is will do. A donor that is in the view can be waited for, and
so can a removed one of which another copy was heard: it is dropped if it is silent for long, see `repair.holdings`. Who
removes a node that is down gives up what only that one has, and what contexts say of that. A key that the context does
not touch is served as without one, and a put is never refused: it depends on nothing that is held.

An owner comes here at most twice: before it acts, for a `Demand`, and after it. Without a context it never does.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

import msgspec

from gossip.view import Address
from node.config import Config
from node.net.messages import Read, Write, WriteIf
from node.replication.co_owners import CoOwners
from node.storage.store import Store
from node.values.context import BadContext, Context, decode, encode, owner_id
from node.values.donors import Kind
from node.values.record import Record
from node.values.version import Version
from node.views.holder import Views
from ring.hashing import hash_of, partition_of

log = logging.getLogger(__name__)


class Demand(msgspec.Struct, frozen=True, gc=False):
    """What a context demands of one operation, at one owner and under one view; by default nothing."""

    version: Version | None = None
    """This version of the key, or a newer one, must be found."""
    named: Collection[Address] = ()
    """The co-owners that must be heard, and the donors, for as long as they are any."""
    whom_to_ask: Collection[Address] = ()
    """The co-owners that must be asked, though some of them may be silent."""
    co_owners: Sequence[Address] = ()
    """All that there are."""
    kept: bytes = b""
    """What is to be kept of the context with the value, if the operation writes one, for those who will read it."""

    @property
    def may_refuse(self) -> bool:
        """Whether there is anything to be met."""
        return self.version is not None or bool(self.named)

    def is_met(
        self, held: Record | None, newest: Record | None, heard: Collection[Address], donors: Collection[Address]
    ) -> bool:
        """Whether an answer may be given by what is `held` here and `newest`, the newest record that those `heard`
        hold. `donors`: those of the key's partition that can be waited for."""
        if any(peer not in heard and (peer in self.co_owners or peer in donors) for peer in self.named):
            return False
        if self.version is None or _has(held, self.version) or _has(newest, self.version):
            return True
        return all(peer in heard for peer in (*self.co_owners, *donors))


class Causality:
    """What contexts mean to one owner. All operations that come here have one."""

    def __init__(self, config: Config, store: Store, views: Views, co_owners: CoOwners) -> None:
        self._me = config.address
        self._store = store
        self._views = views
        self._co_owners = co_owners

    def demand(self, operation: Read | Write | WriteIf, context: Context) -> Demand:
        """What `context`, that of the operation, demands under the view in force."""
        kept = _kept_with(operation, context) if isinstance(operation, Write | WriteIf) else b""
        if isinstance(operation, Write | WriteIf) and operation.value is not None:
            return Demand(kept=kept)
        partition = partition_of(operation.key)
        co_owners = self._views.ring.co_owners(self._me)
        version = context.needed(hash_of(operation.key))
        named = [peer for peer in (*co_owners, *self._views.donors.of(partition)) if context.names(peer)]
        is_missing = version is not None and not _has(self._store.get(partition, operation.key), version)
        return Demand(version, named, co_owners if is_missing else named, co_owners, kept)

    def donors_waited_for(self, partition: int, heard: Collection[Address]) -> Collection[Address]:
        """The donors of the partition without which nobody can say that what a context demands is nowhere."""
        nodes, donors = self._views.current.nodes, self._views.donors.of(partition)
        a_copy_was_heard = any(kind is Kind.COPY and donor in heard for donor, kind in donors.items())
        kinds = (Kind.COVERED, Kind.COPY) if a_copy_was_heard else (Kind.COVERED,)
        return [donor for donor, kind in donors.items() if donor in nodes or kind in kinds]

    def after_seeing(self, context: Context, key: bytes, record: Record | None, holder: Address) -> Context:
        """What a client depends on that has seen `record`, which `holder` has on disk."""
        if record is None:
            return context
        try:
            context = context.merge(decode(record.context))
        except BadContext as error:
            log.error("what %r was written with cannot be read: %s", key, error)
        if holder == self._me and self._co_owners.is_everywhere(key):
            return context.without(hash_of(key), record.version)
        return context.with_entry(hash_of(key), record.version, owner_id(holder))

    def after_write(self, context: Context, write: Write | WriteIf, is_everywhere: bool) -> Context:
        """What a client depends on whose write was acknowledged; `is_everywhere`: by all owners."""
        if is_everywhere:
            return context.without(hash_of(write.key), write.version)
        return context.with_entry(hash_of(write.key), write.version, owner_id(self._me))


def _kept_with(write: Write | WriteIf, context: Context) -> bytes:
    """The context that is kept with the value, without what it says of older versions of this key: the value replaces
    them."""
    left = context.without(hash_of(write.key), write.version)
    return encode(left) if left else b""


def _has(record: Record | None, version: Version) -> bool:
    return record is not None and record.version >= version
