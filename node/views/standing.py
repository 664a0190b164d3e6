"""What this node has to say for the view in force, and what it knows of it; on disk, for what it has supported once it
must not contradict after a restart. The rule is that of `quorum`."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from gossip.view import View, ViewId
from node.errors import StorageFault
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.views.quorum import strayed_after, supports

_view_ids = msgspec.msgpack.Decoder(ViewId)


class Standing:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._strayed = store.kept(Setting.STRAYED, _view_ids.decode, None)
        self._established = store.kept(Setting.ESTABLISHED, _view_ids.decode, None)

    def supports(self, view: View) -> bool:
        """Whether this node, which holds `view`, may be counted among those who do."""
        return supports(view, self._strayed)

    def is_established(self, view: View) -> bool:
        """Whether it is known to be."""
        return not view.electors or self._established == view.id

    async def note_established(self, view: View) -> None:
        """It is. That is kept on disk if the disk takes it; else it has to be found out again after a restart."""
        if not self.is_established(view):
            self._established = view.id
            with suppress(StorageFault):
                await self._store.set(Setting.ESTABLISHED, msgspec.msgpack.encode(view.id))

    def move(self, held: View, taken: View) -> ViewId | None:
        """What `keep` makes durable and `note_moved` lets count, if the node gives up `held` for `taken`."""
        return strayed_after(self._strayed, held, taken)

    def keep(self, transaction: Transaction, strayed: ViewId | None) -> None:
        """In the transaction by which the view is taken."""
        if strayed is not None:
            transaction.set(Setting.STRAYED, msgspec.msgpack.encode(strayed))

    def note_moved(self, strayed: ViewId | None) -> None:
        self._strayed = strayed
