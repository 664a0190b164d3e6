"""What one page has read serves the page after it, and no other."""

from __future__ import annotations

from node.net.messages import Range
from node.operations.key_order import Run
from node.operations.read_ahead import LISTINGS_MAX, ReadAhead, Runs

PAGE = Range(b"k", b"k3", 10, 1000)


def runs(number: int) -> Runs:
    return {number: Run([b"k9"], False, None)}


def test_page_that_begins_where_one_has_ended_or_before_goes_on() -> None:
    """What several owners tell ends where the first of them does."""
    for after in (b"k3", b"k4", b"k5"):
        ahead = ReadAhead()
        ahead.keep(PAGE, b"k5", runs(1))
        assert ahead.take(PAGE._replace(after=after, limit=7)) == runs(1)
        assert ahead.take(PAGE._replace(after=after)) == {}, "whoever takes it has it"


def test_two_readers_of_one_listing_have_their_own() -> None:
    """Each goes on reading in what it has taken."""
    ahead, one, two = ReadAhead(), runs(1), runs(1)
    ahead.keep(PAGE, b"k5", one)
    ahead.keep(PAGE, b"k5", two)
    assert {id(ahead.take(PAGE)), id(ahead.take(PAGE))} == {id(one), id(two)} and ahead.take(PAGE) == {}


def test_page_that_begins_elsewhere_begins_anew() -> None:
    ahead = ReadAhead()
    ahead.keep(PAGE, b"k5", runs(1))
    for range_ in (PAGE._replace(after=b"k2"), PAGE._replace(after=b"k6"), PAGE._replace(prefix=b"")):
        assert ahead.take(range_) == {}
    assert ahead.take(PAGE) == runs(1)


def test_page_after_one_that_has_told_all_goes_on() -> None:
    """Other owners may have more."""
    ahead = ReadAhead()
    ahead.keep(PAGE, None, runs(1))
    assert ahead.take(PAGE._replace(after=b"k7")) == runs(1)


def test_few_listings_are_kept_and_the_last_ones() -> None:
    ahead = ReadAhead()
    for number in range(LISTINGS_MAX + 1):
        ahead.keep(PAGE._replace(after=b"k%d" % number), b"k%d" % number, runs(number))
    assert ahead.take(PAGE._replace(after=b"k0")) == {}
    assert ahead.take(PAGE._replace(after=b"k1")) == runs(1)
