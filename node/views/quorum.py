"""Under which views conditions are decided: the rule that of two views which do not know of each other, one at most
ever decides anything.

A condition is decided by the first owner of its key, alone; so under one view nothing can be decided twice. But the two
sides of a cut may each make a view, and then there are two first owners. Neither need be wrong: who removes a node that
is silent cannot tell whether it is dead. So each view has *electors*: the nodes of the view that it was built on. It is
*established* once a quorum of them has held it, and has held no rival of it before: no view that it was not built on.
Two quorums of the same nodes have one in common, so of two rivals one at most is ever established. Where nobody could
tell whether the view before was established, its electors stay those of the next one, beside its own nodes: any rival
of one of the two is then kept out by the electors of its own base.

That a view is established stays true. But a later one may be, meanwhile, and this one not have heard of it: so whoever
decides makes sure, after what it has written is on disk, that a quorum of the nodes of its own view still holds that.
A later view is established by a quorum of the same nodes, and decides after that.

Pure: views in, words about them out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gossip.view import ELECTORS_MAX, Address, Electors, View, ViewId


def is_quorum(some: Collection[Address], nodes: Collection[Address]) -> bool:
    """Whether `some` have one in common with any other such part of `nodes`: more than half of them, or just half with
    the lowest address. There is none of no nodes."""
    part = set(nodes).intersection(some)
    if 2 * len(part) == len(nodes):
        return bool(part) and min(nodes) in part
    return 2 * len(part) > len(nodes)


def missing_among(electors: Iterable[Electors], supporters: Collection[Address]) -> set[Address]:
    """Who could make up the quorums that these supporters do not: empty if there are all of them. Where no quorum can
    ever be had, nobody can."""
    lacking = [group for group in electors if not is_quorum(supporters, group.nodes)]
    return {node for group in lacking for node in group.nodes if node not in supporters}


def have_quorums(electors: Iterable[Electors], supporters: Collection[Address]) -> bool:
    return all(is_quorum(supporters, group.nodes) for group in electors)


def electors_of_next(old: View, is_established: bool) -> tuple[Electors, ...]:
    """Those of the view that is built on `old`. `is_established`: whether somebody can tell that `old` is."""
    own = Electors(old.id, tuple(sorted(old.nodes)))
    electors = (own,) if is_established else (*old.electors, own)
    return electors if len(electors) <= ELECTORS_MAX else (Electors(old.id, ()),)


def strayed_after(strayed: ViewId | None, held: View, taken: View) -> ViewId | None:
    """The latest view that a node has held and that may be a rival of what it holds, once it gives up `held` for
    `taken`; `strayed`: so far. What came before the first electors is none: the view that they are of was established,
    and no rival of that ever decides anything."""
    first = taken.electors[0].id if taken.electors else None
    is_before = first is None or held.id < first or any(held.id == group.id for group in taken.electors)
    if is_before:
        return strayed
    return held.id if strayed is None else max(strayed, held.id)


def supports(view: View, strayed: ViewId | None) -> bool:
    """Whether a node that holds `view`, and has `strayed`, has held no rival of it before."""
    return strayed is None or not view.electors or strayed < view.electors[0].id
