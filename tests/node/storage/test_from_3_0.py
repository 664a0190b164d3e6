"""What release 3.0 has left says the same afterwards; what it has not left is told apart, and stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from gossip.view import ViewId, decode_view
from node.storage.from_3_0 import CEILING, NotThatForm, migrate
from node.storage.keys import FORMAT, Setting, donor_place, setting_place
from node.values.donors import Share, decode_share
from ring.hashing import pack
from tests.golden.samples import EPOCH_1
from tests.node.storage.items import CEILING_READING, DONATED, STORE_ID, Items, items_of_3_0, view_of_3_0


def setting(items: Items, name: Setting) -> bytes:
    return items[setting_place(name)]


def test_from_3_0_view_says_the_same_and_each_donor_may_have_what_nobody_else_has() -> None:
    items = items_of_3_0()
    migrate(items)
    view = decode_view(setting(items, Setting.VIEW))
    assert (view.lineage, view.epoch, view.base, view.coordinator) == (77, 2, ViewId(1, 2**64 - 1), "c:1")
    assert (view.repl_factor, view.shards, view.table) == (None, (("a:1",), ("c:1",)), view_of_3_0()[6])
    assert view.donors == tuple((donor, True, pack(partitions)) for donor, partitions in DONATED.items())
    assert msgspec.msgpack.decode(setting(items, Setting.FENCE), type=ViewId) == view.id
    assert setting(items, Setting.FORMAT) == FORMAT


def test_from_3_0_view_has_the_same_id_on_every_node() -> None:
    one, other = items_of_3_0(), items_of_3_0()
    other[setting_place(Setting.STORE_ID)] = b"another!"
    for place in [place for place in other if place.startswith(b"\xfe")]:
        del other[place]
    migrate(one)
    migrate(other)
    assert setting(one, Setting.FENCE) == setting(other, Setting.FENCE)


def test_from_3_0_donors_have_one_row_each() -> None:
    items = items_of_3_0()
    migrate(items)
    rows = {place: decode_share(value) for place, value in items.items() if place.startswith(b"\xfe")}
    assert rows == {
        donor_place(donor): Share(alone=sum(1 << partition for partition in partitions))
        for donor, partitions in DONATED.items()
    }


def test_from_3_0_clock_goes_on_from_its_ceiling() -> None:
    items = items_of_3_0()
    migrate(items)
    assert msgspec.msgpack.decode(setting(items, Setting.CLOCK), type=tuple[int, int]) == (CEILING_READING, 0)
    assert CEILING not in items


def test_from_3_0_records_and_the_rest_stay_as_they_are() -> None:
    before, items = items_of_3_0(), items_of_3_0()
    migrate(items)
    same = {place for place in before if place < b"\xfd"}
    same |= {setting_place(name) for name in (Setting.STORE_ID, Setting.INCARNATION, Setting.PROMISE)}
    assert {place: items[place] for place in same} == {place: before[place] for place in same}
    assert setting(items, Setting.STORE_ID) == STORE_ID
    assert setting_place(Setting.UNFILLED) not in items, "whoever is alone in its shard has all that the shard has"


def test_from_3_0_node_of_a_shard_of_several_may_lack_what_the_first_has() -> None:
    items = items_of_3_0(view_of_3_0((("a:1",), ("b:1", "c:1"))))
    migrate(items)
    assert setting(items, Setting.UNFILLED) == b"1"


def test_from_3_0_view_of_epoch_0() -> None:
    items = items_of_3_0(view_of_3_0(epoch=0))
    migrate(items)
    view = decode_view(setting(items, Setting.VIEW))
    assert (view.lineage, view.epoch, view.base, view.donors) == (0, 0, None, ())


def test_from_3_0_store_of_a_node_that_was_killed_at_its_first_start() -> None:
    """Before it had a view, or had stamped anything."""
    items = Items({setting_place(Setting.STORE_ID): STORE_ID})
    migrate(items)
    assert items == {setting_place(Setting.STORE_ID): STORE_ID, setting_place(Setting.FORMAT): FORMAT}


def with_view(view: object) -> Callable[[Items], None]:
    return lambda items: items.put(setting_place(Setting.VIEW), msgspec.msgpack.encode(view))


@pytest.mark.parametrize(
    "spoil",
    [
        with_view(msgspec.msgpack.decode(EPOCH_1.encoded)),
        with_view([*view_of_3_0(), 0]),
        with_view(view_of_3_0()[:-1]),
        with_view([*view_of_3_0()[:-1], [["b:1", b""]]]),
        with_view([*view_of_3_0()[:-1], [["B:1", pack([1])]]]),
        with_view(None),
        lambda items: items.put(setting_place(Setting.VIEW), b"\xc1"),
        lambda items: items.put(setting_place(Setting.CLOCK), msgspec.msgpack.encode((1, 0))),
        lambda items: items.put(donor_place("b:1"), Share(1).encode()),
        lambda items: items.put(b"\xfe\x00\x01\xff", b""),
    ],
    ids=[
        "of a later form",
        "more fields",
        "fewer fields",
        "donor of nothing",
        "no address",
        "nothing",
        "garbage",
        "clock",
        "donors",
        "donor without a name",
    ],
)
def test_from_3_0_what_is_not_of_that_form_is_refused_and_stays(spoil: Callable[[Items], None]) -> None:
    items = items_of_3_0()
    spoil(items)
    before = dict(items)
    with pytest.raises(NotThatForm):
        migrate(items)
    assert items == before
