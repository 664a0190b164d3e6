"""What an audit finds: each figure, and each entry among the expiries, that its records do not bear out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.storage import audit
from node.storage.audit import contents_of, records_in
from node.storage.keys import Expiring, Setting, expiry_place, partition_place, record_place
from node.storage.store import Store
from node.storage.transaction import Stats, Transaction, digest_of
from node.values.record import Record
from node.values.version import make_version
from tests.node.storage.opening import UNFENCED

V = make_version(1, 1)
EXPIRES = Record(V, b"1", False, b"", 20)


def test_contents_of_records_are_their_figures_and_what_of_them_is_to_expire() -> None:
    records = {b"a": Record(V, b"1", False), b"b": EXPIRES, b"c": EXPIRES._replace(value=None)}
    stats, due = contents_of(7, [(key, record.encode()) for key, record in records.items()])
    digest = digest_of(b"a", V) ^ digest_of(b"b", V) ^ digest_of(b"c", V)
    assert (stats, due) == (Stats(2, 3, digest), {Expiring(20, 7, b"b")})


async def test_records_are_all_found_however_little_is_looked_at_in_one_go(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [b"a", b"a\0", b"b"]
    await store.merge(UNFENCED, [(number, key, EXPIRES.encode()) for key in keys for number in (7, 8)])
    monkeypatch.setattr(audit, "CHECK_BYTES", 1)
    assert [key for key, _ in records_in(store._engine, 7)] == keys
    store.check()


WRONG: dict[str, Callable[[Transaction], object]] = {
    "figures": lambda transaction: transaction._raw.put(partition_place(7), bytes(24)),
    "a record that no figure knows of": lambda transaction: transaction._raw.put(record_place(7, b"x"), V + b"\0001"),
    "an expiry that is missing": lambda transaction: transaction._raw.delete(expiry_place(20, 7, b"k")),
    "an expiry of nothing": lambda transaction: transaction._raw.put(expiry_place(20, 7, b"x"), b""),
    "an expiry at another time": lambda transaction: transaction._raw.put(expiry_place(21, 7, b"k"), b""),
    "an expiry in a partition of which there is nothing": lambda transaction: transaction._raw.put(
        expiry_place(20, 9, b"k"), b""
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
async def test_audit_finds(store: Store, wrong: Callable[[Transaction], object]) -> None:
    await store.merge(UNFENCED, [(7, b"k", EXPIRES.encode())])
    await store.set(Setting.CLUSTER, b"something else")
    store.check()
    await store.submit(wrong)
    with pytest.raises(AssertionError):
        store.check()
