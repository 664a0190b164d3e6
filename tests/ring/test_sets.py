"""Sets of partitions as ints, against Python's own sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ring.hashing import PARTITIONS
from ring.sets import ALL, BYTES, FEW, bits_of, first_in, partitions_in

partitions = st.sets(st.integers(0, PARTITIONS - 1), max_size=2 * FEW)


@given(partitions, partitions)
def test_sets_are_sets(one: set[int], other: set[int]) -> None:
    assert partitions_in(bits_of(one)) == tuple(sorted(one))
    assert partitions_in(bits_of(one) & bits_of(other)) == tuple(sorted(one & other))
    assert bits_of(one) | bits_of(other) == bits_of(one | other)
    assert all(bits_of(one) >> partition & 1 for partition in one)
    assert not one or first_in(bits_of(one)) == min(one)


def test_sets_from_nothing_to_everything() -> None:
    assert (bits_of([]), partitions_in(0)) == (0, ())
    assert bits_of(range(PARTITIONS)) == ALL
    assert partitions_in(ALL) == tuple(range(PARTITIONS))
    assert len(ALL.to_bytes(BYTES)) == BYTES


def test_sets_refuse_what_is_no_partition() -> None:
    for wrong in ([PARTITIONS], [0, -1], [*range(PARTITIONS), PARTITIONS], [*range(-1, PARTITIONS)]):
        with pytest.raises(ValueError, match="no partition"):
            bits_of(wrong)
