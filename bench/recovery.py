"""How a co-owner that was away gets what it has missed, and how many bytes that takes.

The bytes are counted where they pass: each node is known by the address of a relay that hands everything on to it, so
what is counted is all that the two nodes send each other from the start of the one that was away until both hold the
same: what was missed, and beside it heartbeats, gossip and HTTP's own words. Clients go by the node's other address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figure
from bench.lanes import any_keys, write_once
from bench.relay import relays
from bench.scale import MB, VALUE, Scale
from bench.servers import Server, fill, free_addresses, server, status_of, wait_until
from gossip.view import host_of, port_of
from node.values.record import Record
from node.values.version import make_version

PATIENCE_S = 120.0


def catching_up(scale: Scale, directory: Path) -> Iterator[Figure]:
    """One of two copies is stopped, misses writes, and comes back: fewer than an outbox remembers, then more."""
    keys = any_keys(scale.many_keys)
    addresses = free_addresses(2)
    for name in ("stays", "leaves"):
        (directory / name).mkdir()
        fill(directory / name, keys, VALUE)
    with ExitStack() as stack:
        between = stack.enter_context(relays({address: _behind(address) for address in addresses}))
        envs = [
            {
                "VIEW": ",".join(addresses),
                "REPL_FACTOR": "2",
                "DATA_DIR": str(directory / name),
                "BIND": host_of(_behind(address)),
            }
            for name, address in zip(("stays", "leaves"), addresses, strict=True)
        ]
        stays = stack.enter_context(server("node", addresses[0], envs[0]))
        for name, count, seconds_max, share_max in (
            ("catching up", scale.missed_writes, 3.0, 3.0),
            ("catching up by comparison", scale.forgotten_writes, None, None),
        ):
            with server("node", addresses[1], envs[1]) as leaves:
                _wait_until_alike(stays, leaves)
            missed = keys[:: len(keys) // count][:count]
            write_once(_behind(stays.address), missed, PATIENCE_S)
            with server("node", addresses[1], envs[1]) as leaves:
                passed_before = between.passed_bytes
                _wait_until_alike(stays, leaves)
                seconds = leaves.age_s
                passed = between.passed_bytes - passed_before
            record = Record(make_version(1, 1), VALUE.encode(), True)
            bytes_missed = sum(len(key) + len(record.encode()) for key in missed)
            detail = f"{count:,} writes missed of {len(keys):,} keys, from the start of its process"
            yield Figure(name, seconds, "s", seconds_max, True, detail)
            yield Figure(
                f"{name}: bytes",
                passed / bytes_missed,
                "of those missed",
                share_max,
                True,
                f"{passed / MB:.1f} MB passed between the nodes, both ways; {bytes_missed / MB:.1f} MB of records",
            )


def _behind(address: str) -> str:
    """Where the node of this address listens, behind its relay."""
    return f"127.0.0.2:{port_of(address)}"


def _wait_until_alike(*nodes: Server) -> None:
    """Wait until they hold the same, and nothing is left to do."""

    def are_alike() -> bool:
        statuses = [status_of(_behind(node.address)) for node in nodes]
        return len({status["data-digest"] for status in statuses}) == 1 and all(
            status["state"] == "settled" for status in statuses
        )

    wait_until(are_alike, PATIENCE_S)
