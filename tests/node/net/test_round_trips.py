"""How far away a peer is, by its dials and pings."""

from __future__ import annotations

from node.net.round_trips import PINGS, RoundTrips
from node.time_limits import ROUND_TRIP_MS_MAX
from tests.node.samples import CONFIG


def pinged(trips: RoundTrips, *took_s: float) -> RoundTrips:
    for id_, one_s in enumerate(took_s):
        trips.note_ping(id_, 10.0)
        trips.note_answer(id_, 10.0 + one_s)
    return trips


def test_round_trips_nothing_known_is_as_far_as_is_made_for() -> None:
    trips = RoundTrips(CONFIG)
    assert (trips.far_s, trips.silence_s) == (None, CONFIG.silence_s)


def test_round_trips_some_slow_pings_are_those_of_a_busy_machine() -> None:
    assert pinged(RoundTrips(CONFIG), *[0.2] * (PINGS - 1), 0.01, *[0.2] * (PINGS - 1)).far_s is None


def test_round_trips_all_pings_slow_is_far() -> None:
    trips = pinged(RoundTrips(CONFIG), *[0.25] * PINGS)
    assert trips.far_s == 0.25
    assert trips.silence_s == CONFIG.silence_s + 4 * (0.25 - CONFIG.round_trip_s)
    assert trips.telling_s == CONFIG.silent_share * trips.silence_s


def test_round_trips_dial_is_believed_as_far_as_no_ping_contradicts_it() -> None:
    trips = RoundTrips(CONFIG)
    trips.note_dial(1.0)
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (True, None, CONFIG.silence_over(0.5))
    pinged(trips, 0.25)
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (True, None, CONFIG.silence_over(0.25))
    pinged(trips, 0.01)
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (False, None, CONFIG.silence_s)


def test_round_trips_pings_have_to_tell_however_short_the_dial_was() -> None:
    """It may have been short only because this process stood still meanwhile."""
    trips = RoundTrips(CONFIG)
    trips.note_dial(0.001)
    assert (trips.is_in_doubt, trips.silence_s) == (True, CONFIG.silence_s)
    pinged(trips, 0.25)
    assert (trips.is_in_doubt, trips.silence_s) == (True, CONFIG.silence_s), "a busy machine, rather"
    pinged(trips, *[0.25] * (PINGS - 1))
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (False, 0.25, CONFIG.silence_over(0.25))


def test_round_trips_far_is_far_until_pings_tell_otherwise() -> None:
    trips = pinged(RoundTrips(CONFIG), *[0.5] * PINGS)
    trips.note_dial(0.1)
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (True, 0.5, CONFIG.silence_over(0.5))
    pinged(trips, *[0.25] * (PINGS - 1))
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (True, 0.5, CONFIG.silence_over(0.25))
    pinged(trips, 0.01)
    assert (trips.is_in_doubt, trips.far_s, trips.silence_s) == (False, None, CONFIG.silence_s)


def test_round_trips_least_is_that_of_the_quickest_of_the_last_pings() -> None:
    trips = RoundTrips(CONFIG)
    assert trips.least_s is None
    assert pinged(trips, 0.03, 0.01, 0.02).least_s == 10.01 - 10.0
    trips.note_dial(0.1)
    assert trips.least_s is None


def test_round_trips_of_the_connection_before_are_forgotten() -> None:
    trips = pinged(RoundTrips(CONFIG), *[0.2] * (PINGS - 1))
    trips.note_ping(77, 10.0)
    trips.note_dial(0.1)
    trips.note_answer(77, 10.2)
    assert pinged(trips, 0.25).far_s is None


def test_round_trips_nobody_is_given_more_than_what_can_be_made_for() -> None:
    trips = RoundTrips(CONFIG)
    trips.note_dial(60.0)
    assert trips.silence_s == CONFIG.silence_over(ROUND_TRIP_MS_MAX / 1000)


def test_round_trips_answer_to_no_ping_is_ignored() -> None:
    trips = RoundTrips(CONFIG)
    trips.note_answer(1, 10.0)
    assert trips.far_s is None
