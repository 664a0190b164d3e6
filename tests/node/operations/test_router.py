"""What a node does with a client's operation: whom it brings it to, in which order, and under which version."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import ViewId
from node.errors import PeerLost, PeerRefused, Reason, StorageFault, Unavailable
from node.net.messages import (
    Answer,
    AskStamp,
    Fetch,
    Fetched,
    Hello,
    MayBeStored,
    ReadResult,
    Request,
    Stamped,
    Superseded,
    Unable,
    ViewIs,
    WriteExpiring,
    Wrote,
)
from node.net.transport import Answering
from node.timing.clock import Clocks, Memory
from node.values.context import Context, Sight, owner_id, to_json
from node.values.record import Record
from node.values.version import clock_of, make_version
from ring.hashing import hash_of
from tests.node.fakes.peers import OwnerInTurn
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time
from tests.node.samples import successor


def ahead(parts: Parts, ms: int = 5000) -> bytes:
    return make_version((parts.time.wall_ms() + ms) << 16, 9)


# Stamping


@on_virtual_time
async def test_write_here_is_stamped_above_a_newer_version() -> None:
    parts = await node_a(A, B)
    key, newer = parts.key_of(A), ahead(parts)
    await parts.keep((key, Record(newer, b"0", False)))
    assert (await parts.router.write(key, b"1")).answer == Wrote(True)
    held = parts.held(key)
    assert held is not None and held.version > newer


@on_virtual_time
async def test_write_passes_a_version_that_only_a_wrong_clock_can_have_stamped() -> None:
    parts = await node_a(A, B)
    key, absurd = parts.key_of(A), ahead(parts, 2 * parts.config.clock_lead_ms_max)
    await parts.keep((key, Record(absurd, b"0", False)))
    outcomes = await asyncio.gather(*(parts.router.write(key, value) for value in (b"1", b"2")))
    assert [outcome.answer for outcome in outcomes] == [Wrote(True)] * 2
    held = parts.held(key)
    assert held is not None and held.version > absurd and held.value in (b"1", b"2")
    assert clock_of(await parts.clock.stamp()) < clock_of(absurd)


@on_virtual_time
async def test_put_expires_its_ttl_after_its_stamp_however_far_ahead_that_is() -> None:
    """A version that was far ahead is passed, but the key does not stay until that time has come."""
    parts = await node_a(A, B)
    key = parts.key_of(A)
    await parts.keep((key, Record(ahead(parts, 2 * parts.config.clock_lead_ms_max), b"0", False)))
    now_ms = parts.time.wall_ms()
    assert (await parts.router.write(key, b"1", ttl_ms=30_000)).answer == Wrote(True)
    held = parts.held(key)
    assert held is not None and held.expires_ms is not None and 0 <= held.expires_ms - now_ms - 30_000 < 100


@on_virtual_time
async def test_put_repeated_elsewhere_keeps_its_expiry_and_stamped_anew_has_another() -> None:
    parts = await node_a(A, B, C, D, repl_factor=2)
    key, asked = parts.foreign_key(), list[WriteExpiring]()
    answers: list[Answer | None] = [None, Superseded(ahead(parts, 10)), Wrote(False)]

    async def answer(request: Request) -> Answer:
        assert isinstance(request, WriteExpiring)
        asked.append(request)
        await asyncio.sleep(0.1)
        answering = answers.pop(0)
        if answering is None:
            raise PeerRefused("it has died")
        return answering

    parts.peers.script |= dict.fromkeys((B, C, D), answer)
    assert (await parts.router.write(key, b"1", ttl_ms=30_000)).answer == Wrote(False)
    first, again, anew = asked
    assert first == again and anew.version > again.version and anew.expires_ms >= again.expires_ms + 100


@on_virtual_time
async def test_put_with_a_ttl_names_the_nodes_that_know_of_none() -> None:
    parts = await node_a(A, B)
    parts.peers.script[B] = lambda _: Wrote(False)
    parts.peers.older.add(B)
    for owner in (A, B):
        with pytest.raises(Unavailable, match="know") as refusal:
            await parts.router.write(parts.key_of(owner), b"1", ttl_ms=30_000)
        assert refusal.value.details == {"nodes": [B]} and refusal.value.has_not_happened
        assert (await parts.router.write(parts.key_of(owner), b"1")).answer == Wrote(False)
    assert not parts.asked(WriteExpiring)


def takes_no_ceiling(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_: Memory) -> None:
        raise StorageFault("the disk hangs")

    monkeypatch.setattr(parts.clock, "_remember", refuse)


@on_virtual_time
async def test_write_on_a_disk_that_takes_no_ceiling_is_stamped_by_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A, B)
    takes_no_ceiling(parts, monkeypatch)
    asked, lent = [], iter([ahead(parts, 1), ahead(parts, 3)])
    owner = OwnerInTurn(Superseded(ahead(parts, 2)), Wrote(True))

    def answer(request: Request) -> Answering:
        if isinstance(request, AskStamp):
            asked.append(parts.clock.reading)
            return Stamped(next(lent))
        return owner(request)

    parts.peers.script[B] = answer
    assert (await parts.router.write(parts.key_of(B), b"1")).answer == Wrote(True)
    assert owner.versions == [ahead(parts, 1), ahead(parts, 3)]
    assert asked[1] >= clock_of(ahead(parts, 2)), "the stamp is to be above what it was superseded by"


@on_virtual_time
async def test_write_that_nobody_stamps_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A, B)
    takes_no_ceiling(parts, monkeypatch)
    parts.peers.script[B] = lambda _: Unable()
    for owner in (A, B):
        with pytest.raises(Unavailable) as fault:
            await parts.router.write(parts.key_of(owner), b"1")
        assert fault.value.reason is Reason.DISK and fault.value.has_not_happened
    assert await parts.router.lend_stamp() == Unable()


@on_virtual_time
async def test_stamp_that_is_lent_is_given_to_nobody_else() -> None:
    parts = await node_a(A, B)
    lent = [await parts.router.lend_stamp() for _ in range(3)]
    assert len({*lent, Stamped(await parts.clock.stamp())}) == 4


@on_virtual_time
async def test_delete_passes_a_version_that_only_a_wrong_clock_can_have_stamped() -> None:
    parts = await node_a(A, B)
    key, absurd = parts.key_of(A), ahead(parts, 365 * parts.config.clock_lead_ms_max)
    await parts.keep((key, Record(absurd, b"0", False)))
    assert (await parts.router.write(key, None)).answer == Wrote(True)
    held = parts.held(key)
    assert held is not None and held.version > absurd and held.value is None


@on_virtual_time
@pytest.mark.parametrize("is_folded", [False, True])
async def test_write_is_stamped_above_what_its_context_names_though_the_clock_is_not(is_folded: bool) -> None:
    """Somebody who is cut off has it: unstamped by it, the client's later write would lose against its earlier one."""
    parts = await node_a(A, B)
    key, seen = parts.key_of(A), ahead(parts, parts.config.clock_lead_ms_max // 2)
    entries, folded = {hash_of(key): Sight(seen, owner_id(B))}, {owner_id(B): clock_of(seen)}
    context = Context({}, folded) if is_folded else Context(entries)
    await parts.router.write(key, b"1", parts.router.take_context(to_json(context)))
    held = parts.held(key)
    assert held is not None and held.version > seen
    assert clock_of(await parts.clock.stamp()) < clock_of(seen)


@on_virtual_time
async def test_write_is_not_stamped_before_others_could_tell_what_time_is_possible() -> None:
    parts = await node_a(A, B)
    parts.readiness.is_ready = False
    with pytest.raises(Unavailable) as fault:
        await parts.router.write(parts.key_of(A), b"1")
    assert parts.clock.reading == 0 and fault.value.reason is Reason.GATE and fault.value.has_not_happened


@on_virtual_time
async def test_write_here_is_refused_while_the_clock_is_ahead_of_all_others() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(A)
    parts.clock.hear(B, Clocks(0, parts.time.wall_ms() - 3_600_000))
    with pytest.raises(Unavailable, match="3600 s ahead of all others") as fault:
        await parts.router.write(key, b"1")
    assert parts.held(key) is None and fault.value.reason is Reason.CLOCK and fault.value.has_not_happened


@on_virtual_time
async def test_write_elsewhere_repeated_keeps_its_version() -> None:
    parts = await node_a(A, B)
    owner = parts.peers.script[B] = OwnerInTurn(PeerLost("reset"), Wrote(False))
    outcome = await parts.router.write(parts.key_of(B), b"1")
    assert (outcome.answer, outcome.served_by) == (Wrote(False), B)
    assert len(set(owner.versions)) == 1


@on_virtual_time
async def test_write_elsewhere_refused_is_stamped_above() -> None:
    parts = await node_a(A, B)
    newer = ahead(parts)
    owner = parts.peers.script[B] = OwnerInTurn(Superseded(newer), Superseded(newer), Wrote(True))
    assert (await parts.router.write(parts.key_of(B), b"1")).answer == Wrote(True)
    first, second, third = map(clock_of, owner.versions)
    assert first < clock_of(newer) < second < third


@pytest.mark.parametrize("first", [PeerLost("reset"), MayBeStored()], ids=["lost", "may be stored"])
@on_virtual_time
async def test_write_elsewhere_that_may_be_stored_is_never_stamped_anew(first: Answer | Exception) -> None:
    parts = await node_a(A, B)
    owner = parts.peers.script[B] = OwnerInTurn(first, Superseded(ahead(parts)))
    with pytest.raises(Unavailable):
        await parts.router.write(parts.key_of(B), b"1")
    assert len(owner.versions) == 2 and len(set(owner.versions)) == 1


# Routing to one owner


@on_virtual_time
async def test_owner_down_is_told_at_once() -> None:
    parts = await node_a(A, B)
    began = parts.time.monotonic()
    with pytest.raises(Unavailable) as fault:
        await parts.router.read(parts.key_of(B))
    assert fault.value.reason is Reason.NO_OWNER
    assert len(parts.peers.asked) == 1 and parts.time.monotonic() == began


@on_virtual_time
async def test_owner_under_a_later_view_is_believed() -> None:
    parts = await node_a(A, B)
    key = parts.key_of(B)
    later = successor(parts.views.current, A)
    parts.peers.script[B] = lambda request: Fetched(None) if isinstance(request, Fetch) else ViewIs(later.encoded)
    outcome = await parts.router.read(key)
    assert (outcome.answer, outcome.served_by) == (ReadResult(None), None)
    assert parts.views.view_id == ViewId(*later.id)


@on_virtual_time
async def test_owner_behind_is_greeted_with_the_view_then_asked_again() -> None:
    parts = await node_a(A, B)
    before = parts.views.current
    await parts.views.adopt(successor(before, A, B), B)
    answers: list[Answer] = [ViewIs(before.encoded), ReadResult(b"1")]
    parts.peers.script[B] = lambda request: ViewIs(before.encoded) if isinstance(request, Hello) else answers.pop(0)
    assert (await parts.router.read(parts.key_of(B))).answer == ReadResult(b"1")
    assert parts.asked(Hello) == [(B, Hello(parts.views.current.encoded))]


@on_virtual_time
async def test_request_of_which_nothing_is_heard_at_all_has_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A, B)
    monkeypatch.setattr(parts.clock, "stamp", asyncio.Event().wait)
    with pytest.raises(Unavailable) as fault:
        await parts.router.write(parts.key_of(B), b"1")
    assert fault.value.reason is Reason.TIMEOUT


@on_virtual_time
async def test_request_is_answered_in_time_whatever_hangs() -> None:
    parts = await node_a(A, B)
    parts.peers.silent.add(B)
    began = parts.time.monotonic()
    with pytest.raises(Unavailable):
        await parts.router.write(parts.key_of(B), b"1")
    assert parts.time.monotonic() - began <= 2.0


# Going on with a write


@on_virtual_time
async def test_write_again_keeps_its_version() -> None:
    parts = await node_a(A, B)
    key, version = parts.key_of(B), make_version(5 << 16, 1)
    there = parts.peers.script[B] = OwnerInTurn(MayBeStored(), Wrote(False))
    outcome = await parts.router.write_again(key, b"1", version)
    assert (outcome.answer, outcome.version, outcome.served_by) == (Wrote(False), version, B)
    assert there.versions == [version, version]


@on_virtual_time
async def test_write_again_is_not_stamped_anew() -> None:
    parts = await node_a(A, B)
    key, version = parts.key_of(B), make_version(5 << 16, 1)
    there = parts.peers.script[B] = OwnerInTurn(Superseded(ahead(parts)))
    with pytest.raises(Unavailable):
        await parts.router.write_again(key, b"1", version)
    assert there.versions == [version]
