"""Under which views conditions are decided: tables, laws, and random histories of views and of who has held them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gossip.view import ELECTORS_MAX, Address, Electors, View, ViewId
from node.views.quorum import (
    electors_of_next,
    have_quorums,
    is_quorum,
    missing_among,
    strayed_after,
    supports,
)
from tests.node.views.bench import A, B, C, D

NODES = st.frozensets(st.sampled_from([A, B, C, D, "e:1", "f:1"]))


# Quorums


@pytest.mark.parametrize(
    ("some", "nodes", "expected"),
    [
        ((), (), False),
        ((A,), (), False),
        ((), (A,), False),
        ((A,), (A,), True),
        ((A,), (A, B), True),
        ((B,), (A, B), False),
        ((A, B), (A, B), True),
        ((A,), (A, B, C), False),
        ((B, C), (A, B, C), True),
        ((A, D), (A, B, C), False),
        ((A, D), (A, B, C, D), True),
        ((B, C), (A, B, C, D), False),
        ((B, C, D), (A, B, C, D), True),
    ],
)
def test_is_quorum(some: Collection[Address], nodes: Collection[Address], expected: bool) -> None:
    assert is_quorum(some, nodes) is expected


@given(NODES, NODES, NODES)
def test_quorums_of_the_same_nodes_have_one_in_common(
    nodes: frozenset[Address], one: frozenset[Address], other: frozenset[Address]
) -> None:
    if is_quorum(one, nodes) and is_quorum(other, nodes):
        assert one & other & nodes


@given(NODES, NODES)
def test_quorum_is_either_a_part_or_the_rest(nodes: frozenset[Address], part: frozenset[Address]) -> None:
    """So as few are needed as can be."""
    assert is_quorum(part, nodes) + is_quorum(nodes - part, nodes) == (1 if nodes else 0)


@given(NODES, NODES, NODES)
def test_quorum_with_more_is_one(nodes: frozenset[Address], part: frozenset[Address], more: frozenset[Address]) -> None:
    if is_quorum(part, nodes):
        assert is_quorum(part | more, nodes)


def group(epoch: int, *nodes: Address) -> Electors:
    return Electors(ViewId(epoch, 7), nodes)


@pytest.mark.parametrize(
    ("electors", "supporters", "missing"),
    [
        ((), (), set()),
        ((group(1, A, B, C),), (A, B), set()),
        ((group(1, A, B, C),), (A,), {B, C}),
        ((group(1, A, B, C), group(2, C, D)), (A, B), {C, D}),
        ((group(1, A, B, C), group(2, C, D)), (C,), {A, B}),
        ((group(1, A, B, C), group(2, C, D)), (B, C), set()),
        ((group(1),), (A,), set()),
    ],
)
def test_missing_among(electors: tuple[Electors, ...], supporters: Collection[Address], missing: set[Address]) -> None:
    assert missing_among(electors, supporters) == missing
    assert have_quorums(electors, supporters) is (not missing and all(each.nodes for each in electors))


# Electors, and who has strayed


def view(epoch: int, *nodes: Address, electors: tuple[Electors, ...] = ()) -> View:
    return View(1, epoch, ViewId(0, 1), "a:1", None, tuple((node,) for node in nodes), b"\0\0", (), electors=electors)


FIRST = view(1, A, B, C)
SECOND = view(2, B, D, electors=(group(1, A, B, C),))
OF_SECOND = Electors(SECOND.id, (B, D))


@pytest.mark.parametrize(
    ("old", "is_established", "expected"),
    [
        (FIRST, True, (Electors(FIRST.id, (A, B, C)),)),
        (FIRST, False, (Electors(FIRST.id, (A, B, C)),)),
        (SECOND, True, (OF_SECOND,)),
        (SECOND, False, (group(1, A, B, C), OF_SECOND)),
    ],
)
def test_electors_of_next(old: View, is_established: bool, expected: tuple[Electors, ...]) -> None:
    assert electors_of_next(old, is_established) == expected


@pytest.mark.parametrize(("before", "is_too_many"), [(ELECTORS_MAX - 1, False), (ELECTORS_MAX, True)])
def test_electors_of_next_after_too_many_views_are_such_that_it_is_never_established(
    before: int, is_too_many: bool
) -> None:
    old = view(20, A, electors=tuple(group(epoch, A) for epoch in range(1, before + 1)))
    electors = electors_of_next(old, False)
    assert have_quorums(electors, {A}) is not is_too_many
    assert len(electors) <= ELECTORS_MAX and electors[-1].id == old.id
    assert electors_of_next(old, True) == (Electors(old.id, (A,)),)


ID = ViewId(2, 5)


@pytest.mark.parametrize(
    ("strayed", "held", "electors", "expected"),
    [
        pytest.param(None, FIRST, (), None, id="no electors: no rivals"),
        pytest.param(ID, FIRST, (), ID, id="no electors: what was before stays"),
        pytest.param(None, FIRST, (group(3, A),), None, id="before the first electors"),
        pytest.param(ID, FIRST, (group(3, A),), ID, id="before the first electors, what was before stays"),
        pytest.param(None, SECOND, (Electors(SECOND.id, (A,)),), None, id="what is built on"),
        pytest.param(
            None, SECOND, (group(1, A), Electors(SECOND.id, (A,))), None, id="what is built on, not the first"
        ),
        pytest.param(None, SECOND, (group(1, A),), SECOND.id, id="a rival"),
        pytest.param(None, SECOND, (group(1, A), group(3, A)), SECOND.id, id="a rival among the electors' epochs"),
        pytest.param(ViewId(1, 1), SECOND, (group(1, A),), SECOND.id, id="the later rival counts"),
        pytest.param(ViewId(4, 1), SECOND, (group(1, A),), ViewId(4, 1), id="a later one was before"),
    ],
)
def test_strayed_after(
    strayed: ViewId | None, held: View, electors: tuple[Electors, ...], expected: ViewId | None
) -> None:
    assert strayed_after(strayed, held, view(9, A, electors=electors)) == expected


@pytest.mark.parametrize(
    ("strayed", "electors", "expected"),
    [
        (None, (group(3, A),), True),
        (ID, (), True),
        (ID, (group(3, A),), True),
        (ID, (group(2, A),), True),
        (ViewId(2, 7), (group(2, A),), False),
        (ViewId(2, 9), (group(2, A),), False),
        (ID, (group(1, A), group(3, A)), False),
    ],
)
def test_supports(strayed: ViewId | None, electors: tuple[Electors, ...], expected: bool) -> None:
    assert supports(view(9, A, electors=electors), strayed) is expected


# Histories

ALL = (A, B, C, D)


class History:
    """What some nodes have held, one after the other: views that are made on top of any that somebody holds, and taken
    by whoever hears of them, as long as they are later. `forgets`: no node knows of the rivals that it has held."""

    def __init__(self, first: View, forgets: bool = False) -> None:
        self.views = [first]
        self.held = dict.fromkeys(ALL, first)
        self._forgets = forgets
        self._bases: dict[ViewId, ViewId] = {}
        self._strayed: dict[Address, ViewId | None] = dict.fromkeys(ALL)
        self._supporters: dict[ViewId, set[Address]] = {first.id: set(ALL)}

    def make(self, coordinator: Address, nodes: Collection[Address], skips: int, can_tell: bool) -> View:
        """On top of what the coordinator holds; `can_tell`: it is told whether that is established."""
        old = self.held[coordinator]
        made = replace(
            view(old.epoch + 1 + skips, *sorted(nodes)),
            coordinator=f"n{len(self.views)}:1",
            electors=electors_of_next(old, can_tell and self.is_established(old)),
        )
        self._bases[made.id], self._supporters[made.id] = old.id, set()
        self.views.append(made)
        self.move(coordinator, made)
        return made

    def move(self, node: Address, taken: View) -> None:
        """If it is later."""
        held = self.held[node]
        if taken.id <= held.id:
            return
        self._strayed[node] = None if self._forgets else strayed_after(self._strayed[node], held, taken)
        self.held[node] = taken
        if supports(taken, self._strayed[node]):
            self._supporters[taken.id].add(node)

    def is_established(self, one: View) -> bool:
        return have_quorums(one.electors, self._supporters[one.id])

    def may_decide(self, one: View) -> bool:
        return self.is_established(one) and is_quorum([n for n in ALL if self.held[n] is one], one.nodes)

    def is_built_on(self, one: View, other: View) -> bool:
        base = self._bases.get(one.id)
        while base is not None and base != other.id:
            base = self._bases.get(base)
        return base is not None

    def rivals(self) -> Iterator[tuple[View, View]]:
        for one, other in combinations(self.views, 2):
            if not self.is_built_on(one, other) and not self.is_built_on(other, one):
                yield one, other

    def check(self) -> None:
        for one, other in self.rivals():
            assert not (self.is_established(one) and self.is_established(other)), "two rivals are established"
        deciding = [one for one in self.views if self.may_decide(one)]
        assert len(deciding) <= 1, "two may decide"
        for one in deciding:
            later = [other for other in self.views if self.is_built_on(other, one)]
            assert not any(map(self.is_established, later)), "one may decide that was replaced"


MAKE = st.tuples(
    st.sampled_from(ALL),
    st.sampled_from([(A, B, C)] * 4 + [(A, B), (B, C), (A,), (B, C, D), (A, B, C, D)]),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.booleans(),
)
MOVE = st.tuples(st.sampled_from(ALL), st.integers(1, 4))
"""To one of the latest."""


@settings(max_examples=300)
@given(st.sampled_from([(A, B, C), (A, B), (A, B, C, D)]), st.lists(MAKE | MOVE | MOVE, min_size=10, max_size=40))
def test_of_rivals_one_at_most_is_ever_established(
    nodes: tuple[Address, ...],
    events: list[tuple[Address, tuple[Address, ...], int, bool] | tuple[Address, int]],
) -> None:
    """Whoever makes them, of whichever nodes, and whoever hears of which, in whatever order."""
    history = History(view(1, *nodes))
    for event in events:
        if len(event) == 2:
            node, back = event
            history.move(node, history.views[-min(back, len(history.views))])
        else:
            history.make(*event)
        history.check()


@pytest.mark.parametrize("forgets", [False, True])
def test_rivals_are_both_established_if_nodes_forget_what_they_have_held(forgets: bool) -> None:
    """One of three is in both quorums: it goes from the one to the other."""
    history = History(view(1, A, B, C), forgets)
    one = history.make(A, [A, B, C], 0, True)
    history.move(B, one)
    other = history.make(C, [B, C], 1, True)
    history.move(B, other)
    assert history.is_established(one) and history.is_established(other) is forgets
    if forgets:
        with pytest.raises(AssertionError, match="rivals"):
            history.check()


def test_view_built_on_one_of_which_nobody_can_tell_needs_the_electors_of_both() -> None:
    """D alone is a quorum of its own view, which A's side knows nothing of."""
    history = History(view(1, A, B, C))
    lonely = history.make(C, [D], 0, True)
    history.move(D, lonely)
    later = history.make(D, [D], 0, False)
    assert not history.is_established(lonely) and not history.is_established(later)
    other = history.make(A, [A, B], 3, True)
    history.move(B, other)
    assert history.may_decide(other)
    history.check()


def test_view_that_was_replaced_decides_no_more() -> None:
    history = History(view(1, A, B, C))
    one = history.make(A, [A, B, C], 0, True)
    history.move(B, one)
    assert history.may_decide(one)
    later = history.make(B, [B, C, D], 0, True)
    history.move(A, later)
    assert history.is_established(later) and not history.may_decide(later), "its own nodes do not hold it yet"
    assert history.is_established(one) and not history.may_decide(one)
    history.move(D, later)
    assert history.may_decide(later)
