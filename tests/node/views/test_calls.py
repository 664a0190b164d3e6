"""Calls under a view: what a refusal by view teaches, on either side."""

from __future__ import annotations

import asyncio

import pytest

from gossip.view import ViewId
from node.errors import LargeLate, PeerFault, PeerLost, PeerRefused, TooManyCalls
from node.net.messages import (
    OPENING,
    Answer,
    Export,
    Exported,
    Fetch,
    Fetched,
    FetchedRange,
    FetchPartitions,
    FetchRange,
    FetchView,
    Foreign,
    Hello,
    Listed,
    ListKeys,
    Range,
    Read,
    ReadResult,
    Request,
    Stretch,
    Tail,
    Tailed,
    Unable,
    ViewIs,
)
from node.values.version import make_version
from ring.hashing import partition_of
from ring.sets import BYTES, bits_of
from tests.node.samples import successor
from tests.node.views.bench import A, B, Bench, C, D, environment

V1, ALL_KEYS = make_version(1, 1), Range(b"", b"", 0, 1)

# The side that asks


async def test_ask_refused_with_a_later_view_takes_it(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    bench.peers.script[B] = lambda _: ViewIs(later.encoded)
    assert await bench.calls.ask(B, Read(b"k"), 1.0) == ViewIs(later.encoded)
    assert bench.views.current == later


async def test_ask_refused_with_an_older_view_keeps_its_own(bench: Bench) -> None:
    first = successor(bench.views.current, A, B, C)
    second = successor(first, A, B)
    await bench.views.adopt(second, B)
    bench.peers.script[B] = lambda _: ViewIs(first.encoded)
    assert await bench.calls.ask(B, Read(b"k"), 1.0) == ViewIs(first.encoded)
    assert bench.views.current == second


async def test_ask_refused_with_the_view_of_another_cluster_is_foreign(bench: Bench) -> None:
    await bench.views.adopt(successor(bench.views.current, A, B, C), B)
    alien = successor(successor(environment(C, D), A, C), A, C, D)
    bench.peers.script[C] = lambda _: ViewIs(alien.encoded)
    assert await bench.calls.ask(C, Read(b"k"), 1.0) == Foreign()


async def test_ask_raises_what_the_link_raises(bench: Bench) -> None:
    with pytest.raises(PeerRefused):
        await bench.calls.ask(B, Read(b"k"), 1.0)


@pytest.mark.parametrize("fault", [PeerLost("the link broke"), PeerRefused("no link")])
async def test_try_ask_has_no_answer_whatever_the_link_raises(bench: Bench, fault: PeerFault) -> None:
    async def answer(_: Request) -> Answer:
        raise fault

    bench.peers.script[B] = answer
    assert await bench.calls.try_ask(B, Read(b"k"), 1.0) is None
    assert len(bench.peers.asked) == 1


async def test_try_ask_answered_has_the_answer(bench: Bench) -> None:
    bench.peers.script[B] = lambda _: ReadResult(b"1")
    assert await bench.calls.try_ask(B, Read(b"k"), 1.0) == ReadResult(b"1")


HEAD = V1 + b"\x04"
"""Of a record with a context, which is cut off."""


@pytest.mark.parametrize(
    ("request_", "answer", "is_sound"),
    [
        (Fetch(b"k"), Fetched(None), True),
        (Fetch(b"k"), Fetched(V1 + b"\0" + b"1"), True),
        *((Fetch(b"k"), Fetched(record), False) for record in (b"", V1, V1 + b"\x10", HEAD)),
        (Tail(OPENING, 0, 0, False, False), Tailed(1, ((1, b"k", V1),), 1, True, ()), False),
        (FetchRange(ALL_KEYS, True), FetchedRange(((b"k", HEAD),), None, 0, False), False),
        (FetchRange(ALL_KEYS, False), FetchedRange(((b"k", HEAD),), None, 0, False), True),
        *(
            (FetchRange(ALL_KEYS, False), FetchedRange(((b"k", record),), None, 0, False), False)
            for record in (V1, V1 + b"\x10", V1 + b"\x08")
        ),
    ],
)
async def test_ask_answered_with_what_is_no_record_is_not_answered(
    bench: Bench, request_: Request, answer: Answer, is_sound: bool
) -> None:
    bench.peers.script[B] = lambda _: answer
    assert await bench.calls.ask(B, request_, 1.0) == (answer if is_sound else Unable())


def _of(*keys: bytes) -> Stretch:
    """The partitions of these keys, from the first of them on."""
    return Stretch(bits_of([partition_of(key) for key in keys]).to_bytes(BYTES), b"", keys[0])


LOW, HIGH = sorted((b"k", b"l"), key=partition_of)


@pytest.mark.parametrize(
    ("request_", "end", "is_sound"),
    [
        *((FetchRange(Range(b"", b"k", 9, 9), True), end, end != b"k") for end in (b"k", b"l", None)),
        *((ListKeys(Range(b"", b"k", 9, 9), True), end, end != b"k") for end in (b"k", b"l", None)),
        *((FetchPartitions(_of(LOW, HIGH), 9), end, end != LOW) for end in (LOW, HIGH, None)),
        *((Export(_of(LOW, HIGH), 9), end, end != LOW) for end in (LOW, HIGH, None)),
        (Export(_of(HIGH, LOW), 9), LOW, False),
        (Export(_of(LOW), 9), HIGH, False),
        (Export(_of(LOW)._replace(after=b""), 9), LOW, True),
    ],
)
async def test_ask_answered_by_what_leads_nowhere_is_not_answered(
    bench: Bench, request_: Request, end: bytes | None, is_sound: bool
) -> None:
    """Whoever goes on from there would do so for ever."""
    answers: dict[type[Request], Answer] = {ListKeys: Listed((), end), Export: Exported(b"", end)}
    answer = answers.get(type(request_), FetchedRange((), end, 0, False))
    bench.peers.script[B] = lambda _: answer
    assert await bench.calls.ask(B, request_, 1.0) == (answer if is_sound else Unable())


@pytest.mark.parametrize("clears", [True, False])
async def test_ask_patiently_does_not_take_too_many_calls_for_silence(bench: Bench, clears: bool) -> None:
    """Whoever is silent is passed over, with what only it has."""
    asked = 0

    async def answer(_: Request) -> Answer:
        nonlocal asked
        asked += 1
        bench.peers.slowed_s += 0.1
        if clears and asked > 2:
            return ReadResult(b"1")
        raise TooManyCalls("too many calls")

    bench.peers.script[B] = answer
    if clears:
        assert await bench.calls.ask_patiently(B, Read(b"k")) == ReadResult(b"1")
    else:
        with pytest.raises(TooManyCalls):
            await bench.calls.ask_patiently(B, Read(b"k"))
        assert await bench.calls.greet(B) is None


async def test_ask_patiently_does_not_take_for_silence_what_is_too_large_to_come_through(bench: Bench) -> None:
    """It has just said that it has something."""

    async def answer(_: Request) -> Answer:
        raise LargeLate("lost for its size")

    bench.peers.script[B] = answer
    with pytest.raises(LargeLate):
        await bench.calls.ask_patiently(B, Read(b"k"))
    assert await bench.calls.greet(B) is None


async def test_ask_patiently_puts_its_question_again_when_a_link_breaks(bench: Bench) -> None:
    breaks = iter([True, False])

    async def answer(_: Request) -> Answer:
        if next(breaks):
            raise PeerLost("the link broke")
        return ReadResult(b"1")

    bench.peers.script[B] = answer
    assert await bench.calls.ask_patiently(B, Read(b"k")) == ReadResult(b"1")
    assert len(bench.peers.asked) == 2


async def test_ask_patiently_refused_asks_once(bench: Bench) -> None:
    assert await bench.calls.ask_patiently(B, Read(b"k")) is None
    assert len(bench.peers.asked) == 1


async def test_learn_by_many_at_once_asks_once(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    bench.peers.script[B] = lambda _: ViewIs(later.encoded)
    await asyncio.gather(*(bench.calls.learn(B) for _ in range(5)))
    assert bench.peers.asked == [(B, FetchView())]
    assert bench.views.current == later


# The side that is asked


async def test_reconcile_same_view_goes_on(bench: Bench) -> None:
    assert await bench.calls.reconcile(B, bench.views.view_id) is None


async def test_reconcile_sender_behind_is_refused_with_the_view(bench: Bench) -> None:
    old = bench.views.view_id
    later = successor(bench.views.current, A, B, C)
    await bench.views.adopt(later, B)
    assert await bench.calls.reconcile(B, old) == ViewIs(later.encoded)


async def test_reconcile_sender_ahead_is_asked_for_its_view_first(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    bench.peers.script[B] = lambda _: ViewIs(later.encoded)
    assert await bench.calls.reconcile(B, later.id) is None
    assert bench.views.current == later
    assert bench.peers.asked == [(B, FetchView())]


async def test_reconcile_sender_ahead_that_falls_silent_is_refused(bench: Bench) -> None:
    mine = bench.views.current
    assert await bench.calls.reconcile(B, ViewId(9, 9)) == ViewIs(mine.encoded)


async def test_reconcile_environments_that_differ_never_act(bench: Bench) -> None:
    mine = bench.views.current
    assert await bench.calls.reconcile(B, environment(A, B, C).id) == ViewIs(mine.encoded)


async def test_hello_teaches_both_sides(bench: Bench) -> None:
    later = successor(bench.views.current, A, B, C)
    assert await bench.calls.hello(B, Hello(later.encoded)) == ViewIs(later.encoded)


# At the address of a node of another store


ALIEN = successor(environment(C, D), C, D)


async def meet_alien(bench: Bench) -> None:
    """At the address of B, where a node of this store used to be."""
    bench.views.note_same_view(B)
    await bench.put(b"k")
    bench.peers.script[B] = lambda _: ViewIs(ALIEN.encoded)
    assert await bench.calls.ask(B, Read(b"k"), 1.0) == Foreign()


async def test_ask_of_an_alien_fails_at_once_as_of_a_node_that_is_down(bench: Bench) -> None:
    """Taken for an answer, it would be waited for by every write."""
    await meet_alien(bench)
    assert bench.calls.is_down(B) and bench.calls.is_foreign(B) and not bench.peers.is_down(B)
    asked = len(bench.peers.asked)
    with pytest.raises(PeerRefused):
        await bench.calls.ask(B, Read(b"k"), 1.0)
    assert len(bench.peers.asked) == asked


async def test_ask_of_an_alien_has_it_greeted_once_in_a_silence(bench: Bench) -> None:
    await meet_alien(bench)
    bench.peers.asked.clear()
    for _ in range(10):
        with pytest.raises(PeerRefused):
            await bench.calls.ask(B, Read(b"k"), 1.0)
        await asyncio.sleep(0)
    assert [type(request) for _, request in bench.peers.asked] == [Hello]
    bench.time.now += bench.config.silence_s
    with pytest.raises(PeerRefused):
        await bench.calls.ask(B, Read(b"k"), 1.0)
    await asyncio.sleep(0.01)
    assert [type(request) for _, request in bench.peers.asked] == [Hello, Hello]


async def test_ask_of_an_alien_about_views_goes_on(bench: Bench) -> None:
    """A coordinator has to find out that it is one."""
    await meet_alien(bench)
    assert await bench.calls.ask(B, FetchView(), 1.0) == Foreign()


async def test_alien_that_has_gone_is_found_out_by_who_is_there_now(bench: Bench) -> None:
    await meet_alien(bench)
    bench.peers.script[B] = lambda _: bench.views.told()
    with pytest.raises(PeerRefused):
        await bench.calls.ask(B, Read(b"k"), 1.0)
    async with asyncio.timeout(10):
        while bench.calls.is_foreign(B):
            await asyncio.sleep(0)
    assert not bench.calls.is_down(B)


async def test_who_is_told_that_it_is_foreign_takes_the_peer_for_an_alien(bench: Bench) -> None:
    """It may be of a lower epoch, so that its view would never be heard."""
    bench.peers.script[B] = lambda _: Foreign()
    assert await bench.calls.ask(B, Read(b"k"), 1.0) == Foreign()
    assert bench.calls.is_down(B)


async def test_stranger_by_name_is_foreign(bench: Bench) -> None:
    bench.peers.strangers.add(C)
    assert bench.calls.is_foreign(C) and not bench.calls.is_foreign(B)
