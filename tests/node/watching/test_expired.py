"""Expiries that several owners tell: when each was told first."""

from __future__ import annotations

from unittest.mock import patch

from gossip.view import Address
from node.values.record import Record, as_tombstone
from node.values.version import make_version
from node.watching import expired as expired_module
from node.watching.expired import Expired
from node.watching.joint import Event
from tests.node.parts import A, B, C


def expiry(key: bytes, clock: int, *owners: Address) -> Event:
    record = as_tombstone(Record(make_version(clock << 16, 1), b"1", False, expires_ms=9).encode())
    return Event(key, record, tuple((owner, 1) for owner in owners))


def test_expiry_that_the_next_owners_tell_was_told_before() -> None:
    expired = Expired([A, B, C])
    assert [expired.first_told(expiry(b"k", 1, owner), at) for at, owner in [(1, A), (3, C), (4, B)]] == [None, 1, 1]
    assert not expired._told, "all have told it"


def test_expiry_of_another_version_or_key_is_another_one() -> None:
    expired = Expired([A, B])
    assert expired.first_told(expiry(b"k", 1, A), 1) is None
    assert expired.first_told(expiry(b"other", 1, B), 2) is None
    assert expired.first_told(expiry(b"k", 2, A), 3) is None
    assert expired.first_told(expiry(b"k", 2, B), 4) == 3


def test_expiry_that_all_tell_at_once_is_not_remembered() -> None:
    expired = Expired([A, B])
    assert expired.first_told(expiry(b"k", 1, A, B), 1) is None
    assert not expired._told


def test_expiries_that_some_owners_never_tell_are_forgotten_the_oldest_first() -> None:
    expired = Expired([A, B])
    with patch.object(expired_module, "REMEMBERED_MAX", 2):
        for at, key in enumerate([b"1", b"2", b"3"], 1):
            expired.first_told(expiry(key, 1, A), at)
    assert list(expired._told) == [b"2", b"3"]
    assert [expired.first_told(expiry(key, 1, B), 4) for key in (b"1", b"2", b"3")] == [None, 2, 3]
