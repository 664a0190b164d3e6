"""What an engine commits at once: jobs, and what became of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import lmdb
import msgspec

from node.storage.transaction import Transaction


class Job(msgspec.Struct, frozen=True):
    run: Callable[[Transaction], Any]
    future: asyncio.Future[Any]
    grows: bool


class Commit(NamedTuple):
    """A batch on its way to the disk: its jobs have run."""

    transaction: Transaction | None
    """None: there is no batch, only room to be set aside."""
    jobs: list[Job]
    outcomes: list[tuple[Any, Exception | None]]
    """What each job has returned, or raised."""


def run(job: Job, transaction: Transaction) -> tuple[Any, Exception | None]:
    """What it returns, or raises. Raises lmdb.Error: then the transaction is spoilt, and all that is in it."""
    try:
        return job.run(transaction), None
    except lmdb.Error:
        raise
    except Exception as error:
        return None, error
