"""What a node promises to whom, and what it keeps out meanwhile."""

from __future__ import annotations

import msgspec
import pytest

from gossip.view import Address, Electors, View
from node.net.messages import Busy, Foreign, Promise, Promised, Unable, ViewIs
from node.views.promisee import Promisee
from node.views.rules import EPOCH_LEAP_MAX
from tests.node.samples import successor
from tests.node.views.bench import A, B, Bench, C, D


def wish(bench: Bench, epoch: int, coordinator: Address = C, target: str = "t") -> Promise:
    return Promise(epoch, coordinator, target, (A, B), bench.views.current.lineage_of_successor)


async def test_promise_first_come_first_served(bench: Bench) -> None:
    assert await bench.views.promise(wish(bench, 1, C)) == Promised()
    assert await bench.views.promise(wish(bench, 1, D, "other")) == Busy(1, C, "t")
    assert await bench.views.promise(wish(bench, 2, C)) == Promised()


async def test_promise_keeps_lower_views_out(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 3, C))
    lower = successor(bench.views.current, A, B, D, epoch=2)
    assert await bench.views.adopt(lower, B) == Busy(3, C, "t")
    assert bench.views.view_id.epoch == 0


async def test_promise_ends_with_the_view_it_was_for(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 1, C))
    await bench.views.adopt(successor(bench.views.current, A, B, C), C)
    assert not bench.views.promisee().is_held


async def test_promise_is_void_after_a_time(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 1, C))
    bench.time.now += bench.config.promise_s + 0.1
    assert await bench.views.promise(wish(bench, 2, D)) == Promised()


async def test_promise_of_an_epoch_once_promised_is_refused(bench: Bench) -> None:
    """Void, given back, or over a restart: a view of that epoch may be on some disk."""
    refusal = ViewIs(bench.views.current.encoded)
    await bench.views.promise(wish(bench, 1, C))
    bench.time.now += bench.config.promise_s + 0.1
    assert await bench.views.promise(wish(bench, 1, D)) == refusal
    assert await bench.views.promise(wish(bench, 2, D)) == Promised()
    await bench.views.release(2, D)
    assert await bench.views.promise(wish(bench, 2, D)) == refusal
    again = Bench(bench.store, bench.config)
    assert await again.views.promise(wish(again, 2, C)) == refusal
    assert again.views.promisee() == Promisee(2, "", "")


async def test_promise_asked_for_twice_is_given_twice(bench: Bench) -> None:
    """The answer to the first request may have been lost."""
    assert await bench.views.promise(wish(bench, 1, C)) == await bench.views.promise(wish(bench, 1, C)) == Promised()


@pytest.mark.parametrize("epoch", [2**63 - 1, 2**63, 2**64 - 1])
async def test_promise_of_an_epoch_without_room_above_is_refused(bench: Bench, epoch: int) -> None:
    assert await bench.views.promise(wish(bench, epoch, C)) == Unable()
    assert await bench.views.promise(wish(bench, 1, C)) == Promised()


async def test_promise_of_an_epoch_that_no_change_comes_to_keeps_nobody_from_the_next_one(bench: Bench) -> None:
    """Or this node, and with it the store that it is a member of, would never change its view again."""
    await bench.views.promise(wish(bench, EPOCH_LEAP_MAX, D, "absurd"))
    assert isinstance(await bench.views.promise(wish(bench, 1, C)), Busy)
    bench.time.now += bench.config.promise_s + 0.1
    assert await bench.views.promise(wish(bench, 1, C)) == Promised()
    await bench.views.release(1, C)
    assert await bench.views.promise(wish(bench, 1, C)) == ViewIs(bench.views.current.encoded)


async def test_promise_to_build_on_a_view_that_is_out_of_force_is_refused(bench: Bench) -> None:
    """Who asks has heard that an epoch was promised, but not that its view has come in force meanwhile: with an epoch
    above that one it would undo what was answered 200."""
    before = bench.views.current
    later = successor(before, A, B, C)
    await bench.views.adopt(later, B)
    request = Promise(2, D, "t", (A, B), before.lineage_of_successor, before.id)
    assert await bench.views.promise(request) == ViewIs(later.encoded)
    assert isinstance(await bench.views.promise(msgspec.structs.replace(request, base=later.id)), Promised)


async def test_promise_tells_whether_this_node_holds_what_is_built_on_and_has_held_no_rival_of_it(bench: Bench) -> None:
    before = bench.views.current
    electors = (Electors(before.id, (A, B)),)
    first = msgspec.structs.replace(successor(before, A, B, C), electors=electors)
    second = msgspec.structs.replace(successor(before, A, B, D, epoch=2), electors=electors)

    async def promised(epoch: int, base: View) -> object:
        return await bench.views.promise(Promise(epoch, C, "t", (A, B), base.lineage_of_successor, base.id))

    assert await promised(1, before) == Promised(True, True), "a view of epoch 0 goes without saying"
    assert await promised(2, first) == Promised(False, False), "it is not held here yet"
    await bench.views.adopt(first, C)
    assert await promised(3, first) == Promised(True, False)
    await bench.views.standing.note_established(first)
    assert await promised(4, first) == Promised(True, True)
    await bench.views.release(4, C)
    await bench.views.adopt(second, C)
    assert await promised(5, second) == Promised(False, False), "it has held a rival"


async def test_promise_lets_the_view_pass_that_it_builds_on_and_is_kept(bench: Bench) -> None:
    """A node that was late promises before it has heard of that view; it must not go on serving under an earlier one
    until the promise is void."""
    late, base = bench.views, successor(bench.views.current, A, B, C)
    request = Promise(2, D, "t", (A, B, C), base.lineage_of_successor, base.id)
    assert await late.promise(request) == Promised()
    assert await late.adopt(base, B) is None and late.view_id == base.id
    assert late.promisee() == Promisee(2, D, "t", base.id)
    assert Bench(bench.store, bench.config).views.promisee() == Promisee(2, D, "t")


async def test_promise_keeps_out_what_may_follow_the_view_that_it_builds_on(bench: Bench) -> None:
    base = successor(bench.views.current, A, B, C)
    await bench.views.promise(Promise(3, D, "t", (A, B, C), base.lineage_of_successor, base.id))
    assert await bench.views.adopt(successor(base, A, B), B) == Busy(3, D, "t")


async def test_promise_release_of_another_one_is_a_no_op(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 2, C))
    await bench.views.release(1, C)
    await bench.views.release(2, D)
    assert bench.views.promisee().coordinator == C
    await bench.views.release(2, C)
    assert not bench.views.promisee().is_held


async def test_promise_survives_a_restart(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 2, C))
    assert Bench(bench.store, bench.config).views.promisee() == Promisee(2, C, "t")


async def test_promise_below_the_view_held_is_answered_with_it(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    await bench.views.adopt(later, B)
    assert await bench.views.promise(wish(bench, 1, C)) == ViewIs(later.encoded)


@pytest.mark.parametrize(
    ("has_keys", "old_nodes", "foreign"),
    [
        pytest.param(False, (C, D), False, id="empty: whoever asks"),
        pytest.param(True, (C, D), True, id="with keys, and none of the old nodes named by its environment"),
        pytest.param(True, (B, C), False, id="with keys, and an old node named"),
    ],
)
async def test_promise_at_epoch_0(bench: Bench, has_keys: bool, old_nodes: tuple[Address, ...], foreign: bool) -> None:
    if has_keys:
        await bench.put(b"k")
    answer = await bench.views.promise(Promise(1, C, "t", old_nodes, lineage=5))
    assert isinstance(answer, Foreign) == foreign
