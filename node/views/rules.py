"""May this view follow the one that is held? The rules, as pure functions of what a node knows.

- From epoch 1 on, the higher id of the same lineage wins, always and everywhere. Another lineage is another store's.
- Views from the environment (epoch 0) are not ordered like that, for an operator's typing error must not spread. While
  no key was written under the view held, a node follows a peer that its own environment names if that peer's view omits
  it, of two views that name both nodes the higher digest wins, and a view of a store is taken from whoever takes the
  node in. A view that omits its own holder only says where the store is: no node of a view that others hold too gives
  that up for it, and its holder follows whoever is in another one, or takes the holder in.
- Once a key was, the view held is that of a store, see `founding`, and no environment outranks it, be it this node's or
  a peer's. Such a node follows another lineage only if a node of its own base asks: one that its view names and that
  was never there. A lone one is a newcomer that took keys before it met the store that its environment names, and goes
  with what that one serves. Several have a store of their own, and go only where they are taken in; else whoever comes
  to have the address of a node that was never there would take all keys along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
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


def believable(promised: int, in_force: int) -> int:
    """The epoch that a node says it has promised. One that no change comes to was promised to nobody who could make a
    view of it: it is as good as none, and the next one starts from the view in force, or that node could take part in
    no change ever again."""
    return promised if may_be_promised(promised, in_force) else 0


def next_epoch(in_force: int, heard: Iterable[int]) -> int:
    """Above all that were `heard` to be in force or promised somewhere, as far as they can be believed."""
    return 1 + max([in_force, *(believable(epoch, in_force) for epoch in heard)])


class Succession(Enum):
    """What a node does about a view that it hears of."""

    TAKE = "take"
    KEEP = "keep"
    FOREIGN = "foreign"
    """It is another store's: whoever holds it is no node of this one, whatever its address."""
    AWAIT = "await"
    """Whoever holds it has nothing, and another environment: it is no node of this store until it follows."""


class ViewHolder(NamedTuple):
    """A node that holds a view: all by which it decides whether another may follow."""

    me: Address
    environment: frozenset[Address]
    """The nodes that its environment names, or an operator has named since, itself apart."""
    view: View
    """The one it holds."""
    founders: frozenset[Address]
    """Of that view; none at a later epoch, or if it is worth no more than the environment."""
    holds_keys: bool
    followed: Address | None
    """From whom it took an epoch-0 view that is not its own environment's."""
    has_asked_around: bool
    """Whether those that its environment names have been asked, so that it joins no stranger in place of its own."""
    stores: Mapping[Address, int] = {}
    """Of each node that was heard, the lineage of the views that it held."""

    @property
    def has_a_store(self) -> bool:
        """Whether keys are at stake: this node belongs to a store, and is no guest of it."""
        return self.view.epoch > 0 or (bool(self.founders) and (self.me in self.view.nodes or self.holds_keys))

    @property
    def is_guest(self) -> bool:
        """Whether it merely forwards to the store of an environment's view, and has nothing itself."""
        return self.view.epoch == 0 and bool(self.founders) and not self.has_a_store

    @property
    def goes_by_hearsay(self) -> bool:
        """Whether none of the nodes of the view held is known to have told it."""
        return self.followed is None or self.followed not in self.view.nodes

    @property
    def shares_its_view(self) -> bool:
        """Whether another node was heard to hold the view held."""
        return self.view.lineage_of_successor in self.stores.values()

    def names_any(self, nodes: Iterable[Address]) -> bool:
        """Whether this node's environment names any of them."""
        return not self.environment.isdisjoint(nodes)

    def named_of(self, view: View) -> int:
        """How many nodes of that view's store this node's environment names: nodes of the view, and whoever holds one
        of that store."""
        lineage = view.lineage_of_successor
        holders = {node for node, held in self.stores.items() if held == lineage}
        return len(self.environment & (view.nodes | holders))

    def awaits_any(self, nodes: Iterable[Address]) -> bool:
        """Whether any of them is of its base: the view held names it, and it was never there."""
        return not (self.view.nodes - self.founders).isdisjoint(nodes)


class Heard(NamedTuple):
    """A view that a node hears of."""

    view: View
    founders: Collection[Address]
    source: Address
    """Who holds it."""


def are_kin(one: View, other: View) -> bool:
    """Whether both are views of one store."""
    return one.lineage_of_successor == other.lineage_of_successor


def decide_succession(holder: ViewHolder, heard: Heard) -> Succession:
    """Whether the view that was heard may follow the one that `holder` holds."""
    mine, theirs = holder.view, heard.view
    if are_kin(mine, theirs):
        return Succession.TAKE if theirs.id.supersedes(mine.id) else Succession.KEEP
    if mine.epoch:
        return _decide_under_a_later_view(holder, heard)
    if holder.has_a_store:
        return _decide_with_keys(holder, heard)
    if holder.is_guest and holder.me not in theirs.nodes and holder.named_of(theirs) <= holder.named_of(mine):
        return Succession.FOREIGN if theirs.epoch or heard.founders else Succession.AWAIT
    return _decide_first(holder, heard) if theirs.epoch else _decide_among_environments(holder, heard)


def _decide_under_a_later_view(holder: ViewHolder, heard: Heard) -> Succession:
    """A newcomer that took keys before it met this node is about to follow it: that is told when it does not."""
    if heard.view.epoch:
        return Succession.FOREIGN
    may_follow = not heard.founders or holder.me in heard.view.nodes.difference(heard.founders)
    return Succession.KEEP if may_follow else Succession.FOREIGN


def _decide_with_keys(holder: ViewHolder, heard: Heard) -> Succession:
    theirs, is_lone = heard.view, len(holder.founders) == 1
    is_taken_in = holder.me in theirs.nodes
    if not theirs.epoch and not heard.founders and is_taken_in:
        return Succession.AWAIT
    if not holder.awaits_any(theirs.nodes | {heard.source}) or not (is_lone or is_taken_in):
        return Succession.FOREIGN if theirs.epoch or heard.founders else Succession.AWAIT
    if theirs.epoch or not is_taken_in:
        return Succession.TAKE
    if is_lone == (len(heard.founders) == 1):  # Two of a kind: only those that are lone can tell who gives way.
        takes = is_lone and theirs.id > holder.view.id
        return Succession.TAKE if takes else Succession.KEEP if is_lone else Succession.FOREIGN
    return Succession.TAKE if is_lone else Succession.KEEP


def _decide_first(holder: ViewHolder, heard: Heard) -> Succession:
    """Of a later view, by a node that has no store."""
    if holder.names_any(heard.view.nodes | {heard.source}):
        return Succession.TAKE
    if holder.me not in heard.view.nodes:
        return Succession.FOREIGN
    return Succession.TAKE if holder.has_asked_around else Succession.KEEP


def _decide_among_environments(holder: ViewHolder, heard: Heard) -> Succession:
    """Of another environment's view, by a node that has no store."""
    theirs, is_named = heard.view, holder.names_any([heard.source])
    if heard.founders:
        is_lost_here = holder.me in heard.founders or (holder.me in theirs.nodes and not holder.environment)
        if is_named or (is_lost_here and holder.has_asked_around):
            return Succession.TAKE
    if not is_named:
        return Succession.KEEP
    takes = takes_as_member(holder, heard) if holder.me in holder.view.nodes else takes_as_guest(holder, heard)
    return Succession.TAKE if takes else Succession.KEEP


def takes_as_member(holder: ViewHolder, heard: Heard) -> bool:
    """Whether a node of the view held takes an environment's view from a node that its own environment names. Who is in
    none of what it tells has only been told of it, or where to look for it: no reason to part with others."""
    is_hearsay = heard.source not in heard.view.nodes
    if is_hearsay and holder.shares_its_view:
        return False
    return holder.me not in heard.view.nodes or heard.view.id > holder.view.id


def takes_as_guest(holder: ViewHolder, heard: Heard) -> bool:
    """Whether a node that is not in the view held takes one from a node that its own environment names. It has no say
    in the one held: it goes on following whom it follows. Else one that it is in, or whose holder is, holds, unless
    that is as true of the one held, or it would go to and fro."""
    is_higher, omits_me = heard.view.id > holder.view.id, holder.me not in heard.view.nodes
    if holder.followed == heard.source:
        return True
    if holder.founders:
        return omits_me and is_higher
    is_hearsay = omits_me and heard.source not in heard.view.nodes
    return holder.goes_by_hearsay and (is_higher or not is_hearsay)


def environments_contradict(holder: ViewHolder, heard: Heard) -> bool:
    """Whether this node and another one, neither of which has a store, were told different views that both name this
    node: an operator's mistake."""
    mine, theirs = holder.view, heard.view
    both_at_start = mine.epoch == theirs.epoch == 0 and mine.id != theirs.id
    are_new = both_at_start and not holder.has_a_store and not heard.founders
    return are_new and holder.names_any([heard.source]) and holder.me in theirs.nodes & mine.nodes


def is_foreign(holder: ViewHolder, lineage: int, coordinator: Address, old_nodes: Iterable[Address]) -> bool:
    """Whether a coordinator that builds on a view of this lineage and these nodes is of another store."""
    if holder.view.lineage_of_successor == lineage or not holder.has_a_store:
        return False
    return holder.view.epoch > 0 or not holder.awaits_any({coordinator, *old_nodes})


def environment_view(config: Config) -> View:
    """The epoch-0 view that `config` describes: the same on every node that is told the same, in whatever order. Nobody
    has heard from anybody yet, so of the zones no more is known than the hosts in the addresses."""
    placement = first_placement(config.view, config.repl_factor, {node: host_of(node) for node in config.view})
    return View(0, 0, None, "", config.repl_factor, placement.shards, placement.table, ())


def difference_to_environment(config: Config, view: View) -> str | None:
    """In one line, in what `view`, which was on the disk at the start, is not what the environment says, and how to get
    there; None: in nothing. A factor that the environment leaves out says nothing, nor does a `VIEW` without this node
    itself: such a one only says where the store is to be found."""
    if config.address not in config.view:
        return None
    wanted = environment_view(config)
    factor = config.repl_factor if config.repl_factor is None else min(config.repl_factor, len(config.view))
    if wanted.nodes == view.nodes and config.repl_factor in (None, view.repl_factor):
        return None
    held, said = _described(view.nodes, view.repl_factor), _described(wanted.nodes, factor)
    change = f"kvs view-change --to {','.join(sorted(wanted.nodes))}"
    if factor not in (None, view.repl_factor):
        change += f" --repl-factor {factor}"
    holds = f"the view on the disk holds: epoch {view.epoch}, {held}"
    return f"{holds}; the environment says {said}; to get there: {change}"


def _described(nodes: Collection[Address], factor: int | None) -> str:
    return f"VIEW={','.join(sorted(nodes))}" + (f" REPL_FACTOR={factor}" if factor is not None else "")


def ring_of(view: View) -> Ring:
    """Raises BadView if the view's table is not one of this product's."""
    try:
        return Ring(Placement(view.shards, view.table))
    except ValueError as error:
        raise BadView(str(error)) from None
