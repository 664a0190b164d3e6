"""What a node does with many operations at once: to whom they go, and in which order."""

from __future__ import annotations

from node.errors import Reason, Unavailable
from node.net.messages import (
    Batched,
    NothingDeleted,
    Read,
    ReadResult,
    Unable,
    Write,
    Wrote,
)
from node.operations import batching
from node.operations.router import Outcome
from tests.node.operations.asking import found
from tests.node.operations.batches import VALUE, Owner, answers, delete, put, read, told, with_owner
from tests.node.parts import A, B, C, node_a, on_virtual_time, record


@on_virtual_time
async def test_batch_of_own_keys_asks_nobody() -> None:
    parts = await node_a(A)
    await parts.keep((b"old", record(3)))
    came = await parts.batching.carry_out([put(b"new"), read(b"old"), delete(b"old2"), put(b"old2")])
    assert [told(one) for one in came] == [Wrote(False), found(b"1", 3), NothingDeleted(), Wrote(False)]
    assert all(isinstance(one, Outcome) and one.served_by is None for one in came)
    assert parts.peers.asked == []
    new, held = came[0], parts.held(b"new")
    assert isinstance(new, Outcome) and held is not None and new.version == held.version


@on_virtual_time
async def test_batch_goes_to_each_owner_in_one_message() -> None:
    there = Owner([Batched((Wrote(False), found(VALUE, 3), Wrote(True)))])
    parts, (one, two, three, _) = await with_owner(there)
    own = parts.key_of(A)
    came = await parts.batching.carry_out([put(one), put(own), read(two), delete(three)])
    assert [told(each) for each in came] == [Wrote(False), Wrote(False), found(VALUE, 3), Wrote(True)]
    assert [each.served_by for each in came if isinstance(each, Outcome)] == [B, None, B, B]
    (first, second, third), *more = there.batches
    assert not more and second == Read(two) and isinstance(first, Write) and isinstance(third, Write)
    assert (first.key, first.value, third.key, third.value) == (one, VALUE, three, None)
    assert first.version < third.version
    written, was_read = came[0], came[2]
    assert isinstance(written, Outcome) and written.version == first.version
    assert isinstance(was_read, Outcome) and was_read.version == found(VALUE, 3).version


@on_virtual_time
async def test_batch_without_leave_to_act_is_refused() -> None:
    """It was read from its socket before a pause."""
    parts = await node_a(A)
    parts.readiness.admits = False
    came = await parts.batching.carry_out([put(b"k"), read(b"l")])
    assert [each.reason for each in came if isinstance(each, Unavailable)] == [Reason.GATE, Reason.GATE]
    assert parts.held(b"k") is None


# Order


@on_virtual_time
async def test_batch_operations_of_a_key_take_effect_in_their_order() -> None:
    parts = await node_a(A)
    asked = [read(b"k"), put(b"k", b"1"), read(b"k"), put(b"k", b"2"), delete(b"k"), read(b"k"), put(b"k", b"3")]
    came = await answers(parts, *asked)
    assert [each.value if isinstance(each, ReadResult) else each for each in came] == [
        *(None, Wrote(False), b"1", Wrote(True), Wrote(True), None, Wrote(False))
    ]


@on_virtual_time
async def test_batch_what_was_left_comes_before_all_that_follows_of_its_key() -> None:
    there = Owner([Batched((Unable(),))], [Wrote(False), found(b"1", 3), Wrote(True)])
    parts, (key, *_) = await with_owner(there)
    assert await answers(parts, put(key, b"1"), read(key), put(key, b"2")) == [
        *(Wrote(False), found(b"1", 3), Wrote(True))
    ]
    assert [getattr(request, "value", None) for request in there.alone] == [b"1", None, b"2"]


@on_virtual_time
async def test_batch_one_key_that_waits_keeps_no_other_waiting() -> None:
    parts = await node_a(A, B, C)
    parts.peers.silent.add(B)
    slow, quick = parts.key_of(B), parts.key_of(A)
    began = parts.time.monotonic()
    came = await answers(parts, put(slow), put(quick), read(slow))
    assert came[1:2] == [Wrote(False)] and came[0] == came[2] == "NotBrought"
    limit_s = parts.config.attempt_s + 2 * parts.config.answer_s
    assert parts.time.monotonic() - began <= limit_s


# What is held


@on_virtual_time
async def test_batch_puts_off_reads_beyond_what_is_to_be_held_and_what_follows_of_their_keys() -> None:
    parts = await node_a(A)
    large = b'"%b"' % (b"x" * (batching.FOUND_BYTES_MAX // 2))
    keys = parts.own_keys(6)
    await parts.keep(*((key, record(3, large)) for key in keys))
    came = await parts.batching.carry_out([*map(read, keys), *map(put, keys)])
    reads, puts = came[: len(keys)], came[len(keys) :]
    assert [one is None for one in reads] == [one is None for one in puts]
    late = [key for key, one in zip(keys, reads, strict=True) if one is None]
    assert 1 < len(late) < len(keys)
    assert all(parts.held(key) == record(3, large) for key in late), "what follows is put off too"
    now = await parts.batching.alone(read(late[0]))
    assert isinstance(now, Outcome) and now.answer == found(large, 3)


@on_virtual_time
async def test_alone_gives_what_the_router_raises() -> None:
    parts = await node_a(A, B)
    assert told(await parts.batching.alone(put(parts.key_of(B)))) == "NotBrought"
    assert told(await parts.batching.alone(read(parts.key_of(A)))) == ReadResult(None)
