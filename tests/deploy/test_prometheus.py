"""Debian's Prometheus takes the rules, sees each alert fire and end, and answers each query of the dashboard."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from gossip.view import host_of
from tests.cluster import Client, Processes, client, eventually, fresh_addresses
from tests.commands import run
from tests.deploy.described import ALERTS, ALERTS_TEST, OF_TLS, PROMETHEUS, panels
from tests.deploy.prometheus import program, watching
from tests.locks import Way
from tests.node.certs import believing, variables, write

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(120)]

HURRY = 20
VALUES = {"$job": "kvs", "$instance": ".+", "$__rate_interval": "10s"}


def filled_in(query: str) -> str:
    """As the dashboard would ask it."""
    for variable, value in VALUES.items():
        query = query.replace(variable, value)
    return query


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "--lint-fatal", str(ALERTS)),
        ("check", "config", str(PROMETHEUS / "prometheus.yml")),
        ("test", "rules", str(ALERTS_TEST)),
    ],
    ids=["rules", "configuration", "each alert fires and ends"],
)
async def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    done = await run(program("promtool"), *arguments)
    assert done.status == 0, (done.out, done.errors)


async def test_promtool_finds_nothing_to_improve_in_what_a_node_shows(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    (node,) = fresh_addresses(1)
    await processes.start(node, [node])
    shown = tmp_path / "metrics"
    shown.write_bytes((await http.ask(node, "GET", "/metrics")).body)
    done = await run("sh", "-c", f"{program('promtool')} check metrics < {shown}")
    assert (done.status, done.out, done.errors) == (0, "", [])


async def test_prometheus_answers_each_query_of_the_dashboard_and_evaluates_each_alert(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR="2")
    for number in range(20):
        assert (await http.put(nodes[number % 4], f"k{number}", number)).status == 201
        assert (await http.get(nodes[-number % 4], f"k{number}")).status == 200
    async with watching(http, dict(zip(nodes, nodes, strict=True)), tmp_path) as prometheus:

        async def all_up() -> bool:
            return len(await prometheus.query('up{job="kvs"} == 1')) == 4

        await eventually(all_up, "four nodes that are scraped")
        for title, queries in panels().items():
            for query in queries:
                told = filled_in(query)

                async def shows(told: str = told) -> bool:
                    return bool(await prometheus.query(told))

                await eventually(shows, f"{title}: {told}")
        assert await prometheus.query("sum(kvs_keys)") != []
        (keys,) = await prometheus.query("sum(kvs_keys)")
        assert keys["value"][1] == "40", "twenty, in two copies each"

        async def all_evaluated() -> bool:
            (group,) = (await prometheus.ask("rules"))["groups"]
            return {rule["health"] for rule in group["rules"]} == {"ok"}

        await eventually(all_evaluated, "all alerts evaluated")
        (group,) = (await prometheus.ask("rules"))["groups"]
        assert [rule["name"] for rule in group["rules"] if rule["state"] == "firing"] == []
        await processes[nodes[0]].kill()

        async def is_noticed() -> bool:
            pending = (await prometheus.ask("alerts"))["alerts"]
            return {("KvsNodeDown", nodes[0])} <= {
                (alert["labels"]["alertname"], alert["labels"].get("instance")) for alert in pending
            }

        await eventually(is_noticed, "the alert of a node that is down")


async def test_prometheus_tells_of_a_certificate_that_is_about_to_expire_until_it_is_renewed(
    processes: Processes, http: Client, tmp_path: Path
) -> None:
    (node,), ca = fresh_addresses(1), trustme.CA()

    def certify(days: int) -> dict[str, str]:
        """Give the node a certificate, in its files, that is valid for so long."""
        until = datetime.now(UTC) + timedelta(days=days)
        return variables(write(tmp_path / "tls", ca.issue_cert(host_of(node), not_after=until), ca))

    told = certify(days=13)
    async with client(way=Way(believing(ca))) as by_tls:
        await processes.start(node, [node], **told)
        assert (await by_tls.ask(node, "GET", "/readyz")).status == 200
    async with watching(http, {node: node}, tmp_path, HURRY, Path(told["TLS_CA"])) as prometheus:

        async def is_told_of() -> bool:
            return await prometheus.firing() == OF_TLS

        await eventually(is_told_of, "an alert of the certificate alone")
        certify(days=15)
        processes[node].signal(signal.SIGHUP)

        async def is_quiet() -> bool:
            return not await prometheus.firing()

        await eventually(is_quiet, "the end of it")
