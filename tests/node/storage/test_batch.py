"""A job that fails is its own affair; an LMDB that fails is that of the whole batch."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import lmdb
import pytest

from node.storage.batch import Job, run
from node.storage.transaction import Transaction

NONE = cast(Transaction, None)


def job(result: object) -> Job:
    def work(_: Transaction) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    return Job(work, asyncio.get_running_loop().create_future(), False)


async def test_batch_run_gives_what_a_job_returns_or_raises() -> None:
    refusal = ValueError("no")
    assert run(job(7), NONE) == (7, None)
    assert run(job(refusal), NONE) == (None, refusal)


async def test_batch_run_lets_faults_of_lmdb_through() -> None:
    with pytest.raises(lmdb.MapFullError):
        run(job(lmdb.MapFullError("full")), NONE)
