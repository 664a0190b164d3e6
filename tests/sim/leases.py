"""The two ends of a lease, compared across nodes: nobody holds one that its giver does not remember.

Of a lease that X holds of Y, X knows when it asked, and Y when it answered. Y leaves X out of a write once `lease_s`
has passed since its answer, X relies on the lease until `lease_s` has passed since its question. So if X dated its
question after the answer that Y remembers, Y would acknowledge writes without X while X still answers alone. As long as
both are under the same view, this holds at each moment, whatever happens to either: a pause, a restart, a lost disk.
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


def check_leases(machine: Machine, machines: Mapping[Address, Machine]) -> None:
    """Raises AssertionError if a lease that this machine holds or gives is not what the other end knows of it. A paused
    one counts as running: its leases may still be relied on when it goes on."""
    if machine.node is not None:
        for state in machine.node.co_owners.all():
            other = machines[state.address]
            _check(machine, other)
            _check(other, machine)


def _check(holder: Machine, giver: Machine) -> None:
    if holder.node is None or giver.node is None or holder.node.views.view_id != giver.node.views.view_id:
        return
    held = holder.node.co_owners.get(giver.address)
    given = giver.node.co_owners.get(holder.address)
    if held is None or given is None:
        return
    asked_at, granted_at = holder.time.of_loop(held.leased_at), giver.time.of_loop(given.granted_at)
    assert asked_at <= granted_at + ROUNDING_S, (
        f"{name_of(holder.address)} holds a lease of {name_of(giver.address)} asked for at {asked_at:.6f}, "
        f"of which that one knows nothing later than {granted_at:.6f}"
    )
