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

from gossip.view import Address, BadView, View
from node.config import Config
from ring.placement import Placement, first_placement
from ring.ring import Ring


class Verdict(Enum):
    TAKE = "take"
    KEEP = "keep"
    FOREIGN = "foreign"


class Standing(NamedTuple):
    """What a node judges by."""

    me: Address
    environment: frozenset[Address]
    """The nodes that its environment names, itself apart."""
    view: View
    """The one it holds."""
    holds_keys: bool
    followed: Address | None
    """From whom it took an epoch-0 view that is not its own environment's."""

    def names_any(self, nodes: Iterable[Address]) -> bool:
        """Whether this node's environment names any of them."""
        return not self.environment.isdisjoint(nodes)


def judge(standing: Standing, view: View, source: Address) -> Verdict:
    """What to do about `view`, which was heard from `source`."""
    mine = standing.view
    if view.id == mine.id or view.epoch == 0 < mine.epoch:
        return Verdict.KEEP
    if view.epoch == mine.epoch == 0:
        return _judge_environment(standing, view, source)
    if mine.epoch == 0:
        related = view.lineage == mine.lineage_of_successor or standing.names_any(view.nodes | {source})
        taken_in = standing.me in view.nodes and not standing.holds_keys
        return Verdict.TAKE if related or taken_in else Verdict.FOREIGN
    if view.lineage != mine.lineage:
        return Verdict.FOREIGN
    return Verdict.TAKE if view.id.supersedes(mine.id) else Verdict.KEEP


def _judge_environment(standing: Standing, theirs: View, source: Address) -> Verdict:
    if not standing.names_any([source]):
        return Verdict.KEEP
    am_in_mine, follows_source = standing.me in standing.view.nodes, standing.followed == source
    higher = theirs.id > standing.view.id
    if standing.me not in theirs.nodes:
        takes = higher or am_in_mine or follows_source
    else:
        takes = higher if am_in_mine else follows_source
    return Verdict.TAKE if takes else Verdict.KEEP


def environments_contradict(standing: Standing, theirs: View, source: Address) -> bool:
    """Whether this node and `source` were told different views that both name this node: an operator's mistake."""
    mine = standing.view
    both_at_start = mine.epoch == theirs.epoch == 0 and mine.id != theirs.id
    return both_at_start and standing.names_any([source]) and standing.me in theirs.nodes & mine.nodes


def is_foreign(standing: Standing, lineage: int, old_nodes: Iterable[Address]) -> bool:
    """Whether a coordinator that builds on a view of this lineage and these nodes is of another cluster."""
    mine = standing.view
    if mine.epoch:
        return mine.lineage != lineage
    related = mine.lineage_of_successor == lineage or standing.names_any(old_nodes)
    return not related and standing.holds_keys


def environment_view(config: Config) -> View:
    """The epoch-0 view that `config` describes: the same on every node that is told the same, in whatever order."""
    placement = first_placement(config.view, config.repl_factor)
    return View(0, 0, None, "", config.repl_factor, placement.shards, placement.table, ())


def ring_of(view: View) -> Ring:
    """Raises BadView if the view's table is not one of this product's."""
    try:
        return Ring(Placement(view.shards, view.table))
    except ValueError as error:
        raise BadView(str(error)) from None
