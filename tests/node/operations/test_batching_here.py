"""The short way of many writes: when it is taken, and how what goes otherwise than expected on it goes on."""

from __future__ import annotations

from typing import Any

import pytest

from node.errors import CommitFailed, Fenced, StorageFault
from node.net.messages import Fetch, Fetched, NothingDeleted, Wrote
from node.operations.batching import Asked
from node.operations.router import Outcome
from node.values.record import Record
from node.values.version import Version, make_version
from ring.hashing import partition_of
from tests.node.operations.asking import IS_NEW
from tests.node.operations.batches import VALUE, answers, delete, put, read
from tests.node.parts import A, B, Parts, node_a, on_virtual_time
from tests.node.samples import successor


def no_messages(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor any other way than the short one."""
    for owner, way in ((parts.owner, "carry_out_together"), (parts.owner, "carry_out"), (parts.calls, "ask")):
        monkeypatch.setattr(owner, way, None)


@on_virtual_time
async def test_batch_of_writes_of_own_keys_goes_to_the_store_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A, B)
    one, two, three = parts.own_keys(3)
    await parts.keep((two, Record(make_version(1, 1), b"0", False)), (three, Record(make_version(1, 1), b"0", False)))
    no_messages(parts, monkeypatch)
    began = parts.time.monotonic()
    came = await parts.batching.carry_out([put(one), put(two), delete(three)])
    outcomes = [each for each in came if isinstance(each, Outcome)]
    assert [each.answer for each in outcomes] == [Wrote(False), Wrote(True), Wrote(True)]
    held = [parts.held(key) for key in (one, two, three)]
    assert [(record.version, record.value) for record in held if record is not None] == [
        (outcomes[0].version, VALUE),
        (outcomes[1].version, VALUE),
        (outcomes[2].version, None),
    ]
    assert parts.owner.served_at >= began


@pytest.mark.parametrize("what", ["a read", "a key twice", "a condition", "another's key", "nothing"])
@on_virtual_time
async def test_batch_of_anything_else_takes_the_ordinary_way(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = await node_a(A, B)
    one, two = parts.own_keys(2)
    parts.peers.script[B] = lambda _: Wrote(False)
    others = {
        "a read": [read(two)],
        "a key twice": [put(one)],
        "a condition": [Asked(two, value=VALUE, condition=IS_NEW)],
        "another's key": [put(parts.foreign_key())],
        "nothing": [],
    }[what]
    monkeypatch.setattr(parts.owner, "write_here", None)
    asked = [put(one), *others] if what != "nothing" else []
    came = await parts.batching.carry_out(asked)
    assert len(came) == len(asked) and all(isinstance(each, Outcome) for each in came)


@on_virtual_time
async def test_batch_of_keys_with_co_owners_or_in_a_pause_takes_the_ordinary_way() -> None:
    parts = await node_a(A, B, repl_factor=2)
    assert not parts.owner.writes_here([0])
    parts = await node_a(A)
    assert parts.owner.writes_here([0])
    parts.readiness.pause()
    assert not parts.owner.writes_here([0])
    assert await parts.owner.write_here(parts.views.view_id, [(0, b"k", make_version(9, 1), VALUE)]) is None


@on_virtual_time
async def test_batch_of_keys_that_are_on_their_way_takes_the_ordinary_way() -> None:
    parts = await node_a(A, B)
    key, other = parts.own_keys(2)
    parts.wait_for(B, key)
    assert not parts.owner.writes_here([partition_of(other)])
    parts.peers.script[B] = lambda _: Fetched(None)
    assert await answers(parts, put(other), put(key)) == [Wrote(False)] * 2
    assert [fetched.key for _, fetched in parts.asked(Fetch)] == [key]


@on_virtual_time
async def test_batch_under_another_view_is_begun_anew() -> None:
    parts = await node_a(A)
    await parts.clock.stamp()
    later = successor(parts.views.current, A)
    parts.store.submit(lambda transaction: transaction.enter(later))
    (job,) = [(0, b"k", make_version(9, 1), VALUE)]
    assert await parts.owner.write_here(parts.views.view_id, [job]) != [Wrote(False)]
    await parts.views.adopt(later, A)
    assert await answers(parts, put(b"k"), put(b"l")) == [Wrote(False)] * 2


@on_virtual_time
async def test_batch_below_something_newer_is_stamped_above_it() -> None:
    parts = await node_a(A)
    newer = make_version((parts.time.wall_ms() + 5000) << 16, 9)
    await parts.keep((b"newer", Record(newer, b"0", False)))
    assert await answers(parts, put(b"newer"), put(b"k"), delete(b"none")) == [
        Wrote(True),
        Wrote(False),
        NothingDeleted(),
    ]
    held = parts.held(b"newer")
    assert held is not None and held.version > newer


@pytest.mark.parametrize(
    ("fault", "keeps_version"),
    [(CommitFailed("the disk fails"), True), (StorageFault("the disk is full"), False), (Fenced(), False)],
    ids=["may be stored", "has no room", "another view"],
)
@on_virtual_time
async def test_batch_that_may_be_stored_goes_on_under_its_version(
    fault: Exception, keeps_version: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = await node_a(A)
    stamps, versions = parts.clock.stamps, list[Version]()

    async def noted(count: int) -> list[Version]:
        versions.extend(await stamps(count))
        return list(versions)

    def fail_once(*_: Any) -> Any:
        monkeypatch.undo()
        raise fault

    monkeypatch.setattr(parts.clock, "stamps", noted)
    monkeypatch.setattr(parts.store, "write_together", fail_once)
    (came,) = await parts.batching.carry_out([put(b"k")])
    assert isinstance(came, Outcome) and came.answer == Wrote(False)
    assert (came.version == versions[0]) == keeps_version
