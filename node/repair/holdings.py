"""What a node holds that others should have, and what it has yet to hear of: decided here, done in `handoff`.

Pure functions of the ring, of what is held, and of the donors. Their answers are complete each time: whatever was
interrupted, or done twice, the next answer names just what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from gossip.view import Address
from node.net.messages import Answer, Owed, Taken
from node.values.donors import NOTHING, Donors, DonorsChange, Share
from ring.placement import Shard
from ring.ring import Ring


def misplaced(me: Address, ring: Ring, occupied: Collection[int]) -> dict[Shard, list[int]]:
    """By their owners, the partitions of which `me`, no owner itself, holds records; ascending."""
    found: dict[Shard, list[int]] = {}
    for partition in sorted(occupied):
        owners = ring.owners(partition)
        if me not in owners:
            found.setdefault(owners, []).append(partition)
    return found


def misplaced_of(owner: Address, found: Mapping[Shard, list[int]]) -> list[int]:
    """The partitions of `owner` among those that are misplaced."""
    return next((partitions for owners, partitions in found.items() if owner in owners), [])


class Handover(NamedTuple):
    """What is to be done now about partitions that are held here and belong to others."""

    to: tuple[Address, ...]
    """The owners that the records are brought to; none: not now."""
    forget: bool
    """Whether they are forgotten here once each of those owners has them."""


def handover(answers: Mapping[Address, Answer | None]) -> Handover:
    """`answers`: of all owners, to the announcement of what is to come; None: it cannot be reached. The records go to
    all owners that can be reached, one at least. Once these have them, they are forgotten here: the owners bring them
    to those that are down. Nothing is brought yet while one that can be reached refuses them."""
    reached = {owner: answer for owner, answer in answers.items() if answer is not None}
    if not reached or not all(isinstance(answer, Taken) for answer in reached.values()):
        return Handover((), forget=False)
    return Handover(tuple(reached), forget=True)


def handing(found: Mapping[Shard, list[int]], records_of: Callable[[int], int]) -> tuple[Owed, ...]:
    """What there is to hand over, by the first of its owners. `records_of`: how many records a partition has here."""
    return tuple(
        Owed(owners[0], len(partitions), sum(map(records_of, partitions))) for owners, partitions in found.items()
    )


def waiting(shares: Mapping[Address, Share]) -> tuple[Owed, ...]:
    """What a node has yet to hear of, by donor. How many records it will be, only the donor knows."""
    return tuple(Owed(donor, share.partitions.bit_count(), 0) for donor, share in shares.items())


def is_settled(
    found: Mapping[Shard, list[int]],
    donors: Iterable[Address],
    members: Collection[Address],
    out_of_step: Iterable[Address],
    is_down: Callable[[Address], bool],
) -> bool:
    """Nothing is misplaced, each co-owner that can be reached has what is here, and there is no donor to wait for but
    nodes outside the view that cannot be reached."""
    awaits = any(donor in members or not is_down(donor) for donor in donors)
    return not found and not awaits and all(map(is_down, out_of_step))


def change_by_holding(donors: Donors, donor: Address, held: int, is_co_owner: bool) -> DonorsChange:
    """What changes when `donor` announces that, of the partitions owned here, it holds records of just the set `held`.

    A co-owner becomes no donor of anything new: it names all that it holds until the end of a comparison, and of what
    it is a donor, the view has said."""
    known = donors.shares.get(donor, NOTHING).partitions
    new = 0 if is_co_owner else held & ~known
    change = donors.finish(donor, ~held)
    return change._replace(put={donor: Share(alone=new)}) if new else change
