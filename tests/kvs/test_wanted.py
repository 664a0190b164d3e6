"""The nodes of the next view, from those that there are: tables."""

from __future__ import annotations

import pytest

from kvs.wanted import Mistake, Wanted, brought_home, lost_keys, more_copies, short_of_copies, wanted

A, B, C, D, E = "a:1", "b:1", "c:1", "d:1", "e:1"
PRESENT = (A, B, C)


@pytest.mark.parametrize(
    ("replaced", "added", "removed", "expected"),
    [
        ([], [], [], Wanted(PRESENT)),
        ([(B, D)], [], [], Wanted((A, D, C))),
        ([(B, D), (A, E)], [], [C], Wanted((E, D))),
        ([(B, D)], [E], [A], Wanted((D, C, E))),
        ([], [D], [A, B, C], Wanted((D,))),
        ([], [A], [D], Wanted(PRESENT, (f"{A} is already in the view", f"{D} is out of the view already"))),
        ([(D, A)], [], [], Wanted(PRESENT, (f"{A} has taken the place of {D} already",))),
        ([(D, A), (B, E)], [], [], Wanted((A, E, C), (f"{A} has taken the place of {D} already",))),
    ],
)
def test_wanted(replaced: list[tuple[str, str]], added: list[str], removed: list[str], expected: Wanted) -> None:
    """Whoever gives a command again, since it was interrupted, joins what it has begun."""
    assert wanted(PRESENT, replaced, added, removed, former=[D]) == expected


@pytest.mark.parametrize(
    ("replaced", "added", "removed", "told"),
    [
        ([(B, B)], [], [], "b:1 cannot replace itself: a node that has lost its disk is started again"),
        ([(D, E)], [], [], "d:1 is not in the view of a:1, b:1, c:1: to take e:1 in besides these: --add e:1"),
        ([(D, A)], [], [], "a:1 is in the view of a:1, b:1, c:1 already, and the store does not know d:1"),
        ([], [], [D], "d:1 is not in the view of a:1, b:1, c:1, nor known to the store"),
        ([], [], [A, D], "d:1 is not in the view of a:1, b:1, c:1, nor known to the store"),
        ([(A, B)], [], [], "b:1 is in the view already: to let a:1 go without a new node: --remove a:1"),
        ([(A, D), (A, E)], [], [], "a:1 is named 2 times"),
        ([(A, D), (B, D)], [], [], "d:1 is named 2 times"),
        ([(A, D)], [], [A], "a:1 is named 2 times"),
        ([(A, D)], [D], [], "d:1 is named 2 times"),
        ([], [D], [D], "d:1 is named 2 times"),
        ([], [], [A, B, C], "No node would remain"),
    ],
)
def test_wanted_mistakes_say_what_to_do_instead(
    replaced: list[tuple[str, str]], added: list[str], removed: list[str], told: str
) -> None:
    with pytest.raises(Mistake) as mistake:
        wanted(PRESENT, replaced, added, removed)
    assert str(mistake.value).startswith(told)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (1, "an unknown number of keys (1 when last heard)"),
        (2000, "an unknown number of keys (2,000 when last heard)"),
        (0, "an unknown number of keys"),
        (None, "an unknown number of keys"),
    ],
)
def test_lost_keys_as_people_say_it(keys: int | None, told: str) -> None:
    assert lost_keys(keys) == told


@pytest.mark.parametrize(
    ("nodes", "asked", "kept", "told"),
    [
        (1, None, 2, ("1 node has room for 1 of 2 copies: there will be no more until more nodes are added",)),
        (2, None, 3, ("2 nodes have room for 2 of 3 copies: there will be no more until more nodes are added",)),
        (2, None, 2, ()),
        (2, 2, 3, ()),
        (1, None, None, ()),
    ],
)
def test_short_of_copies_is_told(nodes: int, asked: int | None, kept: int | None, told: tuple[str, ...]) -> None:
    assert short_of_copies(nodes, asked, kept) == told


def test_short_of_copies_more_are_not_to_be_had() -> None:
    with pytest.raises(Mistake, match="2 nodes have room for 2 of 3 copies: add nodes, or ask for fewer copies"):
        short_of_copies(2, 3, 2)


@pytest.mark.parametrize(
    ("nodes", "factor", "copies"),
    [(3, None, 0), (2, 2, 0), (4, 2, 0), (1, 2, 0), (3, 2, 3), (5, 2, 3), (5, 3, 5), (7, 3, 4)],
)
def test_more_copies_than_asked_are_told(nodes: int, factor: int | None, copies: int) -> None:
    told = f"{nodes} nodes cannot be dealt in groups of {factor}: keys get up to {copies} copies, not {factor}"
    assert more_copies(nodes, factor) == ((told,) if copies else ())


def test_brought_home_is_what_a_node_that_goes_and_is_silent_may_have_alone() -> None:
    assert brought_home([A], []) == brought_home([], [A]) == ()
    (told,) = brought_home([A, B], [B, C])
    assert told.startswith("b:1 cannot be asked, and may have taken writes that nobody else has")
