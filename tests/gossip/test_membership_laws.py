"""Whatever is heard of a node, in whatever order and however often, comes to the same."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossip.membership import Member
from gossip.messages import MemberRecord, Rumour
from tests.gossip.members import membership, tell

records = st.builds(
    MemberRecord,
    st.just("b:1"),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 1),
    st.integers(0, 1),
)
rumours = st.builds(Rumour, st.just("b:1"), st.integers(0, 3), st.booleans())
said = st.lists(records | rumours, max_size=8)


def after(sayings: Iterable[MemberRecord | Rumour]) -> tuple[Member, Rumour | None]:
    members = membership()
    tell(members, sayings)
    return members["b:1"], members.rumour("b:1")


@given(said, st.randoms(use_true_random=False))
def test_merge_commutes(sayings: list[MemberRecord | Rumour], rng: Random) -> None:
    shuffled = list(sayings)
    rng.shuffle(shuffled)
    assert after(shuffled) == after(sayings)


@given(said)
def test_merge_is_idempotent(sayings: list[MemberRecord | Rumour]) -> None:
    assert after([*sayings, *sayings]) == after(sayings)


@given(said)
def test_merge_again_is_a_no_op_by_its_own_account(sayings: list[MemberRecord | Rumour]) -> None:
    members = membership()
    for _ in range(2):
        changed = tell(members, sayings)
    assert not any(changed)
