"""What is measured of the command where there are many keys: loading them, beside single PUTs, and backing them up."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import msgspec

from bench.clients import sample
from bench.figures import Figure
from bench.lanes import KEYS, any_keys
from bench.scale import VALUE, Scale
from bench.servers import KEY_COUNT, ROOT, free_addresses, node_env, server

NODES = 3
COMMAND_S = 600.0


class Told(msgspec.Struct, rename="kebab"):
    """What the command says of itself."""

    seconds: float
    stored: int = 0
    entries: int = 0


def load(scale: Scale, directory: Path) -> Iterator[Figure]:
    """`kvs load` into three nodes, as a multiple of single PUTs by the same client over 32 connections, which is how
    keys are brought there without batches; then `kvs backup`."""
    addresses, file = free_addresses(NODES), directory / "keys.jsonl"
    view, count = ",".join(addresses), scale.many_keys
    with file.open("w") as lines:
        lines.writelines(f'{{"key":{json.dumps(key)},"value":{VALUE}}}\n' for key in any_keys(count))
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(server("node", address, node_env(view, directory / address), KEY_COUNT))
            for address in addresses
        ]
        singly = partial(sample, "kvs", "PUT", addresses, any_keys(KEYS), scale)
        rates = [singly().per_second for _ in range(scale.rounds)]
        before_s = sum(node.cpu_s() for node in nodes)
        loaded = _command(view, "load", str(file))
        cpu_us = 1e6 * (sum(node.cpu_s() for node in nodes) - before_s) / count
        rates += [singly().per_second for _ in range(scale.rounds)]
        if loaded.stored != count:
            raise RuntimeError(f"{loaded.stored} of {count} keys were loaded")
        yield multiple(loaded, rates, cpu_us)

        backed_up = _command(view, "backup", str(directory / "backup.jsonl"))
        if backed_up.entries < count:
            raise RuntimeError(f"{backed_up.entries} of {count} keys are in the backup")
        rate = backed_up.entries / backed_up.seconds
        yield Figure("kvs backup", rate, "keys/s", 200_000, False, _counted(backed_up.entries))


def multiple(loaded: Told, singly: list[float], cpu_us: float) -> Figure:
    """Of the rate of single PUTs, the median of the rounds before and after."""
    rate, alone = loaded.stored / loaded.seconds, statistics.median(singly)
    detail = (
        f"{rate:,.0f} keys/s beside {alone:,.0f}, {cpu_us:.0f} us of the nodes' CPU each, {_counted(loaded.stored)}"
    )
    return Figure("kvs load", rate / alone, "times single durable PUTs", 10, False, detail)


def _counted(keys: int) -> str:
    return f"{keys:,} keys of 20 + 100 bytes, three nodes"


def _command(endpoints: str, *arguments: str) -> Told:
    output = subprocess.run(
        [sys.executable, "-m", "kvs.cli", "-e", endpoints, *arguments, "-o", "json"],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        check=True,
        timeout=COMMAND_S,
    ).stdout
    return msgspec.json.decode(output, type=Told)
