"""What a node remembers of the views that it has held, over a restart too."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from gossip.view import Electors
from node.config import Config
from node.errors import StorageFault
from node.storage.keys import Setting
from node.views.standing import Standing
from tests.node.samples import successor
from tests.node.storage.opening import open_store
from tests.node.views.bench import A, B, Bench, C, D, environment

START = environment(A, B)
ELECTORS = (Electors(START.id, (A, B)),)
FIRST = replace(successor(START, A, B, C), electors=ELECTORS)
RIVAL = replace(successor(START, A, B, D, epoch=2), electors=ELECTORS)
NEXT = replace(successor(FIRST, A, B, epoch=3), electors=(Electors(FIRST.id, (A, B, C)),))


async def test_standing_after_a_rival_is_remembered_over_a_restart(tmp_path: Path) -> None:
    config = Config.for_test(A, (A, B), tmp_path)
    with closing(open_store(tmp_path)) as store:
        bench = Bench(store, config)
        await bench.views.start()
        await bench.views.adopt(FIRST, B)
        assert bench.views.standing.supports(FIRST)
        await bench.views.adopt(RIVAL, B)
        assert not bench.views.standing.supports(RIVAL)
    with closing(open_store(tmp_path)) as store:
        bench = Bench(store, config)
        assert bench.views.current == RIVAL
        assert not bench.views.standing.supports(RIVAL)
        assert bench.views.standing.supports(replace(NEXT, electors=(Electors(RIVAL.id, (A,)),)))


async def test_standing_after_what_the_view_is_built_on_is_as_before(bench: Bench) -> None:
    for view in (FIRST, NEXT):
        await bench.views.adopt(view, B)
        assert bench.views.current == view
        assert bench.views.standing.supports(view)
    assert bench.store.setting(Setting.STRAYED) is None


async def test_standing_is_not_moved_by_a_view_that_the_disk_does_not_take(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.views.adopt(FIRST, B)

    async def refuse(_: object) -> None:
        raise StorageFault("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "submit", refuse)
        with pytest.raises(StorageFault):
            await bench.views.adopt(RIVAL, B)
    assert bench.views.current == FIRST and bench.views.standing.supports(FIRST)


async def test_standing_that_a_view_is_established_is_known_once_noted_and_over_a_restart(bench: Bench) -> None:
    standing = bench.views.standing
    assert not standing.is_established(FIRST)
    await standing.note_established(FIRST)
    for known in (standing, Standing(bench.store)):
        assert known.is_established(FIRST) and not known.is_established(RIVAL)
    await standing.note_established(NEXT)
    assert Standing(bench.store).is_established(NEXT)


async def test_standing_a_view_without_electors_is_established_without_saying(bench: Bench) -> None:
    standing = bench.views.standing
    assert standing.is_established(START) and standing.is_established(successor(START, A, B, C))
    await standing.note_established(START)
    assert bench.store.setting(Setting.ESTABLISHED) is None


async def test_standing_is_known_though_the_disk_does_not_take_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until a restart: then it has to be found out again."""

    async def refuse(*_: object) -> None:
        raise StorageFault("the disk hangs")

    monkeypatch.setattr(bench.store, "set", refuse)
    await bench.views.standing.note_established(FIRST)
    assert bench.views.standing.is_established(FIRST) and not Standing(bench.store).is_established(FIRST)
