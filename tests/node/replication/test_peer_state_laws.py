"""Whatever happens between a node and a co-owner, no lease hides what is owed."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from node.replication import outbox
from node.replication.peer_state import Comparison, LeaseAnswer, PeerState

LEASE_S, OWING_S, SINCE = 0.4, 0.1, 10.0
ID, OTHER_ID = 7, 8

EVENTS = st.one_of(
    st.tuples(st.just("hear"), st.sampled_from([ID, OTHER_ID])),
    st.tuples(st.just("write"), st.sampled_from([b"a", b"b", b"c", b"d"])),
    st.tuples(st.just("pass"), st.sampled_from([0.05, 0.2, 0.5])),
    st.tuples(st.just("end"), st.booleans()),
    *(
        st.tuples(st.just(name))
        for name in ("begin", "uncompare", "send", "confirm", "leave out", "ask", "answer", "pause")
    ),
)


@settings(max_examples=300)
@given(st.lists(EVENTS, max_size=40))
def test_peer_state_law_no_lease_while_anything_is_owed_that_was_acknowledged(events: list[tuple[Any, ...]]) -> None:
    """Whoever was left out of something gets no lease before it has that; and none is left out while a lease counts."""
    state, now, granted_at, under_way = PeerState("b:1", SINCE, LEASE_S, OWING_S), SINCE, SINCE, 0
    owed: set[int] = set()
    with patch.object(outbox, "ENTRIES_MAX", 3):
        for name, *arguments in events:
            match name:
                case "hear":
                    state.hear(arguments[0], False, now)
                case "write":
                    state.append(arguments[0], now)
                case "pass":
                    now += arguments[0]
                case "begin":
                    state.become_comparing()
                case "end" if state._comparison in (Comparison.COMPARING, Comparison.IN_VAIN):
                    state.end_comparison(arguments[0])
                case "uncompare":
                    state.become_uncompared()
                case "send" if head := state.outbox.head(2):
                    state.mark_sent(under_way := head[-1].position)
                case "confirm":
                    state.confirm(under_way)
                case "leave out" if not state.may_be_leased(now):
                    assert now > granted_at + LEASE_S
                    owed.update(range(1, state.outbox.position + 1))
                    state.leave_out()
                case "ask" if state.answer_question(now) is LeaseAnswer.GRANTED:
                    granted_at = now
                    assert all(map(state.outbox.is_confirmed, owed))
                case "answer" if state._store_id is not None:
                    state.become_leased(now, LEASE_S)
                case "pause":
                    state.drop_lease(now)
            state.check(now)
