"""What a node does with many operations at once: to whom they go, in which order, and under which versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

import pytest
from msgspec.structs import replace

from gossip.view import Address
from node.errors import PeerLost, PeerRefused, Reason, RequestFault, StorageFault, TooManyCalls, Unavailable
from node.net.messages import (
    Answer,
    Batch,
    BatchAnswer,
    Batched,
    Foreign,
    Hello,
    MayBeStored,
    NothingDeleted,
    Read,
    ReadResult,
    Request,
    Superseded,
    Unable,
    Unmet,
    ViewIs,
    Write,
    WriteExpiring,
    WriteIf,
    Wrote,
)
from node.operations import batching
from node.operations.batching import Asked, Came
from node.operations.router import Outcome
from node.values.version import make_version
from tests.node.operations.asking import IS_NEW, V5, found
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time, record

VALUE = b'"v"'
AHEAD = make_version(1 << 62, 9)


class Owner:
    """Stands in for another owner: it answers batches, and what comes alone, as told in turn, and keeps both."""

    def __init__(self, batches: Sequence[Answer | Exception], alone: Sequence[Answer | Exception] = ()) -> None:
        self.batches: list[tuple[Read | Write, ...]] = []
        self.alone: list[Read | Write | WriteIf] = []
        self._batches, self._alone = list(batches), list(alone)

    def __call__(self, request: Request) -> Answer:
        match request:
            case Batch(operations):
                self.batches.append(operations)
                answer = self._batches.pop(0)
            case Read() | Write() | WriteIf():
                self.alone.append(request)
                answer = self._alone.pop(0)
            case _:
                assert isinstance(request, Hello)
                return ViewIs(b"")
        if isinstance(answer, Exception):
            raise answer
        return answer


def put(key: bytes, value: bytes = VALUE) -> Asked:
    return Asked(key, value=value)


def read(key: bytes) -> Asked:
    return Asked(key, is_read=True)


def delete(key: bytes) -> Asked:
    return Asked(key)


async def answers(parts: Parts, *asked: Asked) -> list[Answer | str | None]:
    return [told(came) for came in await parts.batching.carry_out(asked)]


def told(came: Came) -> Answer | str | None:
    """In short."""
    if isinstance(came, Outcome):
        return came.answer
    assert came is None or isinstance(came, RequestFault | StorageFault), came
    return None if came is None else type(came).__name__


async def with_owner(owner: Owner, *others: Address) -> tuple[Parts, list[bytes]]:
    """A node, and keys of B, which answers like this."""
    parts = await node_a(A, B, *others)
    parts.peers.script[B] = owner
    keys = parts.keys_of(B)
    return parts, [next(keys) for _ in range(4)]


# Together


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


# What was left


@on_virtual_time
async def test_batch_what_the_owner_has_left_is_brought_there_alone() -> None:
    there = Owner([Batched((Unable(), Wrote(False), Unable()))], [Wrote(True), found(VALUE, 3)])
    parts, (one, two, three, _) = await with_owner(there)
    assert await answers(parts, put(one), put(two), read(three)) == [Wrote(True), Wrote(False), found(VALUE, 3)]
    assert {request.key for request in there.alone} == {one, three}


NOT_DONE = [Unable(), ViewIs(b""), PeerRefused(), TooManyCalls()]


@pytest.mark.parametrize("heard", NOT_DONE, ids=lambda heard: type(heard).__name__)
def test_batch_that_was_not_taken_is_stamped_anew_where_something_newer_is_held(heard: Answer | Exception) -> None:
    @on_virtual_time
    async def run() -> None:
        there = Owner([heard], [Superseded(AHEAD), Wrote(True)])
        parts, (key, *_) = await with_owner(there)
        assert await answers(parts, put(key)) == [Wrote(True)]

    run()


@on_virtual_time
async def test_batch_refused_by_another_store_is_brought_nowhere_else() -> None:
    there = Owner([Foreign()])
    parts, (key, *_) = await with_owner(there)
    assert await answers(parts, put(key)) == ["NotBrought"]


@on_virtual_time
async def test_batch_superseded_is_stamped_anew() -> None:
    there = Owner([Batched((Superseded(AHEAD),))], [Superseded(AHEAD), Wrote(True)])
    parts, (key, *_) = await with_owner(there)
    assert await answers(parts, put(key)) == [Wrote(True)]
    last = there.alone[-1]
    assert isinstance(last, Write) and last.version > AHEAD


LOST = [PeerLost(), Batched((MayBeStored(),)), Batched(()), Wrote(False)]


@pytest.mark.parametrize("heard", LOST, ids=["lost", "may be stored", "too few", "no answer to a batch"])
def test_batch_that_may_be_stored_goes_on_under_its_versions(heard: Answer | Exception) -> None:
    @on_virtual_time
    async def run() -> None:
        there = Owner([heard], [Wrote(False)])
        parts, (key, *_) = await with_owner(there)
        assert await answers(parts, put(key)) == [Wrote(False)]
        (sent,), (again,) = there.batches[0], there.alone
        assert again == sent

    run()


@pytest.mark.parametrize("heard", LOST, ids=["lost", "may be stored", "too few", "no answer to a batch"])
def test_batch_that_may_be_stored_is_never_stamped_anew(heard: Answer | Exception) -> None:
    """It would happen twice."""

    @on_virtual_time
    async def run() -> None:
        there = Owner([heard], [Superseded(AHEAD)])
        parts, (key, *_) = await with_owner(there)
        assert await answers(parts, put(key)) == ["NotBrought"]
        assert len(there.alone) == 1

    run()


@on_virtual_time
async def test_batch_lost_here_in_a_pause_goes_on_under_its_version() -> None:
    parts = await node_a(A)
    carry_out = parts.owner.carry_out_together

    async def paused(operations: Sequence[Read | Write], limit_s: float) -> Sequence[BatchAnswer]:
        await carry_out(operations, limit_s)
        return [MayBeStored()] * len(operations)

    parts.owner.carry_out_together = paused  # type: ignore[method-assign]
    (came,) = await parts.batching.carry_out([put(b"k")])
    held = parts.held(b"k")
    assert isinstance(came, Outcome) and came.answer == Wrote(False)
    assert held is not None and held.version == came.version


@on_virtual_time
async def test_batch_to_a_release_that_knows_of_none_goes_alone() -> None:
    there = Owner([], [Wrote(False), found(VALUE, 3)])
    parts, (one, two, *_) = await with_owner(there)
    parts.peers.older.add(B)
    assert await answers(parts, put(one), read(two)) == [Wrote(False), found(VALUE, 3)]


ALONE = [
    (Asked(b"", value=VALUE, condition=IS_NEW), WriteIf, Unmet(V5)),
    (Asked(b"", value=VALUE, ttl_ms=5), WriteExpiring, Wrote(False)),
]


@pytest.mark.parametrize(("asked", "kind", "answer"), ALONE, ids=["condition", "expiry"])
def test_batch_what_is_not_plain_goes_alone(asked: Asked, kind: type[Request], answer: Answer) -> None:
    @on_virtual_time
    async def run() -> None:
        there = Owner([Batched((Wrote(False),))], [answer])
        parts, (one, two, *_) = await with_owner(there)
        assert await answers(parts, replace(asked, key=one), put(two)) == [answer, Wrote(False)]
        assert [(type(request), request.key) for request in there.alone] == [(kind, one)]
        assert [request.key for request in there.batches[0]] == [two]

    run()


@on_virtual_time
async def test_batch_that_cannot_be_stamped_here_goes_alone() -> None:
    """There, each gets another node's stamp, or is told why not."""
    parts = await node_a(A, B)
    key, own = parts.key_of(B), parts.key_of(A)
    parts.peers.script[B] = Owner([Batched((found(VALUE, 3),))])

    async def refuse(count: int) -> list[bytes]:
        raise Unavailable("The clock of this node is off")

    parts.clock.stamps = refuse  # type: ignore[method-assign]
    assert await answers(parts, read(key), put(own)) == [found(VALUE, 3), Wrote(False)]


@on_virtual_time
async def test_batch_is_not_stamped_before_anybody_knows_what_time_is_possible() -> None:
    there = Owner([])
    parts, (key, *_) = await with_owner(there)
    parts.clock.is_grounded = parts.readiness.is_ready = False
    assert await answers(parts, put(key)) == ["Unavailable"]
    assert not there.batches and not there.alone


class Crowd:
    """Stands in for an owner that leaves all of a batch, and takes its time for each by itself."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __call__(self, request: Request) -> Answer:
        if isinstance(request, Batch):
            return Batched((Unable(),) * len(request.operations))
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return found(VALUE, 3) if isinstance(request, Read) else Wrote(False)


@pytest.mark.parametrize(("ask", "most"), [(read, batching.READS_ALONE_MAX), (put, batching.ALONE_MAX)])
def test_batch_what_was_left_goes_on_by_so_many_at_a_time(ask: Callable[[bytes], Asked], most: int) -> None:
    @on_virtual_time
    async def run() -> None:
        parts = await node_a(A, B)
        crowd = parts.peers.script[B] = Crowd()
        keys = list(islice(parts.keys_of(B), 2 * most))
        assert set(map(type, await answers(parts, *map(ask, keys)))) <= {ReadResult, Wrote}
        assert crowd.most == most

    run()


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
