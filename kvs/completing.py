"""Addresses of nodes, completed as they are typed: those that a node of the store knows.

Whoever types waits meanwhile. So a store that does not answer at once completes nothing, and that is no fault.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from kvs.ending import run

if TYPE_CHECKING:
    from kvs.operating import Operator
    from kvs.params import Addresses

PATIENCE_S = 1.0


def completions(endpoints: Addresses, incomplete: str) -> list[CompletionItem]:
    """Of an address, or of the last one in a list with commas: those not in the list yet that are known to the first of
    `endpoints`, asked in their order, that answers."""
    before, comma, begun = incomplete.rpartition(",")
    named = before.split(",")
    known = [address for address in _known(endpoints) if address.startswith(begun) and address not in named]
    return [CompletionItem(f"{before}{comma}{address}") for address in known]


def _known(endpoints: Addresses) -> list[str]:
    import asyncio

    async def ask(client: Operator) -> list[str]:
        async with asyncio.timeout(PATIENCE_S):
            return [node.address for node in (await client.status()).nodes]

    try:
        return run(endpoints, ask)
    except (click.ClickException, TimeoutError):
        return []
