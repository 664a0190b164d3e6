"""Which new connection a client may have, who makes room for it, and who waits on probation for what it will say."""

from __future__ import annotations

import asyncio
import logging

import pytest

from node.api.admission import Admission, Dropped, Visit
from node.api.entrance import LOOKED_AT, PROBATION_MAX, SHORT_PROBATION_MAX, Entrance
from node.limits import Limits
from tests.node.fakes.clocks import HandTime


class Other:
    """A connection on the short way."""

    def __init__(self, swept: int = 0, is_idle: bool = True) -> None:
        self.swept = swept
        self.is_idle = is_idle
        self.has_ended = False
        self.dropped: list[Dropped] = []

    def end(self) -> None:
        self.has_ended = True

    def drop(self, why: Dropped) -> None:
        self.dropped.append(why)


class Numbered(asyncio.Transport):
    """From an address, and with the number of a descriptor."""

    def __init__(self, address: str, number: int) -> None:
        super().__init__({"socket": self, "peername": (address, 1234)})
        self._number = number

    def fileno(self) -> int:
        return self._number


@pytest.fixture
def time() -> HandTime:
    return HandTime()


@pytest.fixture
def admission(time: HandTime) -> Admission:
    return Admission(Limits(connections=3, connections_per_address=2), time.monotonic)


@pytest.fixture
def entrance(admission: Admission, time: HandTime) -> Entrance:
    return Entrance(admission, 100, time.monotonic)


def come(entrance: Entrance, address: str, *others: Other, number: int = 1) -> Visit | None:
    return entrance.admit(Numbered(address, number), others)


def test_entrance_is_open_while_there_is_room_and_again_when_somebody_has_left(entrance: Entrance) -> None:
    visits = [come(entrance, address) for address in ("a", "a", "b")]
    assert all(visits)
    assert come(entrance, "c") is None
    assert visits[0] is not None
    visits[0].leave()
    assert come(entrance, "c")


def test_entrance_idle_for_longest_makes_room(entrance: Entrance) -> None:
    for address in ("a", "a", "b"):
        come(entrance, address)
    busy, fresh, old = Other(9, is_idle=False), Other(1), Other(2)
    assert come(entrance, "c", busy, fresh, old)
    assert [other.has_ended for other in (busy, fresh, old)] == [False, False, True]
    assert come(entrance, "d", busy) is None


def test_entrance_looks_at_the_oldest_only(entrance: Entrance) -> None:
    """A crowd that comes when all is full costs no more than that look each."""
    for address in ("a", "a", "b"):
        come(entrance, address)
    busy, idle = [Other(is_idle=False)] * LOOKED_AT, Other()
    assert come(entrance, "c", *busy, idle) is None
    assert not idle.has_ended


def test_entrance_too_many_of_one_address_make_no_room_at_others_expense(entrance: Entrance) -> None:
    for _ in range(2):
        come(entrance, "a")
    idle = Other()
    assert come(entrance, "a", idle) is None
    assert not idle.has_ended
    assert come(entrance, "b", idle)


def test_entrance_descriptors_for_nodes_are_for_no_client(
    entrance: Entrance, time: HandTime, caplog: pytest.LogCaptureFixture
) -> None:
    for seconds in (0, 1, 60):
        time.now += seconds
        assert come(entrance, "a", number=100) is None
    assert come(entrance, "a", Other(), number=100)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == ["clients have all 100 descriptors that they may have: raise 'ulimit -n'"] * 2


def test_entrance_probation_ends_for_the_oldest_when_there_are_too_many(entrance: Entrance) -> None:
    waiting = [Other() for _ in range(PROBATION_MAX)]
    for other in waiting:
        entrance.put_on_probation(other, Numbered("a", 1))
    entrance.has_spoken(waiting[0])
    entrance.put_on_probation(Other(), Numbered("a", 1))
    assert not any(other.dropped for other in waiting)
    entrance.put_on_probation(Other(), Numbered("a", 1))
    assert [other.dropped for other in waiting[:3]] == [[], [Dropped.SILENT], []]


def test_entrance_probation_ends_for_who_says_nothing(entrance: Entrance) -> None:
    silent, fresh = Other(1), Other(0)
    for other in (silent, fresh):
        entrance.put_on_probation(other, Numbered("a", 1))
    entrance.sweep()
    assert (silent.dropped, fresh.dropped) == ([Dropped.SILENT], [])


def test_entrance_probation_is_for_few_while_descriptors_are_short(entrance: Entrance) -> None:
    waiting = [Other() for _ in range(SHORT_PROBATION_MAX + 1)]
    for other in waiting:
        entrance.put_on_probation(other, Numbered("a", 100))
    assert [len(other.dropped) for other in waiting] == [1] + [0] * SHORT_PROBATION_MAX
