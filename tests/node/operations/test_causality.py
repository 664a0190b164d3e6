"""What a context demands of an operation, when that is met, and what an answer adds; on a node that nobody answers."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from gossip.view import Address
from node.net.messages import Read, Write
from node.operations.causality import Causality, Demand
from node.values.context import ANYBODY, EMPTY, Context, Sight, decode, encode, owner_id
from node.values.donors import Donors, Share
from node.values.record import Record
from ring.hashing import hash_of, partition_of
from ring.sets import ALL
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time, record

KEY, OTHER = b"key", b"other"
OLD, NEW = record(10), record(20)


def seen(key: bytes, record: Record) -> Context:
    """That of a client that has seen `record` at B."""
    return Context({hash_of(key): Sight(record.version, owner_id(B))})


async def three_owners() -> tuple[Parts, Causality]:
    parts = await node_a(A, B, C, repl_factor=3)
    return parts, Causality(parts.config, parts.store, parts.views, parts.co_owners)


# What is demanded

READ, PUT, DELETE = Read(KEY), Write(KEY, record(30).version, b"1"), Write(KEY, record(30).version, None)
DEMANDS: list[tuple[str, Read | Write, Context, Record | None, Demand]] = [
    ("nothing", READ, EMPTY, None, Demand(co_owners=[B, C])),
    ("another key", READ, seen(OTHER, NEW), None, Demand(co_owners=[B, C])),
    ("missing here", READ, seen(KEY, NEW), None, Demand(NEW.version, [], [B, C], [B, C])),
    ("older here", READ, seen(KEY, NEW), OLD, Demand(NEW.version, [], [B, C], [B, C])),
    ("here", READ, seen(KEY, NEW), NEW, Demand(NEW.version, [], [], [B, C])),
    ("a co-owner", READ, Context({}, {owner_id(C): 5}), NEW, Demand(None, [C], [C], [B, C])),
    ("anybody", READ, Context({}, {ANYBODY: 5}), NEW, Demand(None, [B, C], [B, C], [B, C])),
    ("this node", READ, Context({}, {owner_id(A): 5}), NEW, Demand(co_owners=[B, C])),
    ("of a delete", DELETE, seen(KEY, NEW), OLD, Demand(NEW.version, [], [B, C], [B, C])),
    ("of a put", PUT, seen(KEY, NEW), OLD, Demand()),
]


@pytest.mark.parametrize(
    ("operation", "context", "held", "expected"), [case[1:] for case in DEMANDS], ids=[case[0] for case in DEMANDS]
)
@on_virtual_time
async def test_demand(operation: Read | Write, context: Context, held: Record | None, expected: Demand) -> None:
    parts, causality = await three_owners()
    if held is not None:
        await parts.keep((KEY, held))
    demand = causality.demand(operation, context)
    assert [sorted(peers) for peers in (demand.named, demand.whom_to_ask, demand.co_owners)] == [
        list(peers) for peers in (expected.named, expected.whom_to_ask, expected.co_owners)
    ]
    assert (demand.version, demand.kept) == (expected.version, expected.kept)
    assert demand.may_refuse == expected.may_refuse


@pytest.mark.parametrize("write", [PUT, DELETE], ids=["put", "delete"])
@on_virtual_time
async def test_demand_keeps_with_a_value_what_is_not_of_its_own_key(write: Write) -> None:
    _, causality = await three_owners()
    assert decode(causality.demand(write, seen(KEY, NEW).merge(seen(OTHER, OLD))).kept) == seen(OTHER, OLD)


# Whether it is met

MET: list[tuple[str, Demand, Record | None, Record | None, Collection[Address], bool]] = [
    ("nothing is demanded", Demand(co_owners=[B, C]), None, None, [], True),
    ("here", Demand(NEW.version, co_owners=[B, C]), NEW, None, [], True),
    ("newer here", Demand(OLD.version, co_owners=[B, C]), NEW, None, [], True),
    ("elsewhere", Demand(NEW.version, co_owners=[B, C]), OLD, NEW, [B], True),
    ("newer elsewhere", Demand(OLD.version, co_owners=[B, C]), None, NEW, [B], True),
    ("nowhere, not all heard", Demand(NEW.version, co_owners=[B, C]), OLD, OLD, [B, D], False),
    ("nowhere, a donor not heard", Demand(NEW.version, co_owners=[B, C]), OLD, OLD, [B, C], False),
    ("nowhere, all heard", Demand(NEW.version, co_owners=[B, C]), OLD, OLD, [B, C, D], True),
    ("the one named was heard", Demand(None, [B], co_owners=[B, C]), None, None, [B], True),
    ("the one named was not", Demand(None, [B], co_owners=[B, C]), None, None, [C], False),
    ("here, the one named was not heard", Demand(NEW.version, [B], co_owners=[B, C]), NEW, None, [C], False),
]


@pytest.mark.parametrize(
    ("demand", "held", "newest", "heard", "expected"), [case[1:] for case in MET], ids=[case[0] for case in MET]
)
def test_is_met(
    demand: Demand, held: Record | None, newest: Record | None, heard: Collection[Address], expected: bool
) -> None:
    """In a partition of which D is a donor."""
    assert demand.is_met(held, newest, heard, [D]) == expected
    assert expected or demand.may_refuse


# Whom it waits for

DONORS = {B: Share(copy=ALL), C: Share(copy=ALL), D: Share(alone=ALL), "e:1": Share(covered=ALL)}


@pytest.mark.parametrize(
    ("nodes", "heard", "waited_for"),
    [
        ((A,), [], ["e:1"]),
        ((A,), [C], [B, C, "e:1"]),
        ((A, B, D), [], [B, D, "e:1"]),
    ],
    ids=["all are removed", "a copy is heard", "some are in the view"],
)
@on_virtual_time
async def test_donors_waited_for(nodes: tuple[Address, ...], heard: list[Address], waited_for: list[Address]) -> None:
    """Those in the view, and removed ones that are dropped if they are silent for long."""
    parts = await node_a(*nodes)
    parts.views.donors = Donors(DONORS)
    causality = Causality(parts.config, parts.store, parts.views, parts.co_owners)
    assert sorted(causality.donors_waited_for(partition_of(KEY), heard)) == waited_for
    assert list(causality.demand(READ, Context({}, {owner_id(D): 5})).named) == [D]


def test_is_met_once_the_donor_that_is_named_is_none_any_more() -> None:
    demand = Demand(None, [D], co_owners=[B])
    assert not demand.is_met(None, None, [B], [D])
    assert demand.is_met(None, None, [B], [])


# What is added


@on_virtual_time
async def test_after_seeing_nothing_adds_nothing() -> None:
    _, causality = await three_owners()
    assert causality.after_seeing(seen(OTHER, OLD), KEY, None, A) == seen(OTHER, OLD)


@on_virtual_time
async def test_after_seeing_a_record_adds_it_and_what_it_was_written_with() -> None:
    _, causality = await three_owners()
    found = NEW._replace(context=encode(seen(OTHER, OLD)))
    assert causality.after_seeing(EMPTY, KEY, found, B) == seen(OTHER, OLD).merge(seen(KEY, NEW))


@on_virtual_time
async def test_after_seeing_a_record_with_a_context_that_is_garbage_adds_the_record() -> None:
    _, causality = await three_owners()
    assert causality.after_seeing(EMPTY, KEY, NEW._replace(context=b"\xc1"), B) == seen(KEY, NEW)


@on_virtual_time
async def test_after_seeing_what_is_everywhere_nothing_is_left_of_its_key() -> None:
    parts = await node_a(A)
    causality = Causality(parts.config, parts.store, parts.views, parts.co_owners)
    assert causality.after_seeing(seen(KEY, OLD), KEY, NEW, A) == EMPTY
    assert causality.after_seeing(EMPTY, KEY, NEW, B) == seen(KEY, NEW), "it is on the disk of another node"


@on_virtual_time
async def test_after_write_adds_it_unless_all_have_it() -> None:
    _, causality = await three_owners()
    left = seen(OTHER, OLD)
    expected = left.with_entry(hash_of(KEY), PUT.version, owner_id(A))
    assert causality.after_write(seen(KEY, NEW).merge(left), PUT, is_everywhere=False) == expected
    assert causality.after_write(seen(KEY, NEW).merge(left), PUT, is_everywhere=True) == left
