"""May this view follow the one that is held? The rules, as pure functions of what a node knows.

- From epoch 1 on, the higher id of the same lineage wins, always and everywhere. Another lineage is another cluster's.
- Views from the environment (epoch 0) are not ordered like that, for an operator's typing error must not spread: a node
  follows a peer that its own environment names if that peer's view omits it, and of two views that name both nodes the
  higher digest wins.
- The first view after the environment's is taken from whoever the environment names, from the lineage of the view held,
  and by a node that holds no keys and is taken in.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from gossip.view import Address, BadView, View, host_of
from node.config import Config
from ring.placement import Placement, first_placement
from ring.ring import Ring

EPOCH_LEAP_MAX = 1 << 32
"""An epoch so far above that of the view in force is nobody's honest next one: each attempt at a change takes one."""


def may_be_promised(epoch: int, in_force: int) -> bool:
    """Whether an honest coordinator may have asked for a promise of `epoch` while the view of epoch `in_force` held.
    Were others believed, one node that claims to have promised the highest epoch there is would leave none above it."""
    return epoch < in_force + EPOCH_LEAP_MAX


def next_epoch(in_force: int, heard: Iterable[int]) -> int:
    """Above all that were `heard` to be in force or promised somewhere, as far as they can be believed."""
    return 1 + max([in_force, *(epoch for epoch in heard if may_be_promised(epoch, in_force))])


class Succession(Enum):
    """What a node does about a view that it hears of."""

    TAKE = "take"
    KEEP = "keep"
    FOREIGN = "foreign"


class ViewHolder(NamedTuple):
    """A node that holds a view: all by which it decides whether another may follow."""

    me: Address
    environment: frozenset[Address]
    """The nodes that its environment names, or an operator has named since, itself apart."""
    view: View
    """The one it holds."""
    holds_keys: bool
    followed: Address | None
    """From whom it took an epoch-0 view that is not its own environment's."""

    def names_any(self, nodes: Iterable[Address]) -> bool:
        """Whether this node's environment names any of them."""
        return not self.environment.isdisjoint(nodes)


def decide_succession(holder: ViewHolder, view: View, source: Address) -> Succession:
    """Whether `view`, which was heard from `source`, may follow the one that `holder` holds."""
    mine = holder.view
    if view.id == mine.id or view.epoch == 0 < mine.epoch:
        return Succession.KEEP
    if view.epoch == mine.epoch == 0:
        return _decide_among_environments(holder, view, source)
    if mine.epoch == 0:
        related = view.lineage == mine.lineage_of_successor or holder.names_any(view.nodes | {source})
        taken_in = holder.me in view.nodes and not holder.holds_keys
        return Succession.TAKE if related or taken_in else Succession.FOREIGN
    if view.lineage != mine.lineage:
        return Succession.FOREIGN
    return Succession.TAKE if view.id.supersedes(mine.id) else Succession.KEEP


def _decide_among_environments(holder: ViewHolder, theirs: View, source: Address) -> Succession:
    if not holder.names_any([source]):
        return Succession.KEEP
    am_in_mine, follows_source = holder.me in holder.view.nodes, holder.followed == source
    higher = theirs.id > holder.view.id
    if holder.me not in theirs.nodes:
        takes = higher or am_in_mine or follows_source
    else:
        takes = higher if am_in_mine else follows_source
    return Succession.TAKE if takes else Succession.KEEP


def environments_contradict(holder: ViewHolder, theirs: View, source: Address) -> bool:
    """Whether this node and `source` were told different views that both name this node: an operator's mistake."""
    mine = holder.view
    both_at_start = mine.epoch == theirs.epoch == 0 and mine.id != theirs.id
    return both_at_start and holder.names_any([source]) and holder.me in theirs.nodes & mine.nodes


def is_foreign(holder: ViewHolder, lineage: int, old_nodes: Iterable[Address]) -> bool:
    """Whether a coordinator that builds on a view of this lineage and these nodes is of another cluster."""
    mine = holder.view
    if mine.epoch:
        return mine.lineage != lineage
    related = mine.lineage_of_successor == lineage or holder.names_any(old_nodes)
    return not related and holder.holds_keys


def environment_view(config: Config) -> View:
    """The epoch-0 view that `config` describes: the same on every node that is told the same, in whatever order. Nobody
    has heard from anybody yet, so of the zones no more is known than the hosts in the addresses."""
    placement = first_placement(config.view, config.repl_factor, {node: host_of(node) for node in config.view})
    return View(0, 0, None, "", config.repl_factor, placement.shards, placement.table, ())


def ring_of(view: View) -> Ring:
    """Raises BadView if the view's table is not one of this product's."""
    try:
        return Ring(Placement(view.shards, view.table))
    except ValueError as error:
        raise BadView(str(error)) from None
