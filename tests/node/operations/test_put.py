"""The short way of a plain put: when it is taken, and what becomes of what goes otherwise than expected on it."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Reason, Unavailable
from node.net.messages import Copies, Wrote
from node.operations.put import Put
from node.storage.writes import Newer
from node.values.record import Record
from node.values.version import Version, make_version
from tests.node.parts import A, B, C, Parts, node_a, on_virtual_time
from tests.node.samples import successor

KEY = b"k"
VALUE = b'"v"'


ON_ONE_OF_TWO = Wrote(False, copies=Copies(1, 2))


async def begun(parts: Parts, value: bytes = VALUE) -> Put:
    """One under way. The first stamp of all takes waiting: it makes a ceiling durable."""
    await parts.clock.stamp()
    assert parts.router.puts_here(KEY)
    put = parts.router.put_here(KEY, value)
    assert put is not None
    return put


async def stored(parts: Parts) -> Put:
    """One that waits for co-owners."""
    put = await begun(parts)
    await asyncio.wait([put.stored])
    assert parts.router.await_copies(put) is put.copied is not None
    return put


def held(parts: Parts) -> tuple[Version, bytes | None]:
    record = parts.held(KEY)
    assert record is not None
    return record.version, record.value


@on_virtual_time
async def test_put_is_answered_by_its_commit_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A)
    monkeypatch.setattr(parts.owner, "carry_out", None)
    for replaced in (False, True):
        put = await begun(parts)
        await asyncio.wait([put.stored])
        assert parts.router.await_copies(put) is None
        outcome = parts.router.end_put(put)
        assert outcome is not None
        assert (outcome.answer, outcome.served_by, outcome.version) == (Wrote(replaced), None, put.version)
        assert held(parts) == (put.version, VALUE)
    assert (await parts.router.write(KEY, VALUE)).answer == Wrote(True), "by no other way"


@on_virtual_time
async def test_put_counts_as_one_of_a_client_that_is_served() -> None:
    parts = await node_a(A)
    await asyncio.sleep(1.0)
    await begun(parts)
    assert parts.owner.served_at == parts.time.monotonic()


@on_virtual_time
async def test_put_waits_for_the_ceiling_of_the_clock() -> None:
    parts = await node_a(A)
    assert parts.router.puts_here(KEY) and parts.router.put_here(KEY, VALUE) is None
    assert parts.held(KEY) is None
    assert (await parts.router.write(KEY, VALUE)).answer == Wrote(False)


# When it is taken


@on_virtual_time
async def test_put_of_another_nodes_key_takes_the_ordinary_way() -> None:
    parts = await node_a(A, B)
    assert parts.router.puts_here(parts.key_of(A)) and not parts.router.puts_here(parts.foreign_key())


@on_virtual_time
async def test_put_takes_the_ordinary_way_while_a_co_owner_has_to_be_asked() -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    parts.co_owner(B)
    peer = parts.co_owner(C)
    peer.lease_granted = False
    async with parts.running():
        await asyncio.sleep(1.0)
        assert not parts.router.puts_here(KEY)
        peer.lease_granted = True
        await asyncio.sleep(1.0)
        assert parts.router.puts_here(KEY)


@on_virtual_time
async def test_put_takes_the_ordinary_way_past_a_co_owner_that_has_no_room() -> None:
    """It answers, and gives leases: nobody would be told soon that it may be left out."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        peer.has_room = False
        assert (await parts.router.write(KEY, VALUE)).answer == ON_ONE_OF_TWO
        assert not parts.co_owners.unleased() and not parts.router.puts_here(KEY)
        began = parts.time.monotonic()
        assert (await parts.router.write(b"second", VALUE)).answer == ON_ONE_OF_TWO
        assert parts.time.monotonic() - began < 0.1


@on_virtual_time
async def test_put_takes_the_ordinary_way_while_nothing_counts_that_is_here() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        assert parts.router.puts_here(KEY)
        parts.co_owners.note_behind()
        assert not parts.router.puts_here(KEY)


@on_virtual_time
async def test_put_takes_the_ordinary_way_while_this_node_may_not_act() -> None:
    parts = await node_a(A)
    parts.readiness.pause()
    assert not parts.router.puts_here(KEY)


# What goes otherwise


@on_virtual_time
async def test_put_under_another_view_is_begun_anew() -> None:
    parts = await node_a(A)
    await parts.clock.stamp()
    later = successor(parts.views.current, A)
    parts.store.submit(lambda transaction: transaction.enter(later))
    put = await begun(parts)
    await asyncio.wait([put.stored])
    assert parts.router.end_put(put) is None and parts.held(KEY) is None
    await parts.views.adopt(later, A)
    assert (await parts.router.go_on(put)).answer == Wrote(False)
    assert held(parts)[1] == VALUE and held(parts)[0] > put.version


@on_virtual_time
async def test_put_below_a_newer_version_is_stamped_above_it() -> None:
    parts = await node_a(A)
    newer = make_version((parts.time.wall_ms() + 5000) << 16, 9)
    await parts.keep((KEY, Record(newer, b"0", False)))
    put = await begun(parts)
    await asyncio.wait([put.stored])
    assert put.stored.result() == Newer(newer) and parts.router.end_put(put) is None
    assert (await parts.router.go_on(put)).answer == Wrote(True)
    assert held(parts)[0] > newer


@on_virtual_time
async def test_put_in_a_pause_is_not_acknowledged_before_this_node_may_act_and_never_stamped_anew() -> None:
    """Others may have taken its place, and not have seen the write."""
    parts = await node_a(A)
    put = await begun(parts)
    parts.readiness.pause()
    await asyncio.wait([put.stored])
    assert parts.router.end_put(put) is None
    parts.readiness.is_ready = True
    assert (await parts.router.go_on(put)).answer == Wrote(False)
    assert held(parts) == (put.version, VALUE)


@on_virtual_time
async def test_put_whose_key_has_co_owners_by_now_is_brought_to_them() -> None:
    parts = await node_a(A, repl_factor=2)
    put = await begun(parts)
    await asyncio.wait([put.stored])
    await parts.views.adopt(successor(parts.views.current, A, B), A)
    assert not parts.co_owners.is_alone
    assert parts.router.await_copies(put) is None and parts.router.end_put(put) is None


# With co-owners


@on_virtual_time
async def test_put_is_answered_once_all_co_owners_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A, B, C, repl_factor=3)
    near, far = parts.co_owner(B), parts.co_owner(C)
    parts.compare(B, C)
    monkeypatch.setattr(parts.owner, "carry_out", None)
    async with parts.running():
        await asyncio.sleep(1.0)
        far.is_free.clear()
        put = await stored(parts)
        assert put.copied is not None
        await asyncio.sleep(0.05)
        assert KEY in near.held and KEY not in far.held and not put.copied.done()
        far.is_free.set()
        assert await put.copied and KEY in far.held
        outcome = parts.router.end_put(put)
        assert outcome is not None
        assert (outcome.answer, outcome.served_by, outcome.version) == (Wrote(False), None, put.version)
        assert (await parts.router.write(KEY, VALUE)).answer == Wrote(True), "by no other way"


@on_virtual_time
async def test_put_whose_co_owner_is_silent_goes_on_under_its_version() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        put = await begun(parts)
        del parts.peers.script[B]
        await asyncio.wait([put.stored])
        copied = parts.router.await_copies(put)
        assert copied is not None and not await copied
        assert parts.router.end_put(put) is None
        assert (await parts.router.go_on(put)).answer == ON_ONE_OF_TWO
        assert held(parts) == (put.version, VALUE)


@on_virtual_time
async def test_put_under_a_view_that_changes_while_it_is_copied_goes_on_under_its_version() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        peer.is_free.clear()
        put = await stored(parts)
        await parts.views.adopt(successor(parts.views.current, A, B), A)
        assert put.copied is not None and not await put.copied
        assert parts.router.end_put(put) is None
        peer.is_free.set()
        assert (await parts.router.go_on(put)).answer == Wrote(False)
        assert held(parts) == (put.version, VALUE) and peer.held[KEY].version == put.version


@on_virtual_time
async def test_put_that_was_copied_under_another_view_is_brought_to_its_co_owners() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        put = await stored(parts)
        assert put.copied is not None and await put.copied
        await parts.views.adopt(successor(parts.views.current, A, B, C), A)
        assert parts.router.end_put(put) is None


@pytest.mark.parametrize("is_waiting", [False, True], ids=["stored", "copied"])
@on_virtual_time
async def test_put_for_which_a_co_owner_was_removed_is_not_acknowledged_without_it(is_waiting: bool) -> None:
    """It may still answer alone, under the view in which it had to have the put."""
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B).is_free.clear()
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        put = await stored(parts) if is_waiting else await begun(parts)
        await asyncio.wait([put.stored])
        await parts.views.adopt(successor(parts.views.current, A), A)
        assert parts.co_owners.is_alone
        if not is_waiting:
            assert parts.router.await_copies(put) is None
        assert parts.router.end_put(put) is None


@on_virtual_time
async def test_put_in_a_pause_while_it_is_copied_is_not_acknowledged() -> None:
    parts = await node_a(A, B, repl_factor=2)
    parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        put = await stored(parts)
        assert put.copied is not None and await put.copied
        parts.readiness.pause()
        assert parts.router.end_put(put) is None


@on_virtual_time
async def test_put_whose_copies_take_too_long_is_answered_in_time() -> None:
    """Counted from its beginning, not from when it was stored."""
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        began = parts.time.monotonic()
        put = await begun(parts)
        parts.disk.hung = True
        await asyncio.sleep(0.2)
        parts.disk.hung = False
        peer.is_free.clear()
        parts.co_owners.note_silence = lambda state: False  # type: ignore[method-assign]
        await asyncio.wait([put.stored])
        copied = parts.router.await_copies(put)
        assert copied is not None
        await asyncio.wait([copied])
        assert parts.time.monotonic() - began == pytest.approx(parts.config.answer_s, abs=0.01)
        with pytest.raises(Unavailable) as late:
            parts.router.end_put(put)
        assert (late.value.reason, late.value.has_not_happened) == (Reason.TIMEOUT, False)


@on_virtual_time
async def test_put_whose_client_waits_no_more_waits_for_no_copies() -> None:
    parts = await node_a(A, B, repl_factor=2)
    peer = parts.co_owner(B)
    parts.compare(B)
    async with parts.running():
        await asyncio.sleep(1.0)
        peer.is_free.clear()
        writing = asyncio.ensure_future(parts.router.write(KEY, VALUE))
        await asyncio.sleep(0.1)
        writing.cancel()
        await asyncio.wait([writing])
        peer.is_free.set()
        await asyncio.sleep(0.1)
        assert writing.cancelled() and peer.held[KEY].value == VALUE


# A disk that does not do it


@on_virtual_time
async def test_put_on_a_full_disk_has_not_happened() -> None:
    parts = await node_a(A)
    parts.disk.full = True
    put = await begun(parts)
    await asyncio.wait([put.stored])
    assert parts.router.end_put(put) is None
    with pytest.raises(Unavailable) as refused:
        await parts.router.go_on(put)
    assert refused.value.has_not_happened


@on_virtual_time
async def test_put_whose_commit_failed_goes_on_under_its_version() -> None:
    """It may be on the disk: under another one it might be seen again, after what came in between."""
    parts = await node_a(A)
    put = await begun(parts)
    parts.disk.failing = True
    await asyncio.wait([put.stored])
    assert parts.router.end_put(put) is None and parts.held(KEY) is None
    parts.disk.failing = False
    assert (await parts.router.go_on(put)).answer == Wrote(False)
    assert held(parts) == (put.version, VALUE)


@on_virtual_time
async def test_put_on_a_disk_that_goes_on_failing_may_have_happened() -> None:
    parts = await node_a(A)
    put, began = await begun(parts), parts.time.monotonic()
    parts.disk.failing = True
    await asyncio.wait([put.stored])
    with pytest.raises(Unavailable) as doubtful:
        await parts.router.go_on(put)
    assert not doubtful.value.has_not_happened
    assert parts.time.monotonic() - began < parts.config.answer_s


@on_virtual_time
async def test_put_goes_on_until_its_disk_fails_no_longer() -> None:
    parts = await node_a(A)
    parts.disk.failing = True
    writing = asyncio.ensure_future(parts.router.write(KEY, VALUE))
    await asyncio.sleep(parts.config.request_s / 2)
    assert not writing.done()
    parts.disk.failing = False
    assert (await writing).answer == Wrote(False)


@on_virtual_time
async def test_put_on_a_disk_that_hangs_is_answered_in_time() -> None:
    parts = await node_a(A)
    put, began = await begun(parts), parts.time.monotonic()
    parts.disk.hung = True
    await asyncio.wait([put.stored])
    assert parts.time.monotonic() - began == pytest.approx(parts.config.answer_s, abs=0.01)
    with pytest.raises(Unavailable) as late:
        parts.router.end_put(put)
    assert (late.value.reason, late.value.has_not_happened) == (Reason.TIMEOUT, False), "nobody can tell"


@on_virtual_time
async def test_put_behind_a_commit_that_hangs_never_happens() -> None:
    parts = await node_a(A)
    await begun(parts)
    parts.disk.hung = True
    await asyncio.sleep(parts.config.commit_s / 2)
    put = await begun(parts, b"2")
    await asyncio.wait([put.stored])
    with pytest.raises(Unavailable) as refused:
        await parts.router.go_on(put)
    assert refused.value.has_not_happened
    parts.disk.hung = False
    await asyncio.sleep(1.0)
    assert held(parts)[1] == VALUE


@on_virtual_time
async def test_put_that_goes_on_has_no_more_time_than_was_left() -> None:
    parts = await node_a(A)
    put, began = await begun(parts), parts.time.monotonic()
    await asyncio.wait([put.stored])
    parts.disk.hung = True
    await asyncio.sleep(1.0)
    with pytest.raises(Unavailable) as late:
        await parts.router.go_on(put)
    assert late.value.reason is Reason.TIMEOUT
    assert parts.time.monotonic() - began == pytest.approx(parts.config.answer_s, abs=0.01)


@on_virtual_time
async def test_put_whose_client_waits_no_more_leaves_the_queue() -> None:
    parts = await node_a(A)
    await begun(parts)
    parts.disk.hung = True
    await asyncio.sleep(0.1)
    writing = asyncio.ensure_future(parts.router.write(KEY, b"2"))
    await asyncio.sleep(0.1)
    writing.cancel()
    parts.disk.hung = False
    await asyncio.sleep(0.5)
    assert writing.cancelled() and held(parts)[1] == VALUE
