"""What a node makes of the directory of another one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gossip.view import Address
from node.config import Config
from node.storage.keys import Setting
from node.values.donors import DonorsChange, Share
from node.views.holder import Views
from node.views.rules import ring_of
from node.views.takeover import take_over
from tests.node.fakes.clocks import HandTime
from tests.node.parts import on_virtual_time, store_on
from tests.node.views.bench import A, B, C, D, environment
from tests.sim.disk import Disk


@on_virtual_time
async def test_take_over_makes_donors_of_all_and_writes_down_whose_it_is() -> None:
    store, view = store_on(Disk(random.Random(1))), environment(A, B, C)
    await store.submit(lambda transaction: transaction.enter(view))
    await store.change_donors(view.id, DonorsChange(put={D: Share(1)}))
    ring = ring_of(view)
    donors = await take_over(store, view, ring, A, B)
    assert donors.shares == store.donors() == {other: Share(ring.bits_of(A)) for other in (B, C)}
    assert store.setting(Setting.ADDRESS) == A.encode()


@on_virtual_time
async def test_take_over_outside_the_view_waits_for_nobody() -> None:
    store, view = store_on(Disk(random.Random(1))), environment(A, B)
    await store.submit(lambda transaction: transaction.enter(view))
    assert not (await take_over(store, view, ring_of(view), C, A)).shares
    assert store.setting(Setting.ADDRESS) == C.encode()


@pytest.mark.parametrize("former", [None, B])
def test_views_take_over_what_was_another_nodes(former: Address | None, caplog: pytest.LogCaptureFixture) -> None:
    @on_virtual_time
    async def tell() -> None:
        disk, config = Disk(random.Random(1)), Config.for_test(A, (A, B), Path("/nowhere"))
        await Views(config, store_on(disk), HandTime(), lambda: None).start()
        views = Views(config, store_on(disk), HandTime(), lambda: None, former)
        await views.start()
        assert set(views.donors.shares) == ({B} if former else set())

    tell()
    assert caplog.messages == [f"DATA_DIR was that of {former}: what is in it is compared before it is believed"] * (
        former is not None
    )
