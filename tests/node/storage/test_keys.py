"""The kinds of what is stored never mix, are in the order that scans count on, and keep the names they have on disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.storage.keys import (
    DONORS,
    EXPIRIES,
    FORMAT,
    FORMAT_WITH_EXPIRIES,
    SETTINGS,
    Expiring,
    Setting,
    donor_place,
    expiries_until,
    expiring_at,
    expiry_place,
    partition_place,
    record_place,
    setting_place,
)
from node.values.record import EXPIRY_BYTES, KEY_BYTES_MAX
from ring.hashing import PARTITIONS

PARTITION = st.integers(0, PARTITIONS - 1)
KEY = st.binary(min_size=1, max_size=KEY_BYTES_MAX)
MS = st.integers(0, (1 << 8 * EXPIRY_BYTES) - 2)

NAMES = {
    Setting.FORMAT: "format",
    Setting.CLUSTER: "cluster",
    Setting.ADDRESS: "address",
    Setting.STORE_ID: "store_id",
    Setting.INCARNATION: "incarnation",
    Setting.UNFILLED: "unfilled",
    Setting.VIEW: "view",
    Setting.FOUNDING: "founding",
    Setting.FENCE: "fence",
    Setting.PROMISE: "promise",
    Setting.STRAYED: "strayed",
    Setting.ESTABLISHED: "established",
    Setting.CLOCK: "clock",
    Setting.CLOCK_ANCHOR: "anchor",
    Setting.LOW_WATERMARK: "floor",
    Setting.STABLE_WATERMARK: "seen",
    Setting.PURGE_WATERMARK: "purged",
    Setting.EXPIRED: "expired",
}


def test_keys_setting_names_are_those_on_users_disks() -> None:
    assert {setting: setting_place(setting) for setting in Setting} == {
        setting: b"\xff" + name.encode() for setting, name in NAMES.items()
    }


@given(PARTITION, KEY, PARTITION, KEY)
def test_keys_records_are_in_the_order_of_partition_and_key(first: int, key: bytes, second: int, other: bytes) -> None:
    in_order = (first, key) < (second, other)
    assert (record_place(first, key) < record_place(second, other)) == in_order


@given(PARTITION, KEY)
def test_keys_records_stand_between_the_figures_of_their_partition_and_the_next(partition: int, key: bytes) -> None:
    assert partition_place(partition) < record_place(partition, key) < partition_place(partition + 1)


@given(PARTITION, KEY, MS)
def test_keys_records_come_before_expiries_donors_and_settings(partition: int, key: bytes, ms: int) -> None:
    expiries = (EXPIRIES, expiry_place(ms, partition, key), expiries_until(ms), DONORS)
    places = (record_place(partition, key), *expiries, donor_place("[fe80::1]:80"), SETTINGS)
    assert sorted(places) == list(places) and setting_place(Setting.CLOCK) > SETTINGS


def test_keys_expiry_stands_on_users_disks_as_it_always_did() -> None:
    assert expiry_place(0x010203040506, 0x0708, b"k") == b"\xfd\1\2\3\4\5\6\7\x08k"
    assert (FORMAT, FORMAT_WITH_EXPIRIES) == (b"2", b"3")


@given(MS, MS, PARTITION, KEY)
def test_keys_expiries_are_in_the_order_of_time_and_tell_of_what(ms: int, until: int, place: int, key: bytes) -> None:
    assert (expiry_place(ms, place, key) < expiries_until(until)) == (ms <= until)
    assert expiring_at(expiry_place(ms, place, key)) == Expiring(ms, place, key)
