"""`kvs bench`: how fast the store is, and how fast it answers, from where the command is run."""

# ruff: noqa: PLC0415

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import click

from kvs.ending import NoAnswer, output_option, run, show
from kvs.params import Addresses, DurationParam, ShareParam

if TYPE_CHECKING:
    from kvs.benchmark import Measurement
    from kvs.operating import Operator


@click.command()
@click.option("--seconds", type=DurationParam(), default="10", show_default=True, help="For how long: 10, 30s, 5m.")
@click.option("--clients", type=click.IntRange(1, 128), default=32, show_default=True, help="Requests at a time.")
@click.option("--value-size", type=click.IntRange(1, 1_048_576), default=100, show_default=True, help="Bytes of each.")
@click.option("--reads", type=ShareParam(), default="0.5", show_default=True, help="Their share of all.")
@click.option("--keys", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="How many to use.")
@output_option
@click.pass_obj
def bench(
    endpoints: Addresses, seconds: float, clients: int, value_size: int, reads: float, keys: int, output: str
) -> None:
    """Put a load on the store, and show how fast it was.

    It reads and writes keys of its own, which begin with kvs-bench-, and removes them at the end, also after Ctrl-C.
    Each client asks for the next key once it has the answer for the last one. All are one process on one core: a store
    that is faster than that shows so with several of them at once.

    \b
    Examples:
      kvs bench
      kvs bench --reads 0.95 --clients 8 --seconds 1m
    """
    from kvs.benchmark import Load, measure

    async def work(client: Operator) -> Measurement:
        await client.learn_ring()
        return await measure(client, wanted, random.Random(), time.perf_counter)

    wanted = Load(seconds, clients, value_size, reads, keys)
    measured = run(endpoints, work)
    show(measured, output)
    if not measured.has_done_something:
        raise NoAnswer("nothing was done: every operation failed")
