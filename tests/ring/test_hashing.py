"""Key -> partition: the same for ever, in range, evenly spread; and the packing of lists of partitions."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS, pack, partition_of, unpack

numbers = st.integers(0, 0xFFFF)


@pytest.mark.parametrize(
    ("key", "partition"),
    [("", 720), ("a", 3692), ("key1", 900), ("größe", 2669), ("🔑", 1778), ("x" * 50, 2228)],
)
def test_partition_of_known_key_never_changes(key: str, partition: int) -> None:
    assert partition_of(key.encode()) == partition


@given(st.binary())
def test_partition_of_any_bytes_in_range(key: bytes) -> None:
    assert 0 <= partition_of(key) < PARTITIONS


def test_partition_of_similar_keys_spreads_evenly() -> None:
    keys = (f"user:{number}".encode() for number in range(20_000))
    quarters = Counter(partition_of(key) * 4 // PARTITIONS for key in keys)
    assert len(quarters) == 4
    assert all(abs(count - 5_000) < 250 for count in quarters.values())


@given(st.lists(numbers))
def test_pack_unpack_returns_the_list(listed: list[int]) -> None:
    assert unpack(pack(listed)) == tuple(listed)


def test_pack_is_big_endian_u16() -> None:
    assert pack([0, 1, 4095, 65535]) == bytes.fromhex("0000 0001 0fff ffff")


@pytest.mark.parametrize("number", [-1, 65536])
def test_pack_number_out_of_range_raises(number: int) -> None:
    with pytest.raises(ValueError, match="16-bit"):
        pack([number])


def test_unpack_odd_length_raises() -> None:
    with pytest.raises(ValueError, match="3 bytes"):
        unpack(b"\0\0\0")
