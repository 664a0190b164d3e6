"""The keys that requests go round with: of one length, always the same, and at the owner all of its own."""

from __future__ import annotations

from bench.lanes import KEYS, any_keys, keys_of
from ring.hashing import partition_of
from ring.placement import first_placement
from ring.ring import Ring

VIEW = "10.0.0.1:80,10.0.0.2:80"


def test_any_keys_are_of_20_bytes_and_always_the_same() -> None:
    keys = any_keys(1000)
    assert len(set(keys)) == 1000
    assert {len(key.encode()) for key in keys} == {20}
    assert any_keys(10) == keys[:10]


def test_keys_of_an_owner_are_its_own_under_the_first_view() -> None:
    ring = Ring(first_placement(VIEW.split(","), None))
    mine, others = (keys_of(owner, VIEW) for owner in VIEW.split(","))
    assert len(mine) == len(others) == KEYS and not {*mine} & {*others}
    assert {ring.owners(partition_of(key.encode())) for key in mine} == {("10.0.0.1:80",)}
