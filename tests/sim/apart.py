"""Runs of the simulator in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple, TypeVar

import pytest

T = TypeVar("T")


class Run(NamedTuple):
    seen: Counter[str]
    fault: str | None


def apart(work: Callable[[], T], monkeypatch: pytest.MonkeyPatch) -> T:
    """What `work` returns in a process of its own: the order of sets is part of a run, and killed nodes leave remains
    behind."""
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()
