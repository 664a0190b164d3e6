"""Runs of the simulator in processes of their own: the order of sets is part of a run, killed nodes leave remains
behind, and rules that are switched off stay off.

Each is a fork of one process that has imported what it needs: for Python to start, and to import it, takes as long as
many a run.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import pytest

T = TypeVar("T")


class Run(NamedTuple):
    seen: Counter[str]
    fault: str | None


class Apart:
    def __init__(self, starter: ProcessPoolExecutor) -> None:
        self._starter = starter

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work` returns in a process of its own."""
        return self._starter.submit(_in_a_fork, work).result()


@contextmanager
def starting_apart() -> Iterator[Apart]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as starter:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("PYTHONHASHSEED", "0")
            starter.submit(int).result()
        yield Apart(starter)


def _in_a_fork(work: Callable[[], T]) -> T:
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        return pool.submit(work).result()
