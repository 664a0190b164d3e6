"""`kvs doctor`: ask every node itself, compare what they say, and print what to do."""

# ruff: noqa: PLC0415

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import click

from kvs.ending import NoAnswer, output_option, print_json, run, status_of

if TYPE_CHECKING:
    from kvs.asked import Asked
    from kvs.operating import Operator
    from kvs.responses import NodeReport, Status

NODES_AT_ONCE = 16
"""How many nodes are asked at the same time."""


@click.command()
@output_option
@click.pass_context
def doctor(ctx: click.Context, output: str) -> None:
    """Ask every node, compare, and say what to do.

    Beyond `kvs status`: nodes that reach this command and not each other, environments, releases, zones, disks, clocks,
    round trips and names that differ or are about to be a problem, and keys that one more lost disk would take.

    \b
    Exit status:
      0  nothing is wrong; there may be notes
      1  something is less than was asked for, or may end badly
      3  no node gave a result
      4  something is critical: clients are refused
    """
    from kvs.asked import NOTE
    from kvs.findings import findings_of

    asked = run(ctx.obj, _ask_all)
    if not asked.reports:
        raise NoAnswer("no node says how it is: they are of an earlier release; see kvs status")
    found = findings_of(asked)
    if output == "json":
        print_json({"findings": found, "nodes": list(asked.reports.values()), "silent": asked.silent})
    else:
        from kvs.render import console
        from kvs.render_doctor import shown_findings

        console().print(shown_findings(asked, found))
    ctx.exit(status_of(finding for finding in found if finding.severity != NOTE))


async def _ask_all(client: Operator) -> Asked:
    """All nodes that an endpoint knows to be members, or to live, and the members of the newest view that any has."""
    from kvs.asked import Asked

    first, ring = await client.status(), await client.ring()
    nodes = [node.address for node in first.nodes if node.member or node.state == "alive"]
    members, silent = {node.address for node in first.nodes if node.member}, dict[str, str]()
    answered = await _ask_each(client, nodes, silent)
    newest = max(answered, key=lambda node: answered[node][1].epoch, default=None)
    if newest is not None and answered[newest][1].epoch > ring.epoch:
        async with client.of_one(newest) as one:
            ring = await one.ring()
        members = set(ring.nodes)
        answered |= await _ask_each(client, [node for node in ring.nodes if node not in nodes], silent)
    return Asked(
        {node: status for node, (status, _) in answered.items()},
        {node: report for node, (_, report) in answered.items()},
        ring,
        {node: why for node, why in sorted(silent.items()) if node in members},
    )


async def _ask_each(
    client: Operator, nodes: Collection[str], silent: dict[str, str]
) -> dict[str, tuple[Status, NodeReport]]:
    """What those say that answer; why the others do not is added to `silent`."""
    import asyncio

    from kvs.errors import KvsError

    turns = asyncio.Semaphore(NODES_AT_ONCE)
    answered: dict[str, tuple[Status, NodeReport]] = {}

    async def ask(node: str) -> None:
        try:
            async with turns, client.of_one(node) as one:
                answered[node] = await one.status(), await one.report()
        except KvsError as fault:
            silent[node] = str(fault)

    await asyncio.gather(*map(ask, nodes))
    return {node: answered[node] for node in nodes if node in answered}
