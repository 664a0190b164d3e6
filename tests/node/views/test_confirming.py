"""Whom a node asks whether they hold its view, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gossip.view import Address, Electors
from node.net.messages import Answer, Confirm, Confirmed, Request, Unable
from node.net.transport import Answering
from node.views.standing import Standing
from tests.node.parts import A, B, C, D, Parts, node_a, on_virtual_time
from tests.node.samples import successor

E = "e:1"
HOLDS, STRAYED, KNOWS = Confirmed(True, False), Confirmed(False, False), Confirmed(False, True)


def saying(answer: Answer) -> Callable[[Request], Answering]:
    return lambda request: answer if isinstance(request, Confirm) else Unable()


async def under_view(*nodes: Address, electors: tuple[Address, ...] = (A, B, C)) -> Parts:
    """A, in a view of these nodes with these electors; none: without any."""
    parts = await node_a(*electors or nodes)
    groups = (Electors(parts.views.view_id, electors),) if electors else ()
    await parts.views.adopt(replace(successor(parts.views.current, *nodes), electors=groups), A)
    return parts


def told(parts: Parts) -> list[Address]:
    """Who was told that the view is established."""
    return sorted(node for node, request in parts.asked(Confirm) if request.is_established)


# Whether the view is established


@on_virtual_time
async def test_establish_a_view_without_electors_asks_nobody() -> None:
    parts = await under_view(A, B, electors=())
    assert not await parts.confirming.establish()
    assert parts.peers.asked == []


@on_virtual_time
async def test_establish_by_a_quorum_is_kept_and_not_asked_for_again() -> None:
    parts = await under_view(A, B)
    parts.peers.script[C] = saying(HOLDS)
    assert not await parts.confirming.establish()
    asked = len(parts.asked(Confirm))
    assert asked == 2 and Standing(parts.store).is_established(parts.views.current)
    assert not await parts.confirming.establish()
    assert len(parts.asked(Confirm)) == asked


ESTABLISHED: list[tuple[str, tuple[Address, ...], dict[Address, Answer], list[Address]]] = [
    ("nobody else holds it", (A, B, C), {}, [B, C]),
    ("one does", (A, B, C), {B: HOLDS}, []),
    ("one that has held a rival", (A, B, C), {B: STRAYED}, [B, C]),
    ("one that has held a rival, but knows that it is", (A, B, C), {B: KNOWS}, []),
    ("one that cannot tell", (A, B, C), {B: Unable()}, [B, C]),
    ("half of them, with the lowest", (A, B), {}, []),
    ("half of others, with the lowest", (B, C), {B: HOLDS}, []),
    ("half of others, without the lowest", (B, C), {C: HOLDS}, [B]),
    ("one of the view, but no elector", (B, C, D), {E: HOLDS}, [B, C, D]),
]


@pytest.mark.parametrize(
    ("electors", "answers", "missing"), [case[1:] for case in ESTABLISHED], ids=[case[0] for case in ESTABLISHED]
)
@on_virtual_time
async def test_establish(electors: tuple[Address, ...], answers: dict[Address, Answer], missing: list[Address]) -> None:
    parts = await under_view(A, B, E, electors=electors)
    parts.peers.script = {node: saying(answer) for node, answer in answers.items()}
    assert list(await parts.confirming.establish()) == missing
    assert parts.views.standing.is_established(parts.views.current) is not bool(missing)


@on_virtual_time
async def test_establish_each_group_of_electors_needs_a_quorum() -> None:
    parts = await under_view(A, B)
    view = parts.views.current
    groups = (*view.electors, Electors(view.id, (C, D, E)))
    await parts.views.adopt(replace(successor(view, A, B), electors=groups), A)
    parts.peers.script = {B: saying(HOLDS), C: saying(HOLDS)}
    assert list(await parts.confirming.establish()) == [D, E]
    parts.peers.script[E] = saying(HOLDS)
    assert not await parts.confirming.establish()


@on_virtual_time
async def test_establish_is_not_supported_by_a_node_that_has_held_a_rival_itself() -> None:
    parts = await under_view(A, B)
    rival = replace(parts.views.current, coordinator="d:1", epoch=5)
    await parts.views.adopt(rival, A)
    assert parts.views.current == rival
    parts.peers.script[B] = saying(HOLDS)
    assert list(await parts.confirming.establish()) == [A, C]
    parts.peers.script[C] = saying(HOLDS)
    assert not await parts.confirming.establish()


@on_virtual_time
async def test_establish_is_never_so_by_electors_that_have_no_quorum() -> None:
    """As many views were made as are kept, and nobody could tell of any whether it was established."""
    parts = await node_a(A, B, C)
    groups = (Electors(parts.views.view_id, ()),)
    await parts.views.adopt(replace(successor(parts.views.current, A, B), electors=groups), A)
    parts.peers.script = {B: saying(HOLDS), C: saying(HOLDS)}
    assert list(await parts.confirming.establish()) == [A]
    assert list(await parts.confirming.missing([A, B])) == [A]


@on_virtual_time
async def test_establish_is_asked_once_by_all_who_want_to_know_and_anew_under_another_view() -> None:
    parts = await under_view(A, B)
    parts.peers.script = {B: saying(STRAYED), C: saying(STRAYED)}
    for _ in range(2):
        missing = await asyncio.gather(*(parts.confirming.establish() for _ in range(5)))
        assert missing == [[B, C]] * 5
    assert len(parts.asked(Confirm)) == 4
    parts.peers.script[B] = lambda _: asyncio.sleep(1.0, STRAYED)
    first = asyncio.create_task(parts.confirming.establish())
    await asyncio.sleep(0.5)
    groups = (Electors(parts.views.view_id, (A, B)),)
    await parts.views.adopt(replace(successor(parts.views.current, A, B, D), electors=groups), A)
    parts.peers.script[B] = saying(STRAYED)
    assert list(await parts.confirming.establish()) == []
    await first


async def establish_among(parts: Parts, *nodes: Address) -> None:
    parts.confirming.begin_to_establish_among(nodes)
    await parts.confirming.await_established()


@on_virtual_time
async def test_establish_among_ends_with_its_node() -> None:
    parts = await under_view(A, B)
    parts.peers.script[B] = parts.peers.script[C] = lambda _: asyncio.sleep(1000.0, HOLDS)
    parts.confirming.begin_to_establish_among([A, B])
    await asyncio.sleep(0)
    await parts.confirming.close()
    assert told(parts) == [] and not parts.views.standing.is_established(parts.views.current)


@on_virtual_time
async def test_establish_among_tells_these_once_it_is() -> None:
    parts = await under_view(A, B)
    parts.peers.script = {B: saying(STRAYED), D: saying(STRAYED)}
    await establish_among(parts, A, B, D)
    assert told(parts) == []
    parts.peers.script[B] = saying(HOLDS)
    await establish_among(parts, A, B, D)
    assert told(parts) == [B, D]


@on_virtual_time
async def test_establish_among_says_nothing_of_a_view_without_electors() -> None:
    parts = await under_view(A, B, electors=())
    await establish_among(parts, A, B)
    assert parts.peers.asked == []


# Answering


@on_virtual_time
async def test_answer_tells_what_this_node_knows_and_keeps_what_it_is_told() -> None:
    parts = await under_view(A, B)
    assert await parts.confirming.answer(Confirm()) == HOLDS
    assert await parts.confirming.answer(Confirm(True)) == Confirmed(True, True)
    assert await parts.confirming.answer(Confirm()) == Confirmed(True, True)
    assert Standing(parts.store).is_established(parts.views.current)


@on_virtual_time
async def test_answer_of_a_node_that_has_held_a_rival_does_not_support_the_view() -> None:
    parts = await under_view(A, B)
    await parts.views.adopt(replace(parts.views.current, coordinator="d:1", epoch=5), A)
    assert await parts.confirming.answer(Confirm()) == STRAYED


# Whether it still is the one by which conditions may be decided


async def of_five(*answering: Address) -> Parts:
    parts = await under_view(A, B, C, D, E, electors=())
    parts.peers.script = {node: saying(HOLDS) for node in answering}
    return parts


def asked(parts: Parts) -> list[Address]:
    return sorted(node for node, _ in parts.asked(Confirm))


@on_virtual_time
async def test_missing_nobody_is_asked_if_those_that_have_answered_already_are_a_quorum() -> None:
    parts = await of_five()
    assert not await parts.confirming.missing({B, C})
    assert asked(parts) == []


@on_virtual_time
async def test_missing_as_many_are_asked_as_a_quorum_takes() -> None:
    parts = await of_five(B, C, D, E)
    assert not await parts.confirming.missing({B})
    assert asked(parts) == [B, C]


@on_virtual_time
async def test_missing_those_known_to_be_down_are_asked_last() -> None:
    parts = await of_five(C, E)
    assert not await parts.confirming.missing(())
    assert asked(parts) == [C, E]


@on_virtual_time
async def test_missing_who_does_not_answer_is_made_up_for_by_another_one() -> None:
    parts = await of_five(B, C, D, E)
    parts.peers.script[B] = saying(Unable())
    assert not await parts.confirming.missing(())
    assert asked(parts) == [B, C, D]


@on_virtual_time
async def test_missing_names_all_that_were_not_heard_where_there_is_no_quorum() -> None:
    parts = await of_five(C)
    assert list(await parts.confirming.missing({C})) == [B, D, E]


@pytest.mark.parametrize(("nodes", "missing"), [((A, B), []), (("0:1", A), ["0:1"])], ids=["lowest", "not the lowest"])
@on_virtual_time
async def test_missing_half_of_the_nodes_are_enough_with_the_lowest(
    nodes: tuple[Address, ...], missing: list[Address]
) -> None:
    parts = await under_view(*nodes, electors=())
    assert list(await parts.confirming.missing(())) == missing


@on_virtual_time
async def test_missing_for_a_view_that_is_not_established_are_those_who_could_make_it_so() -> None:
    """Though a quorum of its own nodes holds it."""
    parts = await under_view(A, electors=(A, B, C))
    assert list(await parts.confirming.missing(())) == [B, C]
    parts.peers.script[C] = saying(HOLDS)
    assert not await parts.confirming.missing(())


@on_virtual_time
async def test_missing_a_node_outside_its_view_is_none_of_a_quorum() -> None:
    parts = await under_view(B, C, electors=())
    assert list(await parts.confirming.missing(())) == [B, C]


class Late:
    """Holds the view, and says so once it is let."""

    def __init__(self) -> None:
        self.is_free = asyncio.Event()
        self.questions = 0

    async def __call__(self, request: Request) -> Answer:
        self.questions += 1
        await self.is_free.wait()
        return HOLDS


async def asking_late() -> tuple[Parts, Late]:
    parts = await under_view("0:1", A, electors=())
    late = Late()
    parts.peers.script["0:1"] = late
    return parts, late


@on_virtual_time
async def test_rounds_are_shared_by_all_who_wait_for_the_next_one() -> None:
    parts, late = await asking_late()
    waiting = [asyncio.create_task(parts.confirming.missing(())) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert late.questions == 1
    late.is_free.set()
    assert not any(await asyncio.gather(*waiting))
    assert late.questions == 1


@on_virtual_time
async def test_rounds_who_comes_once_one_has_begun_waits_for_the_next() -> None:
    """What it says of the time before is not enough."""
    parts, late = await asking_late()
    first = asyncio.create_task(parts.confirming.missing(()))
    await asyncio.sleep(0.01)
    later = []
    for _ in range(3):
        later.append(asyncio.create_task(parts.confirming.missing(())))
        await asyncio.sleep(0.01)
    assert late.questions == 1 and not first.done()
    late.is_free.set()
    assert not await first
    late.is_free.clear()
    await asyncio.sleep(0.01)
    assert late.questions == 2 and not any(task.done() for task in later)
    late.is_free.set()
    assert not any(await asyncio.gather(*later))
    assert late.questions == 2


@on_virtual_time
async def test_rounds_go_on_when_one_who_waits_goes_away() -> None:
    parts, late = await asking_late()
    waiting = [asyncio.create_task(parts.confirming.missing(())) for _ in range(2)]
    await asyncio.sleep(0.01)
    waiting[0].cancel()
    late.is_free.set()
    assert not await waiting[1] and late.questions == 1
