"""The rules of one link, event by event: every transition by name, and what fails how."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

import pytest

from node.errors import PeerFault, PeerLate, PeerLost, PeerRefused, TooManyCalls
from node.net.link_output import BUDGET_S_MIN, PENDING_MAX, Phase
from node.net.link_state import LinkState
from tests.node.net.link_driver import CONFIG, HURRIED_S, MOMENT_S, PATIENT_S, TELLING_S, Driver, Fate, driver_in, up

IDLE, DIALLING, UP = Phase.IDLE, Phase.DIALLING, Phase.UP
DOWN, REDIALLING, CLOSED = Phase.DOWN, Phase.REDIALLING, Phase.CLOSED


# What happens


def call(driver: Driver) -> None:
    driver.call("new")


def cast(driver: Driver) -> None:
    assert driver.state.cast(driver.now, 0)
    driver.attend()


def silence(driver: Driver) -> None:
    """The shortest wait in vain that says something."""
    driver.call("telling", TELLING_S)
    driver.wait(TELLING_S)


def hurry(driver: Driver) -> None:
    driver.call("hurried", HURRIED_S)
    driver.wait(HURRIED_S)


def dial_limit(driver: Driver) -> None:
    driver.wait(CONFIG.silence_s)


def rest(driver: Driver) -> None:
    driver.wait(CONFIG.redial_s)


def rest_unwanted(driver: Driver) -> None:
    """So long that the peer is not wanted, though it was dialled again and again."""
    for _ in range(round(2 * CONFIG.wanted_s / CONFIG.redial_s)):
        driver.wait(CONFIG.redial_s)
        if driver.is_dialling:
            driver.fail_to_dial()
    driver.dials = 0


class Row(NamedTuple):
    before: Phase
    event: Callable[[Driver], None]
    after: Phase
    sent: type[PeerFault] | None = None
    """What becomes of a call that is sent; None: it waits on."""
    unsent: type[PeerFault] | None = None
    aborts: bool = False
    dials: bool = False


TRANSITIONS = [
    Row(IDLE, call, DIALLING, dials=True),
    Row(IDLE, cast, DIALLING, dials=True),
    Row(IDLE, Driver.doubted, IDLE),
    Row(IDLE, Driver.reset, IDLE),
    Row(IDLE, Driver.close, CLOSED),
    Row(DIALLING, call, DIALLING),
    Row(DIALLING, Driver.connect, UP),
    Row(DIALLING, Driver.fail_to_dial, DOWN, unsent=PeerRefused),
    Row(DIALLING, dial_limit, DOWN, unsent=PeerRefused, aborts=True),
    Row(DIALLING, silence, REDIALLING, unsent=PeerRefused),
    Row(DIALLING, hurry, DIALLING),
    Row(DIALLING, Driver.doubted, DIALLING),
    Row(DIALLING, Driver.reset, DIALLING, unsent=PeerLost, aborts=True, dials=True),
    Row(DIALLING, Driver.close, CLOSED, unsent=PeerRefused, aborts=True),
    Row(UP, call, UP),
    Row(UP, cast, UP),
    Row(UP, Driver.lose, DIALLING, sent=PeerLost, dials=True),
    Row(UP, silence, REDIALLING, sent=PeerLost, unsent=PeerRefused, aborts=True, dials=True),
    Row(UP, hurry, UP),
    Row(UP, Driver.doubted, UP),
    Row(UP, Driver.reset, DIALLING, sent=PeerLost, unsent=PeerLost, aborts=True, dials=True),
    Row(UP, Driver.close, CLOSED, sent=PeerLost, unsent=PeerRefused, aborts=True),
    Row(DOWN, rest, REDIALLING, dials=True),
    Row(DOWN, rest_unwanted, IDLE),
    Row(DOWN, Driver.doubted, DIALLING, dials=True),
    Row(DOWN, Driver.reset, DIALLING, dials=True),
    Row(DOWN, Driver.close, CLOSED),
    Row(REDIALLING, Driver.connect, UP),
    Row(REDIALLING, Driver.fail_to_dial, DOWN),
    Row(REDIALLING, dial_limit, DOWN, aborts=True),
    Row(REDIALLING, Driver.doubted, DIALLING, aborts=True, dials=True),
    Row(REDIALLING, Driver.reset, DIALLING, aborts=True, dials=True),
    Row(REDIALLING, Driver.close, CLOSED, aborts=True),
    Row(CLOSED, Driver.doubted, CLOSED),
    Row(CLOSED, Driver.reset, CLOSED),
    Row(CLOSED, Driver.close, CLOSED),
]


@pytest.mark.parametrize(
    "row", TRANSITIONS, ids=lambda row: f"{row.before.name} {row.event.__name__} {row.after.name}".lower()
)
def test_link_transition(row: Row) -> None:
    driver = driver_in(row.before)
    dials, aborts = driver.dials, driver.aborts
    row.event(driver)
    assert driver.state.phase is row.after
    fates = {name: driver.fates[name].fault for name in ("sent", "unsent") if name in driver.fates}
    expected = {"sent": row.sent, "unsent": row.unsent}
    assert fates == {name: fault for name, fault in expected.items() if fault is not None}
    assert (driver.aborts > aborts, driver.dials > dials) == (row.aborts, row.dials)


@pytest.mark.parametrize("phase", [DOWN, REDIALLING, CLOSED])
def test_link_calls_and_casts_are_refused_at_once(phase: Phase) -> None:
    driver = driver_in(phase)
    assert not driver.try_to_call() and not driver.state.cast(driver.now, 0)
    assert driver.state.phase is phase
    assert driver.state.is_down == (phase is not CLOSED)


# Whom to believe


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "unsent"])
@pytest.mark.parametrize(
    ("timeout_s", "attempt", "tells"),
    [
        (HURRIED_S, False, False),
        (TELLING_S - MOMENT_S, False, False),
        (TELLING_S, False, True),
        (CONFIG.silence_s, False, True),
        (PATIENT_S, False, True),
        (HURRIED_S, True, False),
    ],
)
def test_link_call_without_answer_fails_alone_if_it_says_nothing(
    timeout_s: float, attempt: bool, tells: bool, sent: bool
) -> None:
    driver = up()
    driver.call("in vain", timeout_s, attempt)
    driver.call("other", timeout_s + PATIENT_S)
    if sent:
        driver.send()
    driver.wait(timeout_s - MOMENT_S)
    assert "in vain" not in driver.fates
    driver.wait(2 * MOMENT_S)
    assert driver.fates["in vain"].fault is ((PeerLost if tells else PeerLate) if sent else PeerRefused)
    assert ("other" in driver.fates, driver.state.is_down) == (tells, tells)
    assert {driver.names.get(id_) for id_ in driver.queue} <= {"other", None}


def test_link_attempt_at_a_peer_that_answers_pings_leaves_it_up() -> None:
    driver = up()
    driver.call("attempt", CONFIG.attempt_s, attempt=True)
    while "attempt" not in driver.fates:
        driver.send()
        for id_ in driver.sent - driver.names.keys():
            driver.answer(id_)
        driver.wait(CONFIG.ping_s / 4)
    assert driver.fates["attempt"] == Fate(PeerLate, was_sent=True)
    assert driver.state.phase is UP
    assert driver.pings == round(CONFIG.attempt_s / CONFIG.ping_s)


def test_link_attempt_at_a_peer_that_answers_nothing_finds_it_silent() -> None:
    driver = up()
    driver.call("attempt", CONFIG.attempt_s, attempt=True)
    driver.send()
    driver.wait(CONFIG.silence_s - MOMENT_S)
    assert driver.state.phase is UP
    driver.wait(2 * MOMENT_S)
    assert driver.state.phase is REDIALLING and driver.fates["attempt"].fault is PeerLost


def test_link_pings_at_once_with_an_attempt_then_as_long_as_anything_waits() -> None:
    driver = up()
    driver.call("call")
    assert driver.pings == 0
    driver.call("attempt", CONFIG.attempt_s, attempt=True)
    driver.call("another", CONFIG.attempt_s, attempt=True)
    assert driver.pings == 1
    driver.send()
    driver.wait(CONFIG.ping_s)
    assert driver.pings == 2
    for id_ in [*driver.names, *driver.sent, *driver.queue]:
        driver.answer(id_)
    driver.wait(PATIENT_S)
    assert driver.pings == 2
    driver.call("later", CONFIG.attempt_s, attempt=True)
    assert driver.pings == 3


def test_link_cancelled_call_says_nothing() -> None:
    driver = up()
    driver.call("given up", CONFIG.silence_s)
    driver.send()
    driver.state.cancelled(max(driver.names))
    driver.wait(PATIENT_S)
    assert driver.state.phase is UP and "given up" not in driver.fates


# Bounds


@pytest.mark.parametrize("timeout_s", [0.0, -0.5, BUDGET_S_MIN / 2])
def test_link_call_without_time_left_is_refused(timeout_s: float) -> None:
    driver = driver_in(UP)
    with pytest.raises(PeerRefused):
        driver.call("late", timeout_s)
    assert driver.state.phase is UP


def test_link_too_many_calls_are_refused() -> None:
    driver = up()
    for number in range(PENDING_MAX):
        driver.state.call(f"{number}", driver.now, PATIENT_S, False)
    with pytest.raises(TooManyCalls):
        driver.call("one more")
    assert not driver.state.is_down
    driver.state.check()


def test_link_too_many_casts_are_dropped() -> None:
    assert [up().state.cast(0.0, queued) for queued in (PENDING_MAX - 1, PENDING_MAX)] == [True, False]


# Being wanted


def test_link_that_is_called_is_dialled_for_so_long_after_the_last_call() -> None:
    driver = driver_in(DOWN)
    began = driver.now
    while driver.state.phase is not IDLE:
        driver.wait(CONFIG.redial_s)
        if driver.is_dialling:
            driver.fail_to_dial()
    assert driver.now - began == pytest.approx(CONFIG.wanted_s, abs=2 * CONFIG.redial_s)
    assert driver.try_to_call()


def test_link_refused_call_shows_that_the_peer_is_wanted() -> None:
    driver = driver_in(DOWN)
    for _ in range(round(2 * CONFIG.wanted_s / CONFIG.redial_s)):
        assert not driver.try_to_call()
        rest(driver)
        driver.fail_to_dial()
    assert driver.state.phase is DOWN


def test_link_is_unwanted_after_long_without_use() -> None:
    driver = up()
    driver.call("long", 2 * CONFIG.unwanted_s)
    driver.wait(CONFIG.unwanted_s + MOMENT_S)
    assert not driver.state.is_unwanted(driver.now)
    driver.answer(max(driver.names))
    assert driver.state.is_unwanted(driver.now)
    cast(driver)
    assert not driver.state.is_unwanted(driver.now)


def test_link_that_is_closed_needs_no_waking() -> None:
    driver = driver_in(UP)
    driver.call("attempt", CONFIG.attempt_s, attempt=True)
    driver.close()
    assert driver.state.wake_at == inf


# What was said before


def test_link_answer_twice_or_to_nothing_is_ignored() -> None:
    driver = up()
    driver.call("call")
    driver.send()
    (id_,) = driver.names.keys() - {1}
    for answered in (id_, id_, 99):
        driver.answer(answered)
    assert driver.fates["call"] == Fate(None, was_sent=True)


def test_link_unsent_call_goes_with_the_next_connection() -> None:
    driver = driver_in(UP)
    driver.lose()
    driver.connect()
    driver.send()
    assert driver.fates == {"sent": Fate(PeerLost, was_sent=True)}
    assert {driver.names[id_] for id_ in driver.sent & driver.names.keys()} == {"sent", "unsent"}


def test_link_all_calls_are_overdue_after_a_pause_and_a_reset_forgets_it() -> None:
    driver = up()
    driver.call("call", CONFIG.silence_s)
    driver.call("attempt", CONFIG.attempt_s, attempt=True)
    driver.send()
    driver.now += PATIENT_S
    driver.reset()
    assert driver.state.phase is DIALLING and not driver.state.is_down
    assert {name: driver.fates[name].fault for name in ("call", "attempt")} == {"call": PeerLost, "attempt": PeerLost}


# A state's check must be able to fail


def spoil_down(state: LinkState[str]) -> None:
    state._is_down = True


def spoil_phase(state: LinkState[str]) -> None:
    state._phase = IDLE


def spoil_sent(state: LinkState[str]) -> None:
    state._sent_id = state._last_id + 1


def spoil_dues(state: LinkState[str]) -> None:
    state._dues.clear()


def spoil_ping(state: LinkState[str]) -> None:
    state._ping_at = inf


def spoil_wake(state: LinkState[str]) -> None:
    state._wake_at = inf


SPOILERS = [spoil_down, spoil_phase, spoil_sent, spoil_dues, spoil_ping, spoil_wake]


@pytest.mark.parametrize("spoil", SPOILERS, ids=[spoil.__name__ for spoil in SPOILERS])
def test_link_check_notices(spoil: Callable[[LinkState[str]], None]) -> None:
    driver = driver_in(UP)
    driver.call("attempt", CONFIG.attempt_s, attempt=True)
    driver.state.check()
    spoil(driver.state)
    with pytest.raises(AssertionError):
        driver.state.check()
