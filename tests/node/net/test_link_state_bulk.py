"""A link for transfers: what is late on it says nothing about its peer, whom another link watches."""

from __future__ import annotations

from node.errors import PeerLate, PeerLost, PeerRefused
from node.net.link_output import Phase
from tests.node.net.link_driver import CONFIG, PATIENT_S, TELLING_S, Driver


def up_with_calls() -> Driver:
    """Connected; "late" and "beside" are sent, "unsent" waits."""
    driver = Driver(is_bulk=True)
    driver.call("late", TELLING_S)
    driver.call("beside", PATIENT_S, attempt=True)
    driver.connect()
    driver.send()
    driver.call("unsent", PATIENT_S)
    return driver


def test_link_for_transfers_late_call_breaks_the_connection_and_does_not_judge_the_peer() -> None:
    driver = up_with_calls()
    driver.wait(TELLING_S)
    assert (driver.state.phase.name, driver.aborts, driver.dials) == ("DIALLING", 1, 2)
    assert driver.fates.keys() == {"late", "beside"}
    assert all(fate.fault is PeerLate for fate in driver.fates.values())
    driver.connect()
    driver.send()
    assert driver.is_up and "unsent" not in driver.fates


def test_link_for_transfers_call_that_could_not_be_sent_in_time_breaks_the_connection_too() -> None:
    driver = Driver(is_bulk=True)
    driver.call("sent", PATIENT_S)
    driver.connect()
    driver.send()
    driver.call("unsent", TELLING_S)
    driver.wait(TELLING_S)
    assert {name: fate.fault for name, fate in driver.fates.items()} == {"sent": PeerLate, "unsent": PeerRefused}
    assert driver.state.phase is Phase.DIALLING


def test_link_for_transfers_is_down_once_the_other_link_has_found_the_peer_silent() -> None:
    driver = up_with_calls()
    driver.do(driver.state.peer_silent(driver.now))
    assert driver.state.phase is Phase.REDIALLING
    assert {name: fate.fault for name, fate in driver.fates.items()} == {
        "late": PeerLost,
        "beside": PeerLost,
        "unsent": PeerRefused,
    }
    driver.wait(CONFIG.silence_s)
    assert driver.state.is_down
