"""Which views a node takes, refuses, or has promised to wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

import pytest

from gossip.view import Address, View, ViewId
from node.config import Config
from node.errors import Fenced, StorageFault
from node.net.messages import Busy, FetchView, Foreign, Hello, Promise, Promised, ViewIs
from node.storage.store import Store
from node.values.donors import Kind
from node.values.record import make_version
from node.views.holder import Verdict, Views, environment_view
from ring.hashing import PARTITIONS, partition_of
from tests.node.fakes import HandTime, ScriptedPeers, open_store, successor

A, B, C, D = "a:1", "b:1", "c:1", "d:1"


class Bench:
    """A `Views` of node A whose environment names A and B, and what it stands on."""

    def __init__(self, store: Store, config: Config) -> None:
        self.store = store
        self.config = config
        self.time = HandTime()
        self.peers = ScriptedPeers()
        self.views = Views(config, store, self.time, self.peers)

    async def put(self, key: bytes) -> None:
        version = make_version(1, 1)
        await self.store.write(self.views.view_id, partition_of(key), key, version, b"1")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with open_store(tmp_path) as store:
        bench = Bench(store, Config.for_test(A, (A, B), tmp_path))
        await bench.views.start()
        yield bench


def environment(*nodes: Address, repl_factor: int | None = None) -> View:
    return environment_view(Config.for_test(nodes[0], nodes, Path("/nowhere"), repl_factor))


def test_environment_view_order_of_nodes_does_not_matter() -> None:
    assert environment(A, B, C).id == environment(C, A, B).id


def test_environment_view_factor_unset_and_one_differ() -> None:
    assert environment(A, B).id != environment(A, B, repl_factor=1).id


async def test_adopt_later_view_of_own_lineage(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    assert await bench.views.adopt(later, B) is None
    assert bench.views.current is later
    assert bench.store.view() == later


async def test_adopt_tells_listeners_once_it_is_visible(bench: Bench) -> None:
    seen: list[ViewId] = []
    bench.views.listeners.append(lambda: seen.append(bench.views.view_id))
    later = successor(bench.views.current, A)
    await bench.views.adopt(later, B)
    await bench.views.adopt(later, B)
    assert seen == [later.id]


async def test_adopt_fences_off_writes_of_the_view_before(bench: Bench) -> None:
    old = bench.views.view_id
    queued = bench.views.adopt(successor(bench.views.current, A), B)
    await queued
    with pytest.raises(Fenced):
        await bench.store.write(old, 7, b"k", make_version(1, 1), b"1")


async def test_adopt_is_whole_though_who_asked_goes_away(bench: Bench) -> None:
    """Half of it, a fence without a view, would refuse every write from then on."""
    later = successor(bench.views.current, A, B, C)
    asking = asyncio.create_task(bench.views.adopt(later, B))
    await asyncio.sleep(0)
    asking.cancel()
    async with asyncio.timeout(10):
        while bench.views.current != later:
            await asyncio.sleep(0)
    assert bench.store.view() == later


async def test_take_that_cannot_be_stored_ends_serving_until_it_can(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    with patch.object(bench.store, "submit", side_effect=StorageFault("full")):
        await bench.views.take(later.encoded, B)
    assert bench.views.is_behind
    await bench.views.take(later.encoded, B)
    assert not bench.views.is_behind


async def test_adopt_same_epoch_higher_digest_wins_in_either_order(bench: Bench) -> None:
    one, other = (successor(bench.views.current, A, B, C, coordinator=c) for c in (A, B))
    lower, higher = sorted((one, other), key=lambda view: view.id)
    await bench.views.adopt(lower, B)
    await bench.views.adopt(higher, B)
    assert bench.views.current == higher
    await bench.views.adopt(lower, B)
    assert bench.views.current == higher


async def test_adopt_older_epoch_is_a_no_op(bench: Bench) -> None:
    first = successor(bench.views.current, A, B, C)
    second = successor(first, A, B)
    await bench.views.adopt(second, B)
    assert await bench.views.adopt(first, B) is None
    assert bench.views.current == second


async def test_adopt_other_lineage_is_foreign(bench: Bench) -> None:
    await bench.views.adopt(successor(bench.views.current, A, B, C), B)
    mine = bench.views.current
    other = successor(successor(environment(C, D), A, C), A, C, D)
    assert isinstance(await bench.views.adopt(other, C), Foreign)
    assert bench.views.current is mine


async def test_adopt_empty_node_at_epoch_0_joins_whoever_takes_it_in(bench: Bench) -> None:
    other = successor(environment(C, D), A, C, D)
    assert await bench.views.adopt(other, C) is None
    assert bench.views.current == other


async def test_adopt_node_with_keys_at_epoch_0_refuses_a_cluster_it_never_heard_of(bench: Bench) -> None:
    await bench.put(b"k")
    assert isinstance(await bench.views.adopt(successor(environment(C, D), A, C, D), C), Foreign)


async def test_adopt_node_with_keys_at_epoch_0_follows_a_peer_its_environment_names(bench: Bench) -> None:
    await bench.put(b"k")
    other = successor(environment(C, D), C, D)
    assert await bench.views.adopt(other, B) is None
    assert bench.views.current == other


async def test_take_garbage_is_refused(bench: Bench) -> None:
    assert isinstance(await bench.views.take(b"\x01garbage", B), Foreign)


# Views from the environment


@pytest.mark.parametrize(
    ("theirs", "source", "verdict"),
    [
        pytest.param((A, B), B, Verdict.KEEP, id="the same"),
        pytest.param((B, C), B, Verdict.TAKE, id="a named peer's view that omits this node"),
        pytest.param((C, D), C, Verdict.KEEP, id="that of a peer not named"),
        pytest.param((A, B, C), C, Verdict.KEEP, id="that of a peer not named, though it names this node"),
    ],
)
async def test_judge_environment_views(
    bench: Bench, theirs: tuple[Address, ...], source: Address, verdict: Verdict
) -> None:
    assert bench.views.judge(environment(*theirs), source) is verdict


@pytest.mark.parametrize("others", [(C,), (D,), (C, D), ("e:1",), ("f:1",)])
async def test_judge_environment_views_that_name_both_higher_digest_wins(
    bench: Bench, others: tuple[Address, ...]
) -> None:
    theirs = environment(A, B, *others)
    higher = theirs.id > bench.views.view_id
    assert bench.views.judge(theirs, B) is (Verdict.TAKE if higher else Verdict.KEEP)


async def test_judge_environment_view_never_replaces_a_later_one(bench: Bench) -> None:
    await bench.views.adopt(successor(bench.views.current, A, B, C), B)
    assert bench.views.judge(environment(B), B) is Verdict.KEEP


async def test_followed_environment_view_is_followed_on(bench: Bench) -> None:
    await bench.views.adopt(environment(B), B)
    back = environment(A, B, C)
    assert bench.views.judge(back, B) is Verdict.TAKE


async def test_restart_continues_with_the_stored_view(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    await bench.views.adopt(later, B)
    again = Bench(bench.store, Config.for_test(A, (A, D), Path("/nowhere")))
    assert again.views.current == later


# Calls under another view


async def test_reconcile_same_view_goes_on(bench: Bench) -> None:
    assert await bench.views.reconcile(B, bench.views.view_id) is None


async def test_reconcile_sender_behind_is_refused_with_the_view(bench: Bench) -> None:
    old = bench.views.view_id
    later = successor(bench.views.current, A, B, C)
    await bench.views.adopt(later, B)
    assert await bench.views.reconcile(B, old) == ViewIs(later.encoded)


async def test_reconcile_sender_ahead_is_asked_for_its_view_first(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    bench.peers.script[B] = lambda _: ViewIs(later.encoded)
    assert await bench.views.reconcile(B, later.id) is None
    assert bench.views.current == later
    assert bench.peers.asked == [(B, FetchView())]


async def test_reconcile_sender_ahead_that_falls_silent_is_refused(bench: Bench) -> None:
    mine = bench.views.current
    assert await bench.views.reconcile(B, ViewId(9, 9)) == ViewIs(mine.encoded)


async def test_reconcile_environments_that_differ_never_act(bench: Bench) -> None:
    mine = bench.views.current
    assert await bench.views.reconcile(B, environment(A, B, C).id) == ViewIs(mine.encoded)


async def test_hello_teaches_both_sides(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    assert await bench.views.hello(B, Hello(later.encoded)) == ViewIs(later.encoded)


# Promises


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
    assert bench.views.promisee().epoch == 0


async def test_promise_is_void_after_a_time(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 1, C))
    bench.time.now += bench.config.promise_s + 0.1
    assert await bench.views.promise(wish(bench, 1, D)) == Promised()


async def test_promise_release_of_another_one_is_a_no_op(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 2, C))
    await bench.views.release(1, C)
    await bench.views.release(2, D)
    assert bench.views.promisee().coordinator == C
    await bench.views.release(2, C)
    assert bench.views.promisee().epoch == 0


async def test_promise_survives_a_restart(bench: Bench) -> None:
    await bench.views.promise(wish(bench, 2, C))
    assert Bench(bench.store, bench.config).views.promisee() == (2, C, "t")


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


async def test_donors_come_with_the_view_and_survive_a_restart(bench: Bench) -> None:
    later = successor(successor(bench.views.current, B), A, B)
    await bench.views.adopt(later, B)
    mine = bench.views.ring.partitions_of(A)
    assert all(bench.views.donors.of(partition) == {B: Kind.ALONE} for partition in mine)
    assert len(mine) == PARTITIONS // 2
    again = Bench(bench.store, bench.config)
    assert again.views.donors.shares == bench.views.donors.shares
