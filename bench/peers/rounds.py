"""A round: every lane once, in alternation, on processes that are started anew with nothing on the disk.

Ratios are taken within a round, so that a machine that is slow for a minute is slow for both sides; every other round
goes the other way round, so that nobody always comes after the one that leaves the disk busy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from bench.lanes import KEYS, any_keys, keys_of
from bench.peers import contenders, loads, second_opinion
from bench.peers.contenders import Contender
from bench.peers.dialects import Method
from bench.peers.disk import fdatasync
from bench.peers.generator import Job
from bench.peers.loads import Sample
from bench.scale import VALUE_RUN

VALUE = "v" * VALUE_RUN
"""100 bytes in a node, with its quotes."""
USUAL = 32
"""Connections where only one number of them is measured."""
OPEN_CONNECTIONS = 128
"""Of open loops: enough that none of those that can keep up waits for one."""
METHODS: tuple[Method, ...] = ("GET", "PUT")


class Scale(NamedTuple):
    rounds: int
    warm_up_s: float
    closed_s: float
    open_s: float
    disk_s: float
    connections: Sequence[int]
    rates: Sequence[int]
    """Of open loops, a second."""


FULL = Scale(5, 0.3, 1.5, 2.5, 3.0, (1, USUAL, 128, 512), (1_000, 4_000, 16_000))
QUICK = Scale(1, 0.1, 1.0, 1.0, 1.0, (1, USUAL, 128, 512), (1_000, 4_000, 16_000))


HALF, A_SECOND = "half of its largest rate", " a second"


class Lane(NamedTuple):
    """Who is asked for what, and how."""

    name: str
    what: str
    how: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.what}, {self.how}"

    @property
    def is_open(self) -> bool:
        return self.how == HALF or self.how.endswith(A_SECOND)


Round: TypeAlias = dict[Lane, Sample]
Asked: TypeAlias = tuple[Contender, Method]
DISK = Lane("disk", "fdatasync", "one after the other")


def closed(connections: int) -> str:
    return f"{connections} connections" if connections > 1 else "1 connection"


def at_rate(per_second: int) -> str:
    return f"{per_second:,}{A_SECOND}"


def measure(scale: Scale, directory: Path, tell: Callable[[str], None]) -> Iterator[Round]:
    """Raises RuntimeError if a contender does not start, or fails to answer."""
    for number in range(scale.rounds):
        tell(f"round {number + 1} of {scale.rounds}")
        current = _Round(scale, tell, is_backward=number % 2 == 1)
        for stage in (current.alone, current.sharing, current.copies):
            with tempfile.TemporaryDirectory(dir=directory, prefix="bench-") as home:
                stage(Path(home))
        yield current.done


class _Round:
    def __init__(self, scale: Scale, tell: Callable[[str], None], *, is_backward: bool) -> None:
        self.done: Round = {}
        self._scale, self._tell, self._is_backward = scale, tell, is_backward

    def alone(self, directory: Path) -> None:
        keys = any_keys(KEYS)
        with contenders.alone(directory, keys, VALUE) as found:
            asked = [
                (each, method) for method in METHODS for each in found if (each.name, method) != ("answerer", "PUT")
            ]
            stores = [(each, method) for each, method in asked if each.name != "answerer"]
            for connections in self._scale.connections:
                self._closed(asked, keys, connections)
            for contender, method in self._in_turn(asked):
                self._second_opinion(contender, method, keys, directory)
            for per_second in self._scale.rates:
                for contender, method in self._in_turn(stores):
                    if per_second <= self._largest(contender, method):
                        self._open(contender, method, keys, at_rate(per_second), per_second)
            self._note(DISK, lambda: fdatasync(directory, self._scale.disk_s))
            for contender, method in self._in_turn(stores):
                if method == "PUT":
                    self._open(contender, method, keys, HALF, self._largest(contender, method) / 2)

    def sharing(self, directory: Path) -> None:
        with contenders.sharing(directory, keys_of, VALUE) as (found, keys):
            self._closed([(each, method) for method in METHODS for each in found], keys, USUAL)

    def copies(self, directory: Path) -> None:
        keys = any_keys(KEYS)
        with contenders.copies(directory, keys, VALUE) as found:
            self._closed([(each, method) for method in METHODS for each in found], keys, USUAL)

    def _in_turn(self, asked: Sequence[Asked]) -> Sequence[Asked]:
        return asked[::-1] if self._is_backward else asked

    def _closed(self, asked: Sequence[Asked], keys: list[str], connections: int) -> None:
        for contender, method in self._in_turn(asked):
            job = self._job(contender, method, keys, connections, self._scale.closed_s, None)
            self._note(Lane(contender.name, method, closed(connections)), self._sampling(contender, job))

    def _open(self, contender: Contender, method: Method, keys: list[str], how: str, per_second: float) -> None:
        job = self._job(contender, method, keys, OPEN_CONNECTIONS, self._scale.open_s, per_second)
        self._note(Lane(contender.name, method, how), self._sampling(contender, job))

    def _second_opinion(self, contender: Contender, method: Method, keys: list[str], directory: Path) -> None:
        lane = Lane(contender.name, method, f"{closed(USUAL)}, {second_opinion.tool_of(contender)}")
        expected = self.done[Lane(contender.name, method, closed(USUAL))].per_second
        self._note(
            lane,
            lambda: second_opinion.sample(
                contender, method, keys, VALUE, USUAL, self._scale.closed_s, expected, directory
            ),
        )

    def _job(
        self,
        contender: Contender,
        method: Method,
        keys: list[str],
        connections: int,
        duration_s: float,
        per_second: float | None,
    ) -> Job:
        warm_up_s, address = self._scale.warm_up_s, contender.process.address
        return Job(address, contender.dialect, method, keys, VALUE, connections, warm_up_s, duration_s, per_second)

    def _sampling(self, contender: Contender, job: Job) -> Callable[[], Sample]:
        return lambda: loads.sample(contender.process, job)

    def _largest(self, contender: Contender, method: Method) -> float:
        """That a closed loop has come to in this round."""
        lanes = (Lane(contender.name, method, closed(connections)) for connections in self._scale.connections)
        return max(self.done[lane].per_second for lane in lanes)

    def _note(self, lane: Lane, measure: Callable[[], Sample]) -> None:
        try:
            self.done[lane] = measure()
        except RuntimeError as error:
            raise RuntimeError(f"{lane.text}: {error}") from error
        self._tell(f"  {lane.text}: {self.done[lane].per_second:,.0f} requests/s")
