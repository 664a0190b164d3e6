"""What must hold before a view may be changed, judged by where the nodes stand. Pure functions.

Three things can be wrong. The change cannot be made now, for a node that it needs is not there (`Unavailable`); it is
not to be made, for another change is under way or another cluster's node is in it (`Conflict`); or what it was built on
no longer holds, and it has to be begun anew (`Again`).

A change that gets on is not interrupted; one that only waits gives way to the next one. It gets on while something has
moved lately, and can go on: a node that cannot be reached moves nothing, nor does one whose disk is full take anything;
and one whose disk hangs answers all the same, so that only time can tell.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from enum import Enum
from typing import NamedTuple

import msgspec
import xxhash

from gossip.view import FORMER_MAX, Address, Former, View, ViewId
from node.errors import Conflict, Reason, Unavailable
from node.net.messages import Answer, Busy, NoRoom, Promised, Status, ViewIs

UNDER_WAY = "Another view change is under way"


class Target(NamedTuple):
    """What was asked for: these nodes with this factor (None: the plain form, one copy)."""

    nodes: frozenset[Address]
    repl_factor: int | None

    @property
    def name(self) -> str:
        """Short and the same on every node, to be compared only."""
        return f"{self.repl_factor}/{xxhash.xxh3_128_hexdigest(msgspec.msgpack.encode(sorted(self.nodes)))}"

    def is_met_by(self, view: View) -> bool:
        return self.nodes == view.nodes and self.repl_factor == view.repl_factor


class Wish(NamedTuple):
    """What an operator wants. A factor that is left out is that of the newest view which the attempt finds, not of the
    view that happens to be held by the node that was asked."""

    nodes: frozenset[Address]
    repl_factor: int | None = None
    """None: the present one."""
    if_epoch: int | None = None
    """Only if the view in force is of this epoch."""
    if_safe: bool = False
    """Not if keys would be lost by it."""
    gone_for_good: bool = False
    """The operator vouches for it: who is not in the view, and cannot be reached, serves nobody, and never will."""

    def under(self, view: View) -> Target:
        """What that comes to if `view` is the present one."""
        return Target(self.nodes, view.repl_factor if self.repl_factor is None else self.repl_factor)


class TakeBack(NamedTuple):
    """What an operator wants who regrets the change that is being made: the view before it. The other fields: see
    `Wish`."""

    if_epoch: int | None = None
    if_safe: bool = False
    gone_for_good: bool = False

    def under(self, view: View) -> Target:
        """What that comes to if `view` is the present one: where there is nothing to take back, that itself."""
        former = view.former[0] if view.former else view
        return Target(former.nodes, former.repl_factor)


class Again(Exception):
    """Something has changed since this attempt began: begin anew from what is now known. Its text, if it has one, is
    for whoever asked, should it last."""


class State(Enum):
    """How far a view change has come, as far as the nodes that it concerns can tell."""

    PREPARING = "preparing"
    """Some node has promised to wait for a view that is being made."""
    MOVING = "moving"
    SETTLED = "settled"


def state_of(view: View, statuses: Mapping[Address, Status]) -> State:
    """How far the change to `view`, the one in force, has come. `statuses`: of its nodes and donors, those that can be
    reached."""
    if any(status.target for status in statuses.values()):
        return State.PREPARING
    return State.SETTLED if has_settled(view, statuses) else State.MOVING


def is_settled(view_id: ViewId, statuses: Iterable[Status]) -> bool:
    """Whether all of them hold that view, and have nothing to hand over nor anything to wait for."""
    return all(status.view == view_id and status.settled for status in statuses)


def has_settled(view: View, statuses: Mapping[Address, Status]) -> bool:
    """Whether the change to `view` is over: its nodes can be reached, and have settled it, and so have its donors; but
    for those that are gone, once nobody waits for what they have."""
    awaited = {owed.address for status in statuses.values() for owed in status.waiting}
    concerned = view.nodes | view.donor_nodes & (statuses.keys() | awaited)
    return concerned <= statuses.keys() and is_settled(view.id, (statuses[node] for node in concerned))


def former_of_next(old: View, statuses: Mapping[Address, Status], takes_back: bool) -> tuple[Former, ...]:
    """To which views the one after `old` may be taken back: to `old`, and if that has not settled, to those to which
    that may be. One that takes `old` back leaves it behind for good: who asks twice goes on to the one before, and
    not to and fro."""
    if takes_back:
        return old.former[1:]
    earlier = () if has_settled(old, statuses) else old.former
    return (Former(old.id, old.repl_factor, old.shards), *earlier)[:FORMER_MAX]


def removed_by(view: View) -> frozenset[Address]:
    """The nodes that the change to `view` has let go, but for those that could not be reached then: what these have was
    given up on purpose. As far as the view tells: nothing of one that takes another back for good."""
    before = view.former[0].nodes if view.former else frozenset[Address]()
    return before - view.nodes - set(view.absent)


def demand_epoch(view: View, if_epoch: int | None) -> None:
    """Raises Conflict if the change was meant for another view than `view`, which is in force."""
    if if_epoch is not None and view.epoch != if_epoch:
        raise Conflict(f"The view in force is of epoch {view.epoch}, not {if_epoch}", epoch=view.epoch)


def demand_to_be_taken_back(view: View, statuses: Mapping[Address, Status]) -> None:
    """Raises Conflict unless `view` is that of a change which may be taken back."""
    if view.epoch == 0:
        raise Conflict("There is no view change to take back: the view is that of the first start")
    if has_settled(view, statuses):
        before = {"view": ",".join(sorted(view.former[0].nodes))} if view.former else {}
        raise Conflict(f"The view change to epoch {view.epoch} has settled: change the view again instead", **before)
    if not view.former:
        raise Conflict(f"Nothing to go back to: the view of epoch {view.epoch} takes one back itself")


def demand_all_hold(old: View, statuses: Mapping[Address, Status], stall_s: float) -> None:
    """Raises Again unless all owners that can be reached hold `old`, but for those whose disks do not take it: what one
    of them is waiting for is not known before."""
    if any(_is_late(node, old, statuses, stall_s) for node in old.nodes & statuses.keys()):
        raise Again


def is_believed(node: Address, status: Status, old: View, now_ms: int) -> bool:
    """Whether a node outside the view `old` may be taken in again with what it has yet to hand over: while the change
    that removed it is taken back, within the grace. Whatever was deleted since is remembered then, and its successors
    are asked for it; so it comes home to itself."""
    return status.view == old.id and node in old.donor_nodes and now_ms < old.spare_until_ms


def returning(
    old: View, target: Target, statuses: Mapping[Address, Status], stall_s: float, now_ms: int, takes_back: bool = False
) -> dict[Address, Status]:
    """Those to be taken in that hold something from an earlier view, and can bring it home to somebody; but not who is
    believed as it is, see `is_believed`. Who hands over under the view in force to a disk that takes nothing cannot; it
    may be an owner again as it is, so long as none of what was deleted since is forgotten yet."""
    is_spared = now_ms < old.spare_until_ms

    def can_bring(status: Status, taker: Address) -> bool:
        if taker not in statuses:
            return False
        is_in_vain = statuses[taker].full or status.still_ms >= 1000 * stall_s
        return not (is_in_vain and is_spared and status.view == old.id)

    return {
        node: status
        for node, status in statuses.items()
        if node in target.nodes - old.nodes
        and not (takes_back and is_believed(node, status, old, now_ms))
        and (
            any(can_bring(status, owed.address) for owed in status.handing)
            or (old.epoch and status.view != old.id and status.holds_records)
        )
    }


def demand_reachable(nodes: Iterable[Address], reached: Collection[Address]) -> None:
    """Raises Unavailable."""
    unreachable = sorted(set(nodes).difference(reached))
    if unreachable:
        raise Unavailable(unreachable=unreachable)


def demand_any_met(nodes: Collection[Address], met: Set[Address]) -> None:
    """Of a coordinator that is none of these, and was merely told of them by its environment. Raises Unavailable if it
    has met none, nor reached one just now: it cannot know whether they are gone, nor what view they hold by now."""
    if met.isdisjoint(nodes):
        raise Unavailable(unreachable=sorted(nodes))


def demand_native(wanted: frozenset[Address], foreign: Iterable[Address]) -> None:
    """Raises Conflict if a node of another cluster is to come in, or to stay. One that has the address of a node that
    is to go does not stand in the way."""
    refused = sorted(wanted.intersection(foreign))
    if refused:
        why = "of another cluster, by its data or by its CLUSTER"
        raise Conflict(
            f"{', '.join(refused)}: {why}: omit it, or empty its disk, and start it with the CLUSTER of this one",
            foreign=refused,
        )


def demand_nothing_moves(old: View, statuses: Mapping[Address, Status], stall_s: float) -> None:
    """Raises Conflict, or at epoch 0 Again, if the change before gets on: something has moved in the last `stall_s`,
    and there is more that can."""
    for node, status in statuses.items():
        if status.view == old.id:
            can_go_on = any(not statuses[taker].full for taker in _takers(node, status, statuses))
            gets_on = can_go_on and status.still_ms < 1000 * stall_s
        else:
            gets_on = node in old.nodes and _is_late(node, old, statuses, stall_s)
        if gets_on:
            raise Conflict(UNDER_WAY) if old.epoch else Again


def _is_late(node: Address, old: View, statuses: Mapping[Address, Status], stall_s: float) -> bool:
    """Whether a node has yet to take the view `old` in force, and may be expected to: that is new, or its keys move."""
    status = statuses[node]
    still_ms = min((other.still_ms for other in statuses.values() if other.view == old.id), default=0)
    return status.view != old.id and not status.full and still_ms < 1000 * stall_s


def _takers(node: Address, status: Status, reached: Collection[Address]) -> Iterator[Address]:
    """Those that have yet to take something from `node`, or, where it waits for others, itself; as far as both sides
    can be reached."""
    if not status.settled:  # What a settled node has to hand over, it keeps for owners that it alone cannot reach.
        yield from (owed.address for owed in status.handing if owed.address in reached)
    if any(owed.address in reached for owed in status.waiting):
        yield node


def full_in_the_way(view_id: ViewId, statuses: Mapping[Address, Status], stall_s: float) -> list[Address]:
    """The nodes whose disks are full, if nothing has moved for so long though not all is where that view wants it."""
    is_late = any(status.view != view_id for status in statuses.values())
    holders = [status for status in statuses.values() if status.view == view_id and (is_late or not status.settled)]
    if not holders or any(status.still_ms < 1000 * stall_s for status in holders):
        return []
    return sorted(node for node, status in statuses.items() if status.full)


def demand_promises(target: Target, replies: Mapping[Address, Answer | None]) -> None:
    """Raises Conflict, Unavailable or Again unless all have promised. A node that fell silent in between, or whose disk
    takes no promise, may be left out if it is being removed."""
    for answer in replies.values():
        if isinstance(answer, Busy):
            if answer.target == target.name:
                raise Again
            raise Conflict(UNDER_WAY)
    if any(isinstance(answer, ViewIs) for answer in replies.values()):
        raise Again
    wanted = {node: answer for node, answer in replies.items() if node in target.nodes}
    full = sorted(node for node, answer in wanted.items() if isinstance(answer, NoRoom))
    if full:
        raise Unavailable(full=full).because(Reason.DISK)
    silent = sorted(node for node, answer in wanted.items() if not isinstance(answer, Promised))
    if silent:
        raise Unavailable(unreachable=silent)
