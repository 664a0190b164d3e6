"""The short way of a plain put: when it is taken, and what becomes of what goes otherwise than expected on it."""

from __future__ import annotations

import asyncio

import pytest

from node.errors import Reason, Unavailable
from node.net.messages import Wrote
from node.operations.put import Put
from node.storage.writes import Newer
from node.values.record import Record
from node.values.version import Version, make_version
from tests.node.parts import A, B, Parts, node_a, on_virtual_time
from tests.node.samples import successor

KEY = b"k"
VALUE = b'"v"'


async def begun(parts: Parts, value: bytes = VALUE) -> Put:
    """One under way. The first stamp of all takes waiting: it makes a ceiling durable."""
    await parts.clock.stamp()
    assert parts.router.puts_here(KEY)
    put = parts.router.put_here(KEY, value)
    assert put is not None
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
async def test_put_of_a_key_with_co_owners_takes_the_ordinary_way() -> None:
    parts = await node_a(A, B, repl_factor=2)
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
    assert not parts.co_owners.is_alone and parts.router.end_put(put) is None


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
