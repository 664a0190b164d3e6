"""What one page has read serves the page after it, and no other."""

from __future__ import annotations

from node.net.messages import Range
from node.operations.key_order import Merge
from node.operations.read_ahead import LISTINGS_MAX, ReadAhead

PAGE = Range(b"k", b"k3", 10, 1000)


def test_page_that_begins_where_one_has_ended_or_before_goes_on() -> None:
    """What several owners tell ends where the first of them does."""
    for after in (b"k3", b"k4", b"k5"):
        ahead, merge = ReadAhead(), Merge()
        ahead.keep(PAGE, b"k5", merge)
        assert ahead.take(PAGE._replace(after=after, limit=7)) is merge
        assert ahead.take(PAGE._replace(after=after)) is not merge, "whoever takes it has it"


def test_two_readers_of_one_listing_have_their_own() -> None:
    """Each goes on reading in what it has taken."""
    ahead, one, two = ReadAhead(), Merge(), Merge()
    ahead.keep(PAGE, b"k5", one)
    ahead.keep(PAGE, b"k5", two)
    assert {ahead.take(PAGE), ahead.take(PAGE)} == {one, two} and ahead.take(PAGE) not in (one, two)


def test_page_that_begins_elsewhere_begins_anew() -> None:
    ahead, merge = ReadAhead(), Merge()
    ahead.keep(PAGE, b"k5", merge)
    for range_ in (PAGE._replace(after=b"k2"), PAGE._replace(after=b"k6"), PAGE._replace(prefix=b"")):
        assert ahead.take(range_) is not merge
    assert ahead.take(PAGE) is merge


def test_page_after_one_that_has_told_all_goes_on() -> None:
    """Other owners may have more."""
    ahead, merge = ReadAhead(), Merge()
    ahead.keep(PAGE, None, merge)
    assert ahead.take(PAGE._replace(after=b"k7")) is merge


def test_few_listings_are_kept_and_the_last_ones() -> None:
    ahead, merges = ReadAhead(), [Merge() for _ in range(LISTINGS_MAX + 1)]
    for number, merge in enumerate(merges):
        ahead.keep(PAGE._replace(after=b"k%d" % number), b"k%d" % number, merge)
    assert ahead.take(PAGE._replace(after=b"k0")) not in merges
    assert ahead.take(PAGE._replace(after=b"k1")) is merges[1]
