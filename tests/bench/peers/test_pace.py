"""When is asked, and from when a request's time counts: in an open loop from the moment at which it was due."""

from __future__ import annotations

import pytest

from bench.peers.pace import Closed, Open, per_second

MS = 1_000_000
BEGAN = 5_000 * MS


def an_open_loop(per_second: float = 100, warm_up_s: float = 0.0, duration_s: float = 0.1) -> Open:
    return Open(BEGAN, warm_up_s, duration_s, per_second, patience_s=1.0)


def test_open_loop_has_evenly_spaced_moments_however_late_they_are_taken() -> None:
    pace = an_open_loop()
    assert pace.take(BEGAN - 1) is None
    assert pace.take(BEGAN) == BEGAN
    assert pace.take(BEGAN) is None, "the next one is due in 10 ms"
    assert pace.next_ns() == BEGAN + 10 * MS
    late = BEGAN + 35 * MS
    assert [pace.take(late) for _ in range(4)] == [BEGAN + 10 * MS, BEGAN + 20 * MS, BEGAN + 30 * MS, None]


def test_open_loop_does_not_drift_where_its_interval_is_no_whole_number() -> None:
    pace = Open(0, 0.0, 1.0, 30_000.7, patience_s=1.0)
    moments = [pace.take(pace.end_ns) for _ in range(30_001)]
    assert moments[-1] == pytest.approx(30_000 / 30_000.7 * 1e9, abs=1)
    assert pace.take(pace.end_ns) is None and pace.is_over(pace.end_ns)


def test_open_loop_counts_the_waiting_of_all_that_were_due_while_a_server_stood_still() -> None:
    """It stands for 50 ms, then answers at once: a closed loop on one connection would have seen one slow answer."""
    pace, resumed = an_open_loop(), BEGAN + 50 * MS
    answered = []
    while (due := pace.take(resumed)) is not None:
        answered.append((due, resumed))
    for number in range(6, 10):
        moment = BEGAN + number * 10 * MS
        assert pace.take(moment) == moment
        answered.append((moment, moment))
    assert [taken // MS for taken in pace.taken_ns(answered)] == [50, 40, 30, 20, 10, 0, 0, 0, 0, 0]


def test_open_loop_counts_what_was_never_answered_as_waiting_until_its_patience_is_over() -> None:
    pace = an_open_loop()
    taken = pace.taken_ns([(BEGAN, BEGAN + 2 * MS)])
    assert pace.last_ns == BEGAN + 1_100 * MS
    assert [each // MS for each in taken] == [2, *range(1_090, 1_000, -10)]


def test_open_loop_asks_in_its_warm_up_but_does_not_count_it() -> None:
    pace = an_open_loop(warm_up_s=0.05)
    moments = []
    while (due := pace.take(pace.end_ns)) is not None:
        moments.append(due)
    assert len(moments) == 15 and moments[0] == BEGAN
    assert pace.begin_ns == BEGAN + 50 * MS
    assert len(pace.taken_ns((due, due + MS) for due in moments)) == 10


def test_closed_loop_asks_at_once_until_its_end() -> None:
    pace = Closed(BEGAN, 0.01, 0.1)
    assert pace.take(BEGAN + 3 * MS) == BEGAN + 3 * MS
    assert not pace.is_over(pace.end_ns - 1)
    assert pace.take(pace.end_ns) is None and pace.is_over(pace.end_ns)


def test_closed_loop_of_so_many_is_over_after_them() -> None:
    pace = Closed(BEGAN, 0.0, 0.1, most=2)
    assert [pace.take(BEGAN) for _ in range(3)] == [BEGAN, BEGAN, None]
    assert pace.is_over(BEGAN)


def test_closed_loop_counts_answers_between_the_warm_up_and_the_end() -> None:
    pace = Closed(0, 0.01, 0.1)
    answered = [(0, 10 * MS), (9 * MS, 11 * MS), (100 * MS, 110 * MS), (100 * MS, 110 * MS + 1)]
    assert pace.taken_ns(answered) == [2 * MS, 10 * MS]
    assert per_second(pace, [at for _, at in answered]) == pytest.approx(2 / 0.1)
