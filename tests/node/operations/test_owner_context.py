"""What a causal context makes an owner ask, refuse, and answer."""

from __future__ import annotations

import asyncio

import pytest

from node.net.messages import Copies, NothingDeleted, Read, ReadResult, Superseded, Unsatisfied, Write, Wrote
from node.operations.causality import Demand
from node.values.context import ANYBODY, EMPTY, Context, Sight, decode, encode, owner_id
from node.values.record import Record
from node.values.version import Version, make_version
from ring.hashing import hash_of, partition_of
from tests.node.fakes.peers import CoOwner
from tests.node.lone_owner import A, B, C, Lone, lone_owner
from tests.node.parts import on_virtual_time

KEY = b"key"
OTHER = b"other"


def v(clock: int) -> Version:
    return make_version((1_000_000 + clock) << 16, 9)


def names(key: bytes, version: Version) -> Context:
    return Context({hash_of(key): Sight(version, owner_id(B))})


async def carry_out(lone: Lone, operation: Read | Write) -> object:
    return await lone.node.owner.carry_out(operation, lone.deadline())


OLD, NEW = 10, 20


@pytest.mark.parametrize(
    ("held", "at_b", "up", "expected"),
    [
        (NEW, None, "", b"new"),
        (NEW + 1, None, "", b"new"),
        (OLD, None, "", None),
        (None, None, "", None),
        (OLD, OLD, "B", None),
        (OLD, NEW, "B", b"new"),
        (None, NEW, "B", b"new"),
        (OLD, OLD, "BC", b"old"),
        (OLD, NEW, "BC", b"new"),
    ],
)
@on_virtual_time
async def test_read_of_a_key_in_the_context(
    held: int | None, at_b: int | None, up: str, expected: bytes | None
) -> None:
    """That version or a newer one, from wherever; if all were heard, the newest there is."""

    def record(clock: int) -> Record:
        return Record(v(clock), b"old" if clock < NEW else b"new", False)

    async with lone_owner(B, C) as lone:
        if held is not None:
            await lone.hold(KEY, record(held))
        if "B" in up:
            lone.peers.script[B] = CoOwner(*[] if at_b is None else [(KEY, record(at_b))])
        if "C" in up:
            lone.peers.script[C] = CoOwner()
        answer = await carry_out(lone, Read(KEY, names(KEY, v(NEW))))
        if expected is None:
            assert answer == Unsatisfied()
        else:
            assert isinstance(answer, ReadResult) and answer.value == expected


@on_virtual_time
async def test_ablation_read_without_the_rule_is_older_than_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with lone_owner(B, C) as lone:
        monkeypatch.setattr(Demand, "is_met", lambda *_: True)
        await lone.hold(KEY, Record(v(OLD), b"old", False))
        answer = await carry_out(lone, Read(KEY, names(KEY, v(NEW))))
        assert isinstance(answer, ReadResult) and answer.value == b"old"


@on_virtual_time
async def test_read_of_another_key_is_never_refused() -> None:
    async with lone_owner(B, C) as lone:
        await lone.hold(OTHER, Record(v(OLD), b"1", False))
        context = names(KEY, v(NEW))
        answer = await carry_out(lone, Read(OTHER, context))
        assert isinstance(answer, ReadResult) and answer.value == b"1"
        assert answer.context == context.with_entry(hash_of(OTHER), v(OLD), owner_id(A))
        assert await carry_out(lone, Read(b"missing", context)) == ReadResult(None, context)


@on_virtual_time
async def test_read_despite_leases_asks_all_for_what_is_missing() -> None:
    async with lone_owner(B, runs=True) as lone:
        lone.peers.script[B] = CoOwner((KEY, Record(v(NEW), b"new", False)))
        await asyncio.sleep(1.0)
        assert not lone.node.co_owners.unleased()
        assert await carry_out(lone, Read(OTHER, names(KEY, v(NEW)))) == ReadResult(None, names(KEY, v(NEW)))
        assert lone.fetched_from() == []
        answer = await carry_out(lone, Read(KEY, names(KEY, v(NEW))))
        assert isinstance(answer, ReadResult) and answer.value == b"new"
        assert lone.fetched_from() == [B]


@pytest.mark.parametrize(
    ("folded", "up", "served"),
    [
        ({owner_id(B): 5}, "C", False),
        ({owner_id(B): 5}, "B", True),
        ({owner_id(A): 5}, "", True),
        ({owner_id("elsewhere:1"): 5}, "", True),
        ({ANYBODY: 5}, "B", False),
        ({ANYBODY: 5}, "BC", True),
    ],
)
@on_virtual_time
async def test_read_under_folded_clocks_must_reach_the_owners_named(
    folded: dict[int, int], up: str, served: bool
) -> None:
    async with lone_owner(B, C) as lone:
        lone.peers.script |= {name: CoOwner() for name in (B, C) if name[0].upper() in up}
        await lone.hold(KEY, Record(v(OLD), b"1", False))
        answer = await carry_out(lone, Read(KEY, Context({}, folded)))
        assert isinstance(answer, ReadResult) == served


@pytest.mark.parametrize(("value", "refused"), [(None, True), (b"2", False)], ids=["delete", "put"])
@on_virtual_time
async def test_write_of_a_key_in_the_context(value: bytes | None, refused: bool) -> None:
    """A delete says whether there was something; a put depends on nothing."""
    async with lone_owner(B, C, runs=True) as lone:
        await lone.hold(KEY, Record(v(OLD), b"1", False))
        answer = await carry_out(lone, Write(KEY, v(NEW + 1), value, names(KEY, v(NEW))))
        held = lone.store.get(partition_of(KEY), KEY)
        assert held is not None and held.version == v(OLD if refused else NEW + 1)
        assert isinstance(answer, Unsatisfied if refused else Wrote)


@on_virtual_time
async def test_write_keeps_its_context_and_readers_get_it() -> None:
    async with lone_owner() as lone:
        context = names(OTHER, v(5)).merge(names(KEY, v(4)))
        written = await carry_out(lone, Write(KEY, v(NEW), b"1", context))
        assert written == Wrote(False, names(OTHER, v(5))), "the only owner has it: it is everywhere"
        held = lone.store.get(partition_of(KEY), KEY)
        assert held is not None and decode(held.context) == names(OTHER, v(5)), "what was known of its own key is past"
        assert await carry_out(lone, Read(KEY, EMPTY)) == ReadResult(b"1", names(OTHER, v(5)), v(NEW))
        assert await carry_out(lone, Read(KEY)) == ReadResult(b"1", None, v(NEW))
        assert await carry_out(lone, Write(KEY, v(NEW + 1), None, EMPTY)) == Wrote(True, EMPTY)
        assert await carry_out(lone, Write(KEY, v(NEW + 2), None, EMPTY)) == NothingDeleted(EMPTY)
        held = lone.store.get(partition_of(KEY), KEY)
        assert held is not None and held.context == b""


@on_virtual_time
async def test_delete_of_a_deleted_key_depends_on_its_tombstone() -> None:
    async with lone_owner(B, C) as lone:
        await lone.hold(KEY, Record(v(OLD), None, False, encode(names(OTHER, v(5)))))
        answer = await carry_out(lone, Write(KEY, v(NEW), None, EMPTY))
        assert answer == NothingDeleted(names(OTHER, v(5)).with_entry(hash_of(KEY), v(OLD), owner_id(A)))


@pytest.mark.parametrize("takes", [True, False])
@on_virtual_time
async def test_write_adds_its_entry_only_if_somebody_was_left_out(takes: bool) -> None:
    async with lone_owner(B, runs=True) as lone:
        if takes:
            lone.peers.script[B] = CoOwner()
        await asyncio.sleep(1.0)
        answer = await carry_out(lone, Write(KEY, v(NEW), b"1", EMPTY))
        left = EMPTY if takes else EMPTY.with_entry(hash_of(KEY), v(NEW), owner_id(A))
        assert answer == Wrote(False, left, None if takes else Copies(1, 2))
        assert await carry_out(lone, Read(KEY, EMPTY)) == ReadResult(b"1", left, v(NEW))


@on_virtual_time
async def test_read_of_a_record_whose_context_is_garbage_still_served() -> None:
    async with lone_owner(B, C) as lone:
        await lone.hold(KEY, Record(v(OLD), b"1", False, b"\xc1garbage"))
        answer = await carry_out(lone, Read(KEY, EMPTY))
        assert answer == ReadResult(b"1", EMPTY.with_entry(hash_of(KEY), v(OLD), owner_id(A)), v(OLD))


@on_virtual_time
async def test_write_below_the_low_watermark_must_be_stamped_anew() -> None:
    async with lone_owner() as lone:
        low_watermark = (lone.time.wall_ms() + 60_000) << 16
        await lone.store.submit(lambda batch: batch.raise_low_watermark(low_watermark))
        answer = await carry_out(lone, Write(KEY, make_version(low_watermark, 9), b"1", EMPTY))
        assert answer == Superseded(make_version(low_watermark + 1, 0))
        outcome = await lone.node.router.write(KEY, b"2", EMPTY)
        assert outcome.answer == Wrote(False, EMPTY)
