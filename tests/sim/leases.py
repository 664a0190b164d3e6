"""The two ends of a lease, compared across nodes: nobody holds one that its giver does not remember.

A lease that X holds of Y ends for X `lease_s` after X asked, and for Y `lease_s` after Y answered; from then on, Y may
leave X out of a write. If it ended for Y first, Y would acknowledge writes without X while X still answers alone. As
long as both are under the same view, it ends for X first at each moment, whatever happens to either: a pause, a
restart, a lost disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gossip.view import Address
from tests.sim.trace import name_of

if TYPE_CHECKING:
    from tests.sim.cluster import Machine

ROUNDING_S = 1e-9
"""The clocks of machines differ by what they showed at the start, and so does the last bit of what is left."""


def check_leases(machine: Machine, machines: Mapping[Address, Machine], now: float) -> None:
    """Raises AssertionError if a lease that this machine holds or gives is not what the other end knows of it. A paused
    one counts as running: its leases may still be relied on when it goes on. Not so of one whose monotonic clock has
    stood still: that is noticed before anything relies on them."""
    if machine.node is not None:
        for state in machine.node.co_owners.all():
            other = machines.get(state.address)
            if other is not None:  # A wrong environment may name anybody.
                for holder, giver in ((machine, other), (other, machine)):
                    if now > holder.stood_still_until:
                        _check(holder, giver)


def _check(holder: Machine, giver: Machine) -> None:
    if holder.node is None or giver.node is None or holder.node.views.view_id != giver.node.views.view_id:
        return
    held = holder.node.co_owners.get(giver.address)
    given = giver.node.co_owners.get(holder.address)
    if held is None or given is None:
        return
    held_until, given_until = holder.time.of_loop(held.leased_until), giver.time.of_loop(given.grant_ends_at)
    assert held_until <= given_until + ROUNDING_S, (
        f"{name_of(holder.address)} holds a lease of {name_of(giver.address)} until {held_until:.6f}, "
        f"which for its giver ends at {given_until:.6f}"
    )
