"""Is a history of one key linearizable: could each operation have happened at one moment between its call and its
answer, so that all in a row make sense?

Wing and Gong's search (JPDC 17, 1993), with the memory of Lowe (Testing for linearizability, 2017) of what was tried
before. An operation that was never answered may have happened at any time after its call, or never.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum, auto
from math import inf
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
    """None of `operations`, all of one key that holds `held` at first, if the history is linearizable. Else, of the
    longest row that makes sense, what it could not go on with: the answered operations that were next."""
    history = sorted((op for op in operations if op.is_answered or op.kind is not Kind.GET), key=lambda op: op.called)
    return _Search(history, held).run()


class _Node:
    """The call or the answer of an operation, in a list of those that have yet to be explained."""

    __slots__ = ("answer", "following", "index", "operation", "preceding")

    def __init__(self, operation: Operation | None, index: int) -> None:
        self.operation = operation
        self.index = index
        self.answer: _Node | None = None
        """Of a call: its answer; None: it has none, or this is no call."""
        self.preceding: _Node = self
        self.following: _Node = self

    def take_out(self) -> None:
        self.preceding.following, self.following.preceding = self.following, self.preceding

    def put_back(self) -> None:
        self.preceding.following = self.following.preceding = self


class _Step(NamedTuple):
    """One operation in the row of what was explained so far."""

    node: _Node
    held: Value
    """What the key held before it."""
    before: Value
    """What it held before the operation that was assumed right before this one."""
    is_forced: bool
    """Whether there is nothing else to try in its place."""


_NOT_ASSUMED: Value = b"\0 nothing was assumed"


class _Search:
    """An operation without an answer is assumed to have happened only right before one that makes no sense otherwise:
    any other row makes sense without it as well, and there would be far too many."""

    def __init__(self, history: Sequence[Operation], held: Value) -> None:
        self._history = history
        self._held = held
        self._head = _Node(None, -1)
        self._left = sum(op.is_answered for op in history)
        """The answered ones that have yet to be explained."""
        nodes: list[tuple[float, int, _Node]] = []
        for index, operation in enumerate(history):
            call, answer = _Node(operation, index), _Node(None, index)
            nodes.append((operation.called, 0, call))
            if operation.is_answered:
                call.answer = answer
                nodes.append((operation.answered, 1, answer))
        last = self._head
        for _, _, node in sorted(nodes, key=lambda entry: entry[:2]):  # Of the same time, a call comes first.
            last.following, node.preceding = node, last
            last = node
        last.following, self._head.preceding = self._head, last

    def run(self) -> Sequence[Operation]:
        done, before, tried = 0, _NOT_ASSUMED, set[tuple[int, Value, Value]]()
        row: list[_Step] = []
        stuck: tuple[int, Sequence[Operation]] = -1, ()
        node = self._head.following
        while self._left:
            operation = node.operation
            if operation is None:  # An answer, or the end of all: something before it must be explained otherwise.
                if len(row) > stuck[0]:
                    stuck = len(row), self._next_ones()
                while row and row[-1].is_forced:
                    done &= ~(1 << row[-1].node.index)
                    self._forget(row.pop().node)
                if not row:
                    return stuck[1]
                last = row.pop()
                done &= ~(1 << last.node.index)
                self._held, before = last.held, last.before
                self._forget(last.node)
                node = last.node.following
                continue
            is_needed = before == _NOT_ASSUMED or not operation.fits(before)
            assumed = _NOT_ASSUMED if operation.is_answered else self._held
            state = done | 1 << node.index, operation.after(self._held), assumed
            if not (is_needed and operation.fits(self._held)) or state in tried:
                node = node.following
                continue
            tried.add(state)
            row.append(_Step(node, self._held, before, is_forced=False))
            done, self._held, before = state
            self._explain(node)
            for get in self._fitting_gets():
                row.append(_Step(get, self._held, before, is_forced=True))
                done, before = done | 1 << get.index, _NOT_ASSUMED
                self._explain(get)
            node = self._head.following
        return ()

    def _fitting_gets(self) -> Sequence[_Node]:
        """Those that make sense now: they change nothing, so that there is no better moment for them."""
        found: list[_Node] = []
        node = self._head.following
        while (operation := node.operation) is not None:
            if operation.kind is Kind.GET and operation.fits(self._held):
                found.append(node)
            node = node.following
        return found

    def _explain(self, call: _Node) -> None:
        call.take_out()
        if call.answer is not None:
            call.answer.take_out()
            self._left -= 1

    def _forget(self, call: _Node) -> None:
        if call.answer is not None:
            call.answer.put_back()
            self._left += 1
        call.put_back()

    def _next_ones(self) -> Sequence[Operation]:
        """The answered ones that were called before the first answer which is left."""
        found: list[Operation] = []
        node = self._head.following
        while node.operation is not None:
            if node.answer is not None:
                found.append(node.operation)
            node = node.following
        return found
