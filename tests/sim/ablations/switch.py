"""How a rule is switched off: one piece of the function that keeps it is replaced, for a while, in the running program.

What is written here is the text that is there and the text that would be there without the rule. If the program is
changed, so that the text is not there any more, the ablation says so instead of switching nothing off.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any, NamedTuple


class Edit(NamedTuple):
    """Of `function`, or of a property: `old`, which stands there once, becomes `new`."""

    function: Any
    old: str
    new: str


class Ablation(NamedTuple):
    """`name`: what is missing then. `what`: what is switched off. `story`: the test that is run before any
    seed, beginning with its file in this folder's parent."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    story: str | None = None


@contextmanager
def switched_off(ablation: Ablation) -> Iterator[None]:
    """Raises LookupError if the rule does not read as expected."""
    functions = {_function(edit.function): None for edit in ablation.edits}
    edited = {
        function: _edited(function, [edit for edit in ablation.edits if _function(edit.function) is function])
        for function in functions
    }
    before = {function: function.__code__ for function in functions}
    try:
        for function, code in edited.items():
            function.__code__ = code
        yield
    finally:
        for function, code in before.items():
            function.__code__ = code


def _function(function: Any) -> FunctionType:
    if isinstance(function, property):
        function = function.fget
    assert isinstance(function, FunctionType)
    return function


def _edited(function: FunctionType, edits: Iterable[Edit]) -> CodeType:
    lines, first = inspect.getsourcelines(function)
    source = textwrap.dedent("".join(lines))
    for edit in edits:
        if source.count(edit.old) != 1:
            raise LookupError(f"{function.__qualname__} does not contain once: {edit.old}")
        source = source.replace(edit.old, edit.new)
    made: dict[str, Any] = {"property": lambda getter: getter}
    padded = "\n" * (first - 1) + source
    code = compile(padded, inspect.getfile(function), "exec", annotations.compiler_flag, True)
    exec(code, function.__globals__, made)
    return _function(made[function.__name__]).__code__
