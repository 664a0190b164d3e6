"""A link to a peer that is farther away than is made for: it is made, and judges by the peer's own round trip."""

from __future__ import annotations

import pytest

from node.errors import PeerLate, PeerLost
from node.net.link_output import Phase
from node.net.round_trips import PINGS
from tests.node.net.link_driver import CONFIG, HURRIED_S, MOMENT_S, PATIENT_S, TELLING_S, Driver, up

DIALLING, UP, REDIALLING = Phase.DIALLING, Phase.UP, Phase.REDIALLING


def dial(driver: Driver, took_s: float) -> None:
    """Again and again, until one dial is given so long."""
    for _ in range(10):
        while not driver.is_dialling:
            driver.wait(CONFIG.redial_s / 20)
        dials = driver.dials
        for _ in range(100):
            if driver.dials == dials:
                driver.wait(took_s / 100)
        if driver.dials == dials and driver.state.phase in (Phase.DIALLING, REDIALLING):
            driver.connect()
            return
    raise AssertionError("no dial is given the time")


def answer_pings(driver: Driver, *took_s: float) -> None:
    """Each of those that are sent from here on after so long."""
    for one_s in took_s:
        driver.send()
        ping = max(driver.sent)
        driver.wait(one_s)
        driver.answer(ping)
        driver.wait(max(0.0, CONFIG.ping_s - one_s))


@pytest.mark.parametrize("silences", [1.1, 1.9, 3.9])
def test_link_peer_that_is_far_away_is_reached_while_nobody_waits_for_it(silences: float) -> None:
    driver = Driver()
    driver.call("in vain")
    dial(driver, silences * CONFIG.silence_s)
    assert driver.state.phase is UP and driver.pings == 1


def test_link_dial_that_a_cut_has_delayed_makes_nobody_far() -> None:
    """Pings are sent at once, though nothing waits, and after the first of them silence is what it was."""
    driver = far_peer(0.48)
    answer_pings(driver, 0.01)
    driver.call("telling", TELLING_S)
    driver.wait(TELLING_S + MOMENT_S)
    assert driver.fates["telling"].fault is not None and driver.state.phase is REDIALLING
    driver = far_peer(0.48)
    answer_pings(driver, *[0.01] * PINGS)
    assert driver.state.trips.far_s is None and driver.pings <= PINGS + 1
    driver.wait(PATIENT_S)
    assert driver.pings <= PINGS + 1 and driver.state.phase is UP


def test_link_dials_that_are_not_made_in_time_are_given_longer_and_longer_then_as_at_first() -> None:
    driver, given_s = Driver(), []
    driver.call("in vain")
    for _ in range(5):
        began = driver.now
        while driver.is_dialling:
            driver.wait(MOMENT_S + CONFIG.silence_s / 100)
        given_s.append((driver.now - began) / CONFIG.silence_s)
        driver.wait(CONFIG.redial_s)
    assert given_s == pytest.approx([1, 2, 4, 1, 2], rel=0.05)


def test_link_long_dial_begins_anew_when_the_peer_dials() -> None:
    """It was begun while the peer was away, and what was to answer it may be lost."""
    driver = Driver()
    driver.call("in vain")
    for _ in range(2):
        while driver.is_dialling:
            driver.wait(MOMENT_S + CONFIG.silence_s / 100)
        driver.wait(CONFIG.redial_s)
    dials = driver.dials
    driver.doubted()
    assert driver.state.phase is DIALLING and driver.dials == dials + 1
    driver.call("then")
    driver.connect()
    driver.send()
    assert driver.state.phase is UP and "then" not in driver.fates


def test_link_peer_that_dials_again_and_again_does_not_keep_a_far_one_from_being_reached() -> None:
    """A dial that was begun because the peer dialled, and was not made in time, is followed by longer ones. These are
    left alone: the peer, which is as far away from here, dials again whenever it finds this node silent."""
    driver = Driver()
    driver.call("in vain")
    dials, began = driver.dials, driver.now
    while not driver.is_up:
        driver.wait(MOMENT_S if driver.state.phase is Phase.DOWN else CONFIG.silence_s / 4)
        driver.doubted()
        if driver.dials > dials:
            dials, began = driver.dials, driver.now
        elif driver.is_dialling and driver.now - began > 2.5 * CONFIG.silence_s:
            driver.connect()
        assert dials < 10, "no dial is given the time that it takes"


def far_peer(round_trip_s: float) -> Driver:
    """Connected to one whose link took two round trips."""
    driver = Driver()
    driver.call("in vain", HURRIED_S)
    dial(driver, 2 * round_trip_s)
    return driver


def test_link_far_peer_has_the_time_of_its_own_round_trip_before_it_counts_as_silent() -> None:
    driver = far_peer(0.48)
    driver.call("near", CONFIG.silence_s)
    driver.call("patient", PATIENT_S)
    silence_s = CONFIG.silence_over(0.48)
    driver.send()
    driver.wait(CONFIG.silence_s + 2 * CONFIG.ping_s)
    assert driver.fates["near"].fault is PeerLate and driver.state.phase is UP
    driver.wait(silence_s)
    assert driver.fates["patient"].fault is PeerLost and driver.state.phase is REDIALLING


def test_link_far_peer_is_pinged_for_a_call_that_would_tell_of_a_near_one() -> None:
    driver = up()
    driver.call("attempt", PATIENT_S, attempt=True)
    answer_pings(driver, *[0.09] * PINGS)
    assert driver.state.trips.far_s == pytest.approx(0.09)
    for id_ in driver.names:
        driver.answer(id_)
    answer_pings(driver, 0.09)
    driver.wait(PATIENT_S)
    pings = driver.pings
    driver.call("hurried", HURRIED_S)
    driver.wait(PATIENT_S)
    assert driver.pings == pings
    driver.call("would tell", TELLING_S)
    driver.wait(MOMENT_S)
    assert driver.pings == pings + 1


def test_link_each_connection_is_pinged_until_it_is_known_how_far_the_peer_is() -> None:
    """However short the dial was, and though nobody waits for the peer."""
    driver = Driver()
    assert driver.state.cast(driver.now, 0)
    driver.attend()
    for _ in range(2):
        driver.pings = 0
        driver.connect()
        answer_pings(driver, *[0.09] * PINGS)
        assert driver.state.trips.far_s == pytest.approx(0.09)
        driver.wait(PATIENT_S)
        assert driver.pings == PINGS and driver.state.phase is UP
        driver.lose()


def test_link_pings_tell_how_far_a_peer_is_by_the_quickest_of_some() -> None:
    driver = up()
    driver.call("attempt", PATIENT_S, attempt=True)
    answer_pings(driver, *[0.09] * (PINGS - 1))
    assert driver.state.trips.far_s is None, "a few say nothing"
    answer_pings(driver, 0.08)
    assert driver.state.trips.far_s == pytest.approx(0.08)
    answer_pings(driver, *[0.09] * (PINGS - 1), 0.05)
    assert driver.state.trips.far_s is None
