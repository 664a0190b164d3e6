"""What a node holds that others should have, and what it has yet to hear of: decided here, done in `handoff`.

Pure functions of the ring, of what is held, and of the donors. Their answers are complete each time: whatever was
interrupted, or done twice, the next answer names just what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from gossip.view import Address
from node.net.messages import Answer, NoRoom, Owed, Taken
from node.values.donors import NOTHING, Donors, DonorsChange, Share
from ring.hashing import unpack
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


def copies_needed(owners: Shard, repl_factor: int | None) -> int:
    """How many owners must have the keys on disk before who brought them may forget them. All that can be reached is
    enough for an answer, not for a deletion: the one disk that has them then may be the next that is lost."""
    return min(len(owners), repl_factor or 1)


def in_turn(
    me: Address, owners: Sequence[Address], partitions: Sequence[int], donors: Iterable[tuple[Address, bool, bytes]]
) -> tuple[tuple[Address, ...], list[int]]:
    """In which order this node brings its misplaced `partitions`, and to which of their `owners` first. Others may hold
    copies of them, the `donors` that the view names, and each begins elsewhere and goes round from there. Whoever then
    comes to what another one has brought finds nothing to bring."""
    sharing = sorted({me} | {donor for donor, _, held in donors if partitions[0] in unpack(held)})
    place = sharing.index(me)
    owner, partition = place % len(owners), place * len(partitions) // len(sharing)
    return (*owners[owner:], *owners[:owner]), [*partitions[partition:], *partitions[:partition]]


class Handover(NamedTuple):
    """What is to be done now about partitions that are held here and belong to others."""

    to: tuple[Address, ...]
    """The owners that the records are brought to; none: not now."""
    forget: bool
    """Whether they are forgotten here once each of those owners has them."""


def handover(have: Collection[Address], answers: Mapping[Address, Answer | None], needed: int) -> Handover:
    """`have`: the owners that the records were brought to before. `answers`: of the others, to the announcement of what
    is to come; None: it cannot be reached. `needed`: see `copies_needed`.

    The records go to the owners that can be reached and lack them. Once as many have them as are needed, all of those
    are asked once more, and the records forgotten here; in the same go, if nobody had them before. Until then they are
    kept for those that are down. One whose disk is full is like one that is down: the others get theirs. Nothing is
    brought while an owner that can be reached refuses them for another reason."""
    reached = {owner: answer for owner, answer in answers.items() if not isinstance(answer, NoRoom | None)}
    if not all(isinstance(answer, Taken) for answer in reached.values()):
        return Handover((), forget=False)
    if not reached and len(have) >= needed:
        return Handover(tuple(sorted(have)), forget=True)
    return Handover(tuple(reached), forget=not have and len(reached) >= needed)


def handing(
    found: Mapping[Shard, list[int]], brought: Mapping[Shard, Collection[Address]], records_of: Callable[[int], int]
) -> tuple[Owed, ...]:
    """What there is to hand over, by the first of its owners that has not got it. `brought`: those that have, of what
    is kept for the others. `records_of`: how many records a partition has here."""
    return tuple(
        Owed(
            next((owner for owner in owners if owner not in brought.get(owners, ())), owners[0]),
            len(partitions),
            sum(map(records_of, partitions)),
        )
        for owners, partitions in found.items()
    )


def kept(found: Mapping[Shard, list[int]], brought: Mapping[Shard, Collection[Address]]) -> list[int]:
    """The partitions of which records wait for copies here: some of their owners have them, but too few for them to be
    forgotten."""
    return [partition for owners, partitions in found.items() if brought.get(owners) for partition in partitions]


def waiting(shares: Mapping[Address, Share]) -> tuple[Owed, ...]:
    """What a node has yet to hear of, by donor. How many records it will be, only the donor knows."""
    return tuple(Owed(donor, share.partitions.bit_count(), 0) for donor, share in shares.items())


def given_up(
    shares: Mapping[Address, Share],
    members: Collection[Address],
    is_silent: Callable[[Address], bool],
    is_grace_over: Callable[[Address], bool],
) -> DonorsChange:
    """The donors outside the view that are waited for no more, since they do not say what they hold: what others have
    told that had copies of the same, and after the grace all else. Until then, what nobody else has may come home, and
    whoever reads it must hear that. A donor that returns later still announces itself anew."""
    silent = {donor: share for donor, share in shares.items() if donor not in members and is_silent(donor)}
    dropped = {donor: share.partitions if is_grace_over(donor) else share.covered for donor, share in silent.items()}
    return DonorsChange(remove={donor: partitions for donor, partitions in dropped.items() if partitions})


def is_settled(
    found: Mapping[Shard, list[int]],
    brought: Mapping[Shard, Collection[Address]],
    donors: Iterable[Address],
    members: Collection[Address],
    out_of_step: Iterable[Address],
    is_down: Callable[[Address], bool],
) -> bool:
    """Nothing is misplaced but what is kept because of owners that cannot be reached, each co-owner that can be reached
    has what is here, and there is no donor to wait for but nodes outside the view that cannot be reached."""
    awaits = any(donor in members or not is_down(donor) for donor in donors)
    is_home = all(_is_kept(owners, brought.get(owners, ()), is_down) for owners in found)
    return is_home and not awaits and all(map(is_down, out_of_step))


def _is_kept(owners: Shard, have: Collection[Address], is_down: Callable[[Address], bool]) -> bool:
    return bool(have) and any(map(is_down, owners)) and all(owner in have or is_down(owner) for owner in owners)


def change_by_holding(
    donors: Donors, donor: Address, held: int, is_co_owner: bool, may_lack: bool = False
) -> DonorsChange:
    """What changes when `donor` announces that, of the partitions owned here, it holds records of just the set `held`.

    A co-owner becomes no donor of anything new: it names all that it holds until the end of a comparison, and of what
    it is a donor, the view has said. One that `may_lack` what it held before has what it has, and no more: there is no
    use in asking it for the rest, but other copies of that must be heard all the same, even once it has brought home
    what it holds now."""
    share = donors.shares.get(donor, NOTHING)
    new = 0 if is_co_owner else held & ~share.partitions
    speaks_for_itself = held & (share.copy | share.covered) if may_lack and not is_co_owner else 0
    change = donors.finish(donor, ~held, covers=not may_lack)
    alone = new | speaks_for_itself
    return change._replace(put={donor: Share(alone=alone)}) if alone else change
