"""A node that was started on the directory of another one: two were mixed up, or one was copied.

It goes by the view in it, keeps what is in it, and brings that to whoever owns it, as any node does. But who holds what
this node owns, the directory does not say: its donors are those of the other node. So everybody is a donor until it has
answered, as after views that nobody knows; and whether the co-owners have brought all that there is, they must say once
more, see `storage.identity`. Were that left out, the node would say of its own keys that they do not exist, while they
are in the directory that was mixed up with this one.
"""

from __future__ import annotations

import logging

from gossip.view import Address, View
from node.storage.keys import Setting
from node.storage.store import Store
from node.storage.transaction import Transaction
from node.values.donors import Donors, DonorsChange, shares_of_all
from ring.ring import Ring
from ring.sets import ALL

log = logging.getLogger(__name__)


async def take_over(store: Store, view: View, ring: Ring, me: Address, former: Address) -> Donors:
    """Make the directory of `former` that of `me`, which holds `view`: the donors it has then. The address is written
    down with them, so what is interrupted is begun again at the next start. Raises StorageFault."""
    log.warning("DATA_DIR was that of %s: what is in it is compared before it is believed", former)
    shares = shares_of_all(view.nodes | view.donor_nodes, ring.bits_of(me), me)
    change = DonorsChange(remove=dict.fromkeys(store.donors(), ALL), put=shares)

    def job(transaction: Transaction) -> None:
        transaction.change_donors(change)
        transaction.set(Setting.ADDRESS, me.encode())

    await store.submit(job)
    return Donors(shares)
