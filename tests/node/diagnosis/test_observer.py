"""What one node puts together of what all have done, among peers that answer from a script."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from node.diagnosis.observer import Observer
from node.diagnosis.recorder import KEPT
from node.net.messages import Answer, AskFigures, Figures, Interval, Request, Unable
from tests.node.lone_owner import A, B, C, Lone, lone_owner
from tests.node.parts import on_virtual_time

NOW_MS = 1_000_000


def interval(reads: int) -> Interval:
    return Interval(5000, reads, 0, 0, 0, 0, 0, 0)


def saying(*told: Figures) -> Callable[[Request], Answer]:
    """One after the other, and nothing more."""
    left = list(told)

    def answer(request: Request) -> Answer:
        return left.pop(0) if isinstance(request, AskFigures) and left else Unable()

    return answer


class Scene(NamedTuple):
    lone: Lone
    observer: Observer


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    async with lone_owner(B, C) as lone:
        yield Scene(lone, Observer(A, lone.node.calls, lone.node.vitals.figures, lambda: NOW_MS))


@on_virtual_time
async def test_observer_dates_intervals_by_its_own_clock_back_from_the_last() -> None:
    async with scene() as (lone, observer):
        lone.peers.script = {B: saying(Figures(1, 2, 700, (interval(1), interval(2))))}
        await observer.look({A, B})
        points = [(point.ended_ms, point.interval.reads) for point in observer.histories[B].points]
        assert points == [(NOW_MS - 5700, 1), (NOW_MS - 700, 2)]


@on_virtual_time
async def test_observer_asks_each_node_only_for_what_it_has_not_told() -> None:
    async with scene() as (lone, observer):
        lone.peers.script = {B: saying(Figures(3, 2, 0, (interval(1), interval(2))), Figures(3, 3, 0, (interval(3),)))}
        await observer.look({B})
        await observer.look({B})
        assert [request for _, request in lone.peers.asked if isinstance(request, AskFigures)] == [
            AskFigures(),
            AskFigures(3, 2),
        ]
        assert [point.interval.reads for point in observer.histories[B].points] == [1, 2, 3]


@on_virtual_time
async def test_observer_keeps_what_a_node_told_that_is_silent_now_and_says_that_it_is() -> None:
    async with scene() as (lone, observer):
        lone.peers.script = {B: saying(Figures(1, 1, 0, (interval(1),)))}
        await observer.look({B})
        await observer.look({B})
        history = observer.histories[B]
        assert history.latest is None and len(history.points) == 1
        await observer.look({C})
        assert observer.histories.keys() == {C}, "who is not asked for is forgotten"


@on_virtual_time
async def test_observer_tells_what_has_come_in_since_a_look() -> None:
    async with scene() as (lone, observer):
        lone.peers.script = {B: saying(Figures(1, 2, 0, (interval(1), interval(2))), Figures(1, 3, 0, (interval(3),)))}
        await observer.look({B, C})
        before = observer.serial
        assert [point.interval.reads for point in observer.since(0)[B]] == [1, 2]
        await observer.look({B, C})
        assert {
            node: [point.interval.reads for point in points] for node, points in observer.since(before).items()
        } == {B: [3]}
        assert observer.since(observer.serial) == {}


@on_virtual_time
async def test_observer_remembers_so_many_intervals_of_a_node_over_its_lives() -> None:
    async with scene() as (lone, observer):
        lives = [Figures(life, KEPT, 0, tuple(map(interval, range(KEPT)))) for life in (1, 2)]
        lone.peers.script = {B: saying(*lives)}
        await observer.look({B})
        await observer.look({B})
        points = observer.histories[B].points
        assert len(points) == KEPT and {point.serial for point in points} == {2}
