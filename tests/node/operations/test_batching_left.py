"""What an owner has left of a batch, or may have stored: how that goes on, and under which versions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice

import pytest
from msgspec.structs import replace

from node.errors import PeerLost, PeerRefused, TooManyCalls, Unavailable
from node.net.messages import (
    Answer,
    Batch,
    BatchAnswer,
    Batched,
    Foreign,
    MayBeStored,
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
from node.operations.batching import Asked
from node.operations.router import Outcome
from tests.node.operations.asking import IS_NEW, V5, found
from tests.node.operations.batches import AHEAD, VALUE, Owner, answers, put, read, with_owner
from tests.node.parts import A, B, node_a, on_virtual_time


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
