"""The kinds of what is stored never mix, are in the order that scans count on, and keep the names they have on disk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.storage.keys import DONORS, SETTINGS, Setting, donor_place, partition_place, record_place, setting_place
from node.values.record import KEY_BYTES_MAX
from ring.hashing import PARTITIONS

PARTITION = st.integers(0, PARTITIONS - 1)
KEY = st.binary(min_size=1, max_size=KEY_BYTES_MAX)

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


@given(PARTITION, KEY)
def test_keys_records_come_before_donors_and_donors_before_settings(partition: int, key: bytes) -> None:
    places = (record_place(partition, key), DONORS, donor_place("[fe80::1]:80"), SETTINGS, setting_place(Setting.CLOCK))
    assert sorted(places) == list(places)
