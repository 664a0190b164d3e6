"""Views have an order and a digest over all of their content, and are checked whole."""

from __future__ import annotations

import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gossip.view import (
    ELECTORS_MAX,
    FIELDS_ALWAYS,
    ZONE_CHARS_MAX,
    BadView,
    Electors,
    Former,
    View,
    ViewId,
    decode_view,
    is_zone,
)


def packed(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}H", *numbers)


FIRST = View(
    lineage=0,
    epoch=0,
    base=None,
    coordinator="",
    repl_factor=None,
    shards=(("a:1",), ("b:1",)),
    table=packed(0, 1, 0, 1),
    donors=(),
)
SECOND = View(
    lineage=FIRST.id.digest,
    epoch=1,
    base=FIRST.id,
    coordinator="a:1",
    repl_factor=2,
    shards=(("b:1", "c:1"),),
    table=packed(0, 0, 0, 0),
    donors=(("a:1", False, packed(0, 2)),),
)
FORMER = Former(FIRST.id, None, FIRST.shards)
THIRD = replace(SECOND, epoch=2, base=SECOND.id, former=(Former(SECOND.id, 2, SECOND.shards), FORMER))
ELECTORS = Electors(FIRST.id, ("a:1", "b:1"))
FOURTH = replace(
    SECOND, epoch=3, base=SECOND.id, absent=("a:1", "d:1"), electors=(ELECTORS, Electors(SECOND.id, ("b:1", "c:1")))
)
ZONED = replace(SECOND, shards=(("b:1", "c:1"), ("d:1",)), zones=(("c:1", "rack-1"), ("d:1", "b")))


@pytest.mark.parametrize(
    ("lower", "higher"),
    [(ViewId(1, 9), ViewId(2, 1)), (ViewId(2, 1), ViewId(2, 9)), (ViewId(0, 9), ViewId(1, 0))],
)
def test_view_id_epoch_first_then_digest(lower: ViewId, higher: ViewId) -> None:
    assert lower < higher


@pytest.mark.parametrize(
    ("theirs", "mine", "expected"),
    [
        (ViewId(2, 1), ViewId(1, 9), True),
        (ViewId(2, 9), ViewId(2, 1), True),
        (ViewId(1, 0), ViewId(0, 9), True),
        (ViewId(2, 1), ViewId(2, 1), False),
        (ViewId(2, 1), ViewId(2, 9), False),
        (ViewId(1, 9), ViewId(2, 1), False),
        (ViewId(0, 9), ViewId(0, 1), False),
    ],
    ids=["epoch", "digest", "first after the environment", "itself", "lower", "earlier", "environments"],
)
def test_view_id_supersedes_from_epoch_1_on_only(theirs: ViewId, mine: ViewId, expected: bool) -> None:
    assert theirs.supersedes(mine) is expected


def test_view_id_reads_as_epoch_and_hex() -> None:
    assert str(ViewId(3, 255)) == "3/00000000000000ff"


@pytest.mark.parametrize("text", ["a", "rack-1", "eu-west-1a", "10.0.0.1", "::1", "стойка", "z" * ZONE_CHARS_MAX])
def test_zone_may_be_called(text: str) -> None:
    assert is_zone(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "a,b", ",", "a\n", "a\tb", "\0", "a\u00a0b", "a\u2028", "a\udc80", "z" * (ZONE_CHARS_MAX + 1)],
)
def test_zone_may_not_be_called(text: str) -> None:
    assert not is_zone(text)


def test_view_that_says_nothing_of_former_ones_is_encoded_as_before_there_were_any() -> None:
    """What is on disk, and what other nodes hold, keeps its id."""
    for view in (FIRST, SECOND):
        assert len(msgspec.msgpack.decode(view.encoded)) == 9
        assert decode_view(msgspec.msgpack.encode([*msgspec.msgpack.decode(view.encoded), (), ()])) == view
    assert len(msgspec.msgpack.decode(THIRD.encoded)) == 11


def test_view_that_names_neither_the_absent_nor_electors_is_encoded_as_before_there_were_any() -> None:
    for view in (FIRST, SECOND, ZONED, THIRD):
        fields = list(msgspec.structs.astuple(view))[:-2]
        while len(fields) > FIELDS_ALWAYS and not fields[-1]:
            fields.pop()
        assert view.encoded == msgspec.msgpack.encode(fields)
    assert len(msgspec.msgpack.decode(replace(THIRD, absent=("a:1",)).encoded)) == 12
    assert len(msgspec.msgpack.decode(FOURTH.encoded)) == 13


@pytest.mark.parametrize(
    "view",
    [
        FIRST,
        SECOND,
        ZONED,
        THIRD,
        FOURTH,
        replace(ZONED, former=(FORMER,)),
        replace(SECOND, absent=("a:1",)),
        replace(SECOND, electors=(ELECTORS,)),
        replace(SECOND, electors=(Electors(FIRST.id, ()),)),
    ],
)
def test_view_survives_its_encoding(view: View) -> None:
    again = decode_view(view.encoded)
    assert again == view
    assert again.id == view.id
    assert again.encoded == view.encoded


@pytest.mark.parametrize(
    "other",
    [
        replace(SECOND, repl_factor=None),
        replace(SECOND, donors=()),
        replace(SECOND, donors=(("a:1", True, packed(0, 2)),)),
        replace(SECOND, shards=(("c:1", "b:1"),)),
        replace(SECOND, coordinator="b:1"),
        replace(SECOND, lineage=1),
        replace(SECOND, base=ViewId(0, 1)),
        replace(SECOND, zones=(("b:1", "rack-1"),)),
        replace(SECOND, spare_until_ms=1),
        replace(SECOND, former=(FORMER,)),
        replace(SECOND, absent=("a:1",)),
        replace(SECOND, electors=(ELECTORS,)),
    ],
)
def test_view_digest_covers_every_field(other: View) -> None:
    assert other.id.epoch == SECOND.id.epoch
    assert other.id.digest != SECOND.id.digest


def test_view_donor_may_be_named_twice_once_as_a_copy_and_once_alone() -> None:
    view = replace(SECOND, donors=(("a:1", False, packed(0, 2)), ("a:1", True, packed(0, 1))))
    assert decode_view(view.encoded) == view


def test_view_nodes_plain_and_lineage() -> None:
    assert SECOND.nodes == {"b:1", "c:1"}
    assert FIRST.plain and not SECOND.plain
    assert FIRST.lineage_of_successor == FIRST.id.digest
    assert SECOND.lineage_of_successor == SECOND.lineage


def test_view_without_zones_is_encoded_as_before_there_were_any() -> None:
    """It keeps its id, then."""
    fields = msgspec.structs.astuple(SECOND)
    assert SECOND.encoded == msgspec.msgpack.encode(fields[:FIELDS_ALWAYS])
    assert decode_view(msgspec.msgpack.encode(fields)).id == SECOND.id


def test_view_zone_of_a_node_is_its_host_unless_it_says_otherwise() -> None:
    assert ZONED.zone_of == {"b:1": "b", "c:1": "rack-1", "d:1": "b"}


@pytest.mark.parametrize(
    ("view", "fault"),
    [
        (replace(SECOND, epoch=-1), "out of range"),
        (replace(SECOND, lineage=-1), "out of range"),
        (replace(SECOND, epoch=0), "half an epoch-0 view"),
        (replace(SECOND, base=None), "half an epoch-0 view"),
        (replace(SECOND, lineage=0), "half an epoch-0 view"),
        (replace(SECOND, coordinator=""), "half an epoch-0 view"),
        (replace(FIRST, coordinator="a:1"), "half an epoch-0 view"),
        (replace(SECOND, base=ViewId(1, 1)), "later view"),
        (replace(SECOND, repl_factor=0), "replication factor"),
        (replace(SECOND, shards=()), "without replicas"),
        (replace(SECOND, shards=(("a:1",), ())), "without replicas"),
        (replace(SECOND, shards=(("a:1", "a:1"),)), "two places"),
        (replace(SECOND, shards=(("a:1",), ("a:1",))), "two places"),
        (replace(SECOND, table=b""), "no partitions"),
        (replace(SECOND, table=b"\0\0\0"), "no partitions"),
        (replace(SECOND, table=packed(0, 1)), "without a shard"),
        (replace(SECOND, donors=(("b:1", False, packed(0)), ("a:1", False, packed(0)))), "donors out of order"),
        (replace(SECOND, donors=(("a:1", True, packed(0)), ("a:1", False, packed(0)))), "donors out of order"),
        (replace(SECOND, donors=(("a:1", True, packed(0)), ("a:1", True, packed(1)))), "donors out of order"),
        (replace(SECOND, donors=(("a:1", True, b""),)), "donor of nothing"),
        (replace(SECOND, donors=(("a:1", False, b"\0"),)), "donor of nothing"),
        (replace(SECOND, donors=(("a:1", False, packed(2, 1)),)), "out of order or range"),
        (replace(SECOND, donors=(("a:1", True, packed(4)),)), "out of order or range"),
        (replace(SECOND, shards=(("A:1",),)), "not canonical"),
        (replace(SECOND, shards=(("a",),)), "malformed"),
        (replace(SECOND, donors=(("a", False, packed(0)),)), "malformed"),
        (replace(SECOND, coordinator="a"), "malformed"),
        (replace(FIRST, zones=(("a:1", "rack-1"),)), "epoch-0 view with zones"),
        (replace(ZONED, zones=(("d:1", "b"), ("c:1", "rack-1"))), "zones out of order"),
        (replace(ZONED, zones=(("c:1", "rack-1"), ("c:1", "rack-2"))), "zones out of order"),
        (replace(ZONED, zones=(("a:1", "rack-1"),)), "not in the view"),
        (replace(ZONED, zones=(("c:1", "rack 1"),)), "no name of a zone"),
        (replace(ZONED, zones=(("c:1", ""),)), "no name of a zone"),
        (replace(ZONED, zones=(("c:1", "c"),)), "goes without saying"),
        (replace(FIRST, former=(FORMER,)), "former views out of order"),
        (replace(SECOND, former=(FORMER._replace(id=ViewId(1, 0)),)), "former views out of order"),
        (replace(THIRD, former=(FORMER, FORMER)), "former views out of order"),
        (replace(THIRD, former=(FORMER, FORMER._replace(id=ViewId(1, 1)))), "former views out of order"),
        (replace(THIRD, former=tuple(FORMER._replace(id=ViewId(1, n)) for n in range(5, 0, -1))), "more former views"),
        (replace(SECOND, former=(FORMER._replace(repl_factor=0),)), "former replication factor"),
        (replace(SECOND, former=(FORMER._replace(shards=()),)), "former shard without replicas"),
        (replace(SECOND, former=(FORMER._replace(shards=((),)),)), "former shard without replicas"),
        (replace(SECOND, former=(FORMER._replace(shards=(("a:1",), ("a:1",))),)), "stood in two places"),
        (replace(SECOND, former=(FORMER._replace(shards=(("A:1",),)),)), "not canonical"),
        (replace(FOURTH, absent=("d:1", "a:1")), "absent out of order"),
        (replace(FOURTH, absent=("a:1", "a:1")), "absent out of order"),
        (replace(FOURTH, absent=("a:1", "b:1")), "not absent"),
        (replace(FOURTH, absent=("A:1",)), "not canonical"),
        (replace(FOURTH, absent=("a",)), "malformed"),
        (replace(FIRST, electors=(ELECTORS,)), "electors out of order"),
        (replace(SECOND, electors=(ELECTORS._replace(id=ViewId(1, 0)),)), "electors out of order"),
        (replace(SECOND, electors=(ELECTORS._replace(id=ViewId(2, 0)),)), "electors out of order"),
        (replace(FOURTH, electors=FOURTH.electors[::-1]), "electors out of order"),
        (replace(FOURTH, electors=(ELECTORS, ELECTORS)), "electors out of order"),
        (
            replace(FOURTH, electors=tuple(ELECTORS._replace(id=ViewId(1, n)) for n in range(ELECTORS_MAX + 1))),
            "electors of more views",
        ),
        (replace(SECOND, electors=(ELECTORS._replace(nodes=("b:1", "a:1")),)), "electorate out of order"),
        (replace(SECOND, electors=(ELECTORS._replace(nodes=("a:1", "a:1")),)), "electorate out of order"),
        (replace(SECOND, electors=(ELECTORS._replace(nodes=("A:1",)),)), "not canonical"),
    ],
)
def test_view_that_contradicts_itself_is_refused(view: View, fault: str) -> None:
    with pytest.raises(BadView, match=fault):
        decode_view(view.encoded)


def test_view_with_electors_of_as_many_views_as_are_kept() -> None:
    view = replace(FOURTH, electors=tuple(ELECTORS._replace(id=ViewId(1, n)) for n in range(ELECTORS_MAX)))
    assert decode_view(view.encoded) == view


@given(st.binary())
def test_view_garbage_raises_bad_view_only(data: bytes) -> None:
    with pytest.raises(BadView):
        decode_view(data)


@given(st.data())
def test_view_damaged_bytes_raise_bad_view_only(data: st.DataObject) -> None:
    encoded = bytearray(data.draw(st.sampled_from([SECOND, ZONED, THIRD, FOURTH])).encoded)
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        view = decode_view(bytes(encoded))
    except BadView:
        return
    assert decode_view(view.encoded) == view


def test_view_with_a_field_too_many_is_refused() -> None:
    fields = [*msgspec.msgpack.decode(FOURTH.encoded), 1]
    with pytest.raises(BadView):
        decode_view(msgspec.msgpack.encode(fields))
