"""When an environment's view becomes that of a store, who founded it, and that this is remembered."""

from __future__ import annotations

import msgspec
import pytest

from node.views.founding import Founding, founding_of, recall
from tests.node.samples import successor
from tests.node.views.bench import A, B, C, D, environment

VIEW = environment(A, B, C)


def test_founding_without_keys_has_no_founders() -> None:
    founding = founding_of(VIEW, [B, A])
    assert founding.holders == (A, B) and not founding.founders


def test_founding_founders_are_the_holders_once_there_are_keys() -> None:
    founding = founding_of(VIEW, [A]).with_holders(VIEW, [B, D], has_keys=True)
    assert founding.founders == {A, B}, "nodes of the view only"


def test_founding_never_forgets_anything() -> None:
    founding = founding_of(VIEW, [A, B], has_keys=True)
    assert founding.with_holders(VIEW, [], has_keys=False) is founding
    assert founding.with_holders(VIEW, [A], has_keys=False) is founding


@pytest.mark.parametrize("order", [[A, B, C], [C, B, A], [B, A, C]])
def test_founding_does_not_depend_on_the_order_of_news(order: list[str]) -> None:
    founding = founding_of(VIEW)
    for holder in order:
        founding = founding.with_holders(VIEW, [holder], has_keys=holder == B)
    assert founding == Founding(VIEW.id.digest, (A, B, C), True)


def test_founding_of_a_later_view_is_nothing() -> None:
    assert not founding_of(successor(VIEW, A, B), [A, B], has_keys=True).founders


def test_founding_is_recalled_from_disk() -> None:
    founding = founding_of(VIEW, [A, C], has_keys=True)
    assert recall(msgspec.msgpack.encode(founding), VIEW) == founding


def test_founding_that_no_release_kept_may_be_that_of_all() -> None:
    """A store that was there before this was kept must not take an alien for a node that it has never met."""
    assert recall(None, VIEW).holders == (A, B, C)
