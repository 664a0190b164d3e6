"""Is a history of one key linearizable: could each operation have happened at one moment between its call and its
answer, so that all in a row make sense?

Just-in-time linearization (Lowe, Testing for linearizability, 2017): the history is gone through once, and at each
answer all ways are kept in which what was answered until then can be explained. So a history takes time as its length,
be it linearizable or not. An operation that was never answered may have happened at any time after its call, or never.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from math import inf
from pathlib import Path
from typing import NamedTuple, TypeAlias

Value: TypeAlias = bytes | None
"""None: there is none."""


class Kind(Enum):
    GET = auto()
    PUT = auto()
    DELETE = auto()


class Operation(NamedTuple):
    """One of a client's, with times of one clock."""

    kind: Kind
    value: Value
    """What was got, or put."""
    called: float
    answered: float = inf
    """inf: it was not, or with an error that leaves open whether it happened."""
    found: bool | None = None
    """Whether a PUT or DELETE is said to have found a value; None: nobody said."""

    @property
    def is_answered(self) -> bool:
        return self.answered < inf

    def fits(self, held: Value) -> bool:
        """Whether it may be said of a key that holds this."""
        if self.kind is Kind.GET:
            return self.value == held
        return self.found is None or self.found == (held is not None)

    def after(self, held: Value) -> Value:
        """What the key holds once it has happened."""
        return held if self.kind is Kind.GET else self.value


def unexplained(operations: Iterable[Operation], held: Value = None) -> Sequence[Operation]:
    """None of `operations`, all of one key that holds `held` at first, if the history is linearizable. Else those under
    way at the first answer that makes no sense, in the order of their calls, but for what makes sense whatever else
    happened."""
    history = sorted((op for op in operations if op.is_answered or op.kind is not Kind.GET), key=lambda op: op.called)
    return _Search(history, held).run()


_UNREAD: Value = b"\0 got by nobody"


class _Way(NamedTuple):
    """One in which all that was answered so far can be explained."""

    held: Value
    """What the key holds at its end."""
    early: frozenset[int]
    """Those under way, by their indices, that have happened."""
    assumed: int
    """Those without an answer that have happened: a bit for each."""


class _Ways:
    """Of two that come to the same, the one that assumes less leaves all that the other does, and is kept alone."""

    def __init__(self) -> None:
        self._assumed: defaultdict[tuple[Value, frozenset[int]], list[int]] = defaultdict(list)

    def add(self, way: _Way) -> bool:
        """Whether there was none as good as this."""
        known = self._assumed[way.held, way.early]
        if any(other & way.assumed == other for other in known):
            return False
        known[:] = [other for other in known if other & way.assumed != way.assumed]
        known.append(way.assumed)
        return True

    def __iter__(self) -> Iterator[_Way]:
        for (held, early), known in self._assumed.items():
            for assumed in known:
                yield _Way(held, early, assumed)


class _Search:
    """A GET happens as soon as it can: it changes nothing. An operation without an answer happens only right before one
    that makes no sense otherwise: whatever else follows makes sense without it too. Of those that do the same, the one
    that was called first happens first: none ever becomes too late. Those whose value nobody has got all do the same;
    one that was got is there for that, and for nothing else unless there is another one of its value."""

    def __init__(self, history: Sequence[Operation], held: Value) -> None:
        self._history = history
        self._under_way: dict[int, Operation] = {}
        """Called, and to be answered; by index."""
        self._open: defaultdict[Value, list[int]] = defaultdict(list)
        """Called, and never to be answered; by what they leave, in the order of their calls."""
        self._ways = _Ways()
        self._ways.add(_Way(held, frozenset(), 0))
        puts = Counter(op.value for op in history if op.kind is Kind.PUT)
        self._got = {op.value for op in history if op.kind is Kind.GET} | {None}
        self._to_be_found = [
            _UNREAD,
            None,
            *(value for value, times in puts.items() if times > 1 and value in self._got),
        ]
        """What an operation that says whether it found a value may have found, if that was assumed."""

    def run(self) -> Sequence[Operation]:
        events = [(op.called, 0, index) for index, op in enumerate(self._history)]
        events += [(op.answered, 1, index) for index, op in enumerate(self._history) if op.is_answered]
        for _, is_answer, index in sorted(events):  # Of the same time, a call comes first.
            if not is_answer:
                self._call(index)
            elif not self._answer(index):
                certain = frozenset.intersection(*(way.early for way in self._ways))
                return [operation for index, operation in self._under_way.items() if index not in certain]
        return ()

    def _call(self, index: int) -> None:
        operation = self._history[index]
        if not operation.is_answered:
            value = operation.after(None)
            self._open[value if value in self._got else _UNREAD].append(index)
            return
        self._under_way[index] = operation
        if operation.kind is Kind.GET:
            before, self._ways = self._ways, _Ways()
            for way in before:
                self._ways.add(self._with_gets(way))

    def _answer(self, index: int) -> bool:
        """Go on with the ways in which it has happened. False: there is none."""
        pending, tried, found = list(self._ways), _Ways(), _Ways()
        while pending:
            way = pending.pop()
            if index in way.early:
                found.add(way._replace(early=way.early - {index}))
                continue
            pending += (further for further in self._further(way) if tried.add(further))
        if not any(True for _ in found):
            return False
        del self._under_way[index]
        self._ways = found
        return True

    def _further(self, way: _Way) -> Iterator[_Way]:
        """All that one more of those under way can make of it."""
        for index, operation in self._under_way.items():
            if index in way.early:
                continue
            for held, assumed in (
                [(way.held, way.assumed)] if operation.fits(way.held) else self._assume(way, operation)
            ):
                happened = _Way(operation.after(held), way.early | {index}, assumed)
                yield self._with_gets(happened)

    def _assume(self, way: _Way, operation: Operation) -> Iterator[tuple[Value, int]]:
        """What the key may have held when it happened, and what has then been assumed."""
        values = [operation.value] if operation.kind is Kind.GET else filter(operation.fits, self._to_be_found)
        for value in values:
            first = next((index for index in self._open.get(value, ()) if not way.assumed >> index & 1), None)
            if first is not None:
                yield value, way.assumed | 1 << first

    def _with_gets(self, way: _Way) -> _Way:
        gets = (index for index, op in self._under_way.items() if op.kind is Kind.GET and op.value == way.held)
        return way._replace(early=way.early.union(gets))


def dump(history: Iterable[Operation]) -> str:
    """As JSON, for `load`."""
    rows = [(op.kind.name, op.value and op.value.decode(), op.called, _finite(op.answered)) for op in history]
    return "[" + ",\n".join(map(json.dumps, rows)) + "]\n"


def load(text: str) -> list[Operation]:
    return [
        Operation(Kind[kind], value and value.encode(), called, inf if answered is None else answered)
        for kind, value, called, answered in json.loads(text)
    ]


def _finite(seconds: float) -> float | None:
    return seconds if seconds < inf else None


if __name__ == "__main__":
    for path in sys.argv[1:]:
        left = unexplained(load(Path(path).read_text()))
        print(f"{path} is linearizable" if not left else f"{path} is not linearizable: {left}")
