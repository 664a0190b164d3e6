"""The counts of what clients take: who is refused, with what, and that everybody who has left counts no more."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

import pytest

from node.api.admission import Admission, Limit, network_of
from node.errors import Reason, Unavailable
from node.limits import Limits
from tests.node.fakes.clocks import HandTime

SMALL = Limits(connections=3, connections_per_address=2, requests=2, watchers=1, listings=1, memory_mib=1)
MIB = 1024 * 1024


@pytest.fixture
def time() -> HandTime:
    return HandTime()


@pytest.fixture
def admission(time: HandTime) -> Admission:
    return Admission(SMALL, time.monotonic)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("fd00::1", "fd00::2", True),
        ("fd00::1", "fd00:0:0:0:1::", True),
        ("fd00:0:0:1::1", "fd00:0:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
        ("a:b", "a:c", False),
    ],
)
def test_admission_network_of_an_address(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) == same


def test_admission_connections_count_until_they_have_left_once(admission: Admission) -> None:
    visits = [admission.arrive("10.0.0.1"), admission.arrive("10.0.0.1"), admission.arrive("10.0.0.2")]
    assert admission.is_full
    assert admission.has_too_many("10.0.0.1") and not admission.has_too_many("10.0.0.2")
    for _ in range(2):
        visits[0].leave()
    assert not admission.is_full and not admission.has_too_many("10.0.0.1")
    for visit in visits:
        visit.leave()
    assert admission.rooms[Limit.CONNECTIONS].used == 0 and not admission._of_address
    assert admission.rooms[Limit.PER_ADDRESS].refused == 1


def test_admission_short_way_begins_while_there_is_room_for_requests_and_bodies(admission: Admission) -> None:
    assert admission.begin("PUT", MIB - 1) is None
    refused = admission.begin("PUT", 2)
    assert refused is not None and (refused.status, refused.reason) == (503, Reason.CLIENTS)
    assert refused.body == b'{"error":"Too much memory is taken","message":"Error in PUT"}'
    assert refused.headers == {"Retry-After": "1", "Kvs-Happened": "no"}
    assert admission.begin("PUT", 1) is None
    refused = admission.begin("GET", 0)
    assert refused is not None
    assert refused.body == b'{"error":"Too many requests","message":"Error in GET"}'
    assert refused.headers.keys() == {"Retry-After"}
    admission.end(1)
    admission.end(MIB - 1)
    assert (admission.requests.used, admission.memory.used) == (0, 0)
    assert (admission.requests.refused, admission.memory.refused) == (1, 1)


def test_admission_stay_holds_its_place_and_memory_until_its_end(admission: Admission) -> None:
    stay = admission.stay(Limit.LISTINGS)
    with pytest.raises(Unavailable, match="Too many listings"):
        admission.stay(Limit.LISTINGS)
    stay.hold(MIB)
    with pytest.raises(Unavailable, match="Too much memory is taken"):
        stay.hold(1)
    for held in (0, 5):
        stay.end()
        stay.hold(held)
    stay.end()
    assert admission.memory.used == 0, "what it is told once it has ended counts until that is sent"
    admission.stay(Limit.LISTINGS).end()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


@pytest.mark.parametrize(
    ("refuse", "line"),
    [
        (lambda a: a.stay(Limit.WATCHERS), "of watchers there are 1, and 1 allowed"),
        (lambda a: a.no_connection(is_said=False), "of connections there are 0, and 3 allowed"),
    ],
)
def test_admission_limit_that_is_reached_is_said_once_a_minute(
    admission: Admission,
    time: HandTime,
    caplog: pytest.LogCaptureFixture,
    refuse: Callable[[Admission], object],
    line: str,
) -> None:
    admission.stay(Limit.WATCHERS)
    for seconds in (0.0, 59.0, 2.0):
        time.now += seconds
        with suppress(Unavailable):
            refuse(admission)
    assert said(caplog) == [f"clients are refused: {line}"] * 2


def test_admission_lack_that_is_said_elsewhere_is_only_counted(
    admission: Admission, caplog: pytest.LogCaptureFixture
) -> None:
    admission.no_connection(is_said=True)
    assert admission.rooms[Limit.CONNECTIONS].refused == 1
    assert said(caplog) == []
