"""What a causal context demands of an owner, and what the owner's answer adds to it.

A read, or a delete, of a key that the context names must find that version or a newer one: here, or with any peer that
can be heard, lease or not; a lease covers what was acknowledged, and somebody may have read what was not yet. Where the
context only names an owner of the key, for "whatever it had by then", that owner must be heard. Otherwise the answer
could be older than what the client has seen, so there is none.

But a context is no reason to refuse for ever: if every co-owner was heard, and every donor that is in the view, then
what it demands is nowhere any more, and the newest there is will do. A key that the context does not touch is served as
without one, and a put is never refused: it depends on nothing that is held.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from gossip.view import Address
from node.config import Config
from node.net.messages import Read, Write
from node.replication.co_owners import CoOwners
from node.storage.store import Store
from node.values.context import BadContext, Context, decode, encode, owner_id
from node.values.record import Record
from node.views.holder import Views
from ring.hashing import hash_of, partition_of

log = logging.getLogger(__name__)


class Causality:
    """Of one owner."""

    def __init__(self, config: Config, store: Store, views: Views, co_owners: CoOwners) -> None:
        self._me = config.address
        self._store = store
        self._views = views
        self._co_owners = co_owners

    # What is demanded

    def whom_to_ask(self, operation: Read | Write) -> Iterable[Address]:
        """The co-owners that must be heard, or at least tried, because of the context."""
        context = _demanding(operation)
        if context is None:
            return ()
        needed, co_owners = context.needed(hash_of(operation.key)), self._other_owners(operation.key)
        if needed is not None and not _has(self._held(operation.key), needed):
            return co_owners
        return [owner for owner in co_owners if context.names(owner)]

    def is_met(self, operation: Read | Write, newest: Record | None, heard: Collection[Address]) -> bool:
        """Whether an answer may be given by what is held here, and `newest`, the newest that those `heard` hold."""
        context = _demanding(operation)
        if context is None:
            return True
        co_owners = self._other_owners(operation.key)
        if any(context.names(owner) for owner in co_owners if owner not in heard):
            return False
        needed = context.needed(hash_of(operation.key))
        if needed is None or _has(newest, needed) or _has(self._held(operation.key), needed):
            return True
        donors = self._views.donors.of(partition_of(operation.key)).keys() & self._views.current.nodes
        return donors.union(co_owners).issubset(heard)

    # What is given back

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

    def after_write(self, write: Write, is_everywhere: bool) -> Context | None:
        """What a client depends on whose write was acknowledged; `is_everywhere`: by all owners."""
        if write.context is None:
            return None
        if is_everywhere:
            return write.context.without(hash_of(write.key), write.version)
        return write.context.with_entry(hash_of(write.key), write.version, owner_id(self._me))

    # Where it is

    def _held(self, key: bytes) -> Record | None:
        return self._store.get(partition_of(key), key)

    def _other_owners(self, key: bytes) -> list[Address]:
        return [owner for owner in self._views.ring.owners(partition_of(key)) if owner != self._me]


def kept_with(write: Write) -> bytes:
    """What is kept with a value, for those who will read it. Of its own key, nothing older matters any more."""
    if not write.context:
        return b""
    context = write.context.without(hash_of(write.key), write.version)
    return encode(context) if context else b""


def _demanding(operation: Read | Write) -> Context | None:
    """The context, if it demands anything for this operation."""
    is_put = isinstance(operation, Write) and operation.value is not None
    return None if is_put or not operation.context else operation.context


def _has(record: Record | None, version: bytes) -> bool:
    return record is not None and record.version >= version
