"""Which views a node takes or refuses, and that it does so whole."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from unittest.mock import patch

import pytest

from gossip.view import Address
from node.config import Config
from node.errors import Fenced, StorageFault
from node.net.messages import Foreign, ViewIs
from node.storage.keys import Setting, setting_place
from node.values.donors import DonorsChange, Kind, Share
from node.values.version import make_version
from ring.hashing import PARTITIONS
from tests.node.samples import successor
from tests.node.views.bench import A, B, Bench, C, D, environment


async def test_adopt_later_view_of_own_lineage(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    assert await bench.views.adopt(later, B) is None
    assert bench.views.current is later
    assert bench.store.view() == later


async def test_adopt_tells_once_it_is_visible(bench: Bench) -> None:
    later = successor(bench.views.current, A)
    await bench.views.adopt(later, B)
    await bench.views.adopt(later, B)
    assert bench.told == [later.id]


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
        await bench.views.take(ViewIs(later.encoded), B)
    assert bench.views.lag.is_behind
    await bench.views.take(ViewIs(later.encoded), B)
    assert not bench.views.lag.is_behind


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
    assert isinstance(await bench.views.take(ViewIs(b"\x01garbage"), B), Foreign)


async def test_restart_continues_with_the_stored_view(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    await bench.views.adopt(later, B)
    again = Bench(bench.store, Config.for_test(A, (A, D), Path("/nowhere")))
    assert again.views.current == later


async def test_take_says_once_what_is_wrong_and_once_that_it_is_over(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Clusters that gossip by accident would fill the disk otherwise."""
    caplog.set_level(logging.INFO, "node.views")
    await bench.views.adopt(successor(bench.views.current, A, B, C), B)
    caplog.clear()
    alien = successor(successor(environment(C, D), A, C), A, C, D)
    for _ in range(20):
        assert isinstance(await bench.views.take(ViewIs(alien.encoded), C), Foreign)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    for _ in range(20):
        await bench.views.take(bench.views.told(), C)
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_donors_come_with_the_view_and_survive_a_restart(bench: Bench) -> None:
    later = successor(successor(bench.views.current, B), A, B)
    await bench.views.adopt(later, B)
    mine = bench.views.ring.partitions_of(A)
    assert all(bench.views.donors.of(partition) == {B: Kind.ALONE} for partition in mine)
    assert len(mine) == PARTITIONS // 2
    again = Bench(bench.store, bench.config)
    assert again.views.donors.shares == bench.views.donors.shares


async def test_donors_change_under_the_view_in_force_only(bench: Bench) -> None:
    before = bench.views.view_id
    bench.views.change_donors(before, DonorsChange(put={C: Share(alone=1 << 5)}))
    assert bench.views.donors.of(5) == {C: Kind.ALONE}
    await bench.views.adopt(successor(successor(bench.views.current, B), A, B), B)
    with_the_view = bench.views.donors.shares
    bench.views.change_donors(before, DonorsChange(put={D: Share(alone=1 << 5)}))
    assert bench.views.donors.shares == with_the_view


# The store of an environment's view


async def test_founders_are_told_once_there_are_keys(bench: Bench) -> None:
    bench.views.note_same_view(B)
    assert bench.views.told().founders == ()
    await bench.put(b"k")
    assert bench.views.told().founders == (A, B)


async def test_founders_that_another_one_has_heard_of_are_founders(bench: Bench) -> None:
    """A copy without a key belongs to the store all the same."""
    await bench.views.take(ViewIs(bench.views.current.encoded, (B,)), B)
    assert bench.views.founders == (A, B)
    alien = environment(B, C)
    assert isinstance(await bench.views.take(ViewIs(alien.encoded, (B,)), B), Foreign)


async def test_founders_are_nodes_of_the_view_whatever_is_told(bench: Bench) -> None:
    await bench.views.take(ViewIs(bench.views.current.encoded, (B, C, "nonsense")), B)
    assert bench.views.founders == (A, B)


async def test_founding_survives_a_restart(bench: Bench) -> None:
    """Else whoever has the address of B by then would be taken for the store that A was told of."""
    bench.views.note_same_view(B, [B])
    assert bench.views.has_new_founding
    await bench.views.keep_founding()
    assert not bench.views.has_new_founding
    again = Bench(bench.store, bench.config)
    assert again.views.founders == (A, B)


async def test_founding_that_was_never_kept_is_that_of_all(bench: Bench) -> None:
    await bench.put(b"k")
    await bench.store.submit(lambda transaction: transaction._raw.delete(setting_place(Setting.FOUNDING)))
    assert Bench(bench.store, bench.config).views.founders == (A, B)


async def test_founding_comes_with_the_view_of_the_store_that_is_joined(bench: Bench) -> None:
    theirs = environment(B, C)
    assert await bench.views.take(ViewIs(theirs.encoded, (B, C)), B) is None
    assert bench.views.current == theirs and bench.views.founders == (B, C)
    assert Bench(bench.store, bench.config).views.founders == (B, C)


@pytest.mark.parametrize(("heard", "donors"), [([], {C}), ([B], {B, C})])
async def test_adopt_after_an_environment_waits_for_those_who_are_known_to_have_held_it(
    bench: Bench, heard: list[Address], donors: set[Address]
) -> None:
    """It may name whom nobody ever started, by mistake, who would be waited for for ever."""
    for peer in heard:
        bench.views.note_same_view(peer)
    theirs = successor(successor(environment(C), C), A, C)
    assert await bench.views.adopt(theirs, C) is None
    assert bench.views.donors.shares.keys() == donors


async def test_adopt_of_an_unknown_line_waits_for_all_who_were_in_the_view_before(bench: Bench) -> None:
    await bench.views.adopt(successor(bench.views.current, A, B, D), B)
    await bench.views.adopt(successor(successor(bench.views.current, C), A, C), C)
    assert bench.views.donors.shares.keys() == {B, C, D}


async def test_take_of_an_environment_of_one_that_has_nothing_waits_for_it_to_follow(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.put(b"k")
    bench.views.note_same_view(B)
    assert await bench.views.take(ViewIs(environment(A, B, C).encoded), B) is None
    assert B in bench.views.kinship.foreign
    assert "differs from the view of this store" in caplog.text
    await bench.views.take(bench.views.told(), B)
    assert not bench.views.kinship.foreign


async def test_start_says_how_to_get_from_the_disk_to_the_environment(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    again = Bench(bench.store, Config.for_test(A, (A, B, D), Path("/nowhere")))
    await again.views.start()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "kvs view-change --to a:1,b:1,d:1" in caplog.text
    assert again.views.current == bench.views.current
