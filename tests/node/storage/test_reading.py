"""What LMDB refuses to read is a fault of the storage. What is read is tested by the contract of engines."""

from __future__ import annotations

from pathlib import Path

import lmdb
import pytest

from node.errors import StorageFault
from node.storage.reading import first_keys, scan


def test_reading_in_a_transaction_that_is_over_is_a_storage_fault(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path)) as environment:
        reader = environment.begin()
        assert scan(reader, b"a", b"z", 1) == [] and first_keys(reader, [(b"a", b"z")], 1) == [[]]
        reader.abort()
        with pytest.raises(StorageFault):
            scan(reader, b"a", b"z", 1)
        with pytest.raises(StorageFault):
            first_keys(reader, [(b"a", b"z")], 1)
