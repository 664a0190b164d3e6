"""Debian's Prometheus with the configuration of deploy/, watching nodes."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gossip.view import Address
from tests.cluster import Client, eventually, fresh_addresses
from tests.deploy.described import PROMETHEUS

INTERVAL = "1s"
SECONDS = {"s": 1, "m": 60, "h": 3600}


def program(name: str) -> str:
    """Of Debian's package `prometheus`."""
    path = shutil.which(name)
    assert path is not None, f"no {name}: apt-get install --no-install-recommends prometheus"
    return path


def hurried(rules: str, by: int) -> str:
    """The same rules, with all their times divided."""

    def shorter(found: re.Match[str]) -> str:
        seconds = max(1, int(found[2]) * SECONDS[found[3]] // by)
        return f"{found[1]}{seconds}s"

    rules = re.sub(r"(for: |\[)(\d+)([smh])\b", shorter, rules)
    return re.sub(r"\b(\d+) \* 3600\b", lambda found: str(int(found[1]) * 3600 // by), rules)


class Prometheus:
    def __init__(self, http: Client, address: Address) -> None:
        self._http = http
        self._address = address

    async def ask(self, path: str) -> Any:
        reply = await self._http.ask(self._address, "GET", f"/api/v1/{path}")
        assert reply.status == 200, reply.body
        return reply.json["data"]

    async def query(self, text: str) -> list[Any]:
        result: list[Any] = (await self.ask(f"query?query={quote(text, safe='')}"))["result"]
        return result

    async def firing(self) -> set[str]:
        """The alerts that fire now."""
        alerts = (await self.ask("alerts"))["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@asynccontextmanager
async def watching(
    http: Client, nodes: Mapping[Address, Address], directory: Path, hurry: int = 1, ca_file: Path | None = None
) -> AsyncIterator[Prometheus]:
    """A Prometheus with the configuration of deploy/, but for whom it scrapes, and how often: nodes, by where they
    answer. `hurry`: by how much its alerts are faster. `ca_file`: whose certificates it believes of them; None: they
    answer in the clear."""
    shutil.copytree(PROMETHEUS, directory / "prometheus")
    config, rules = directory / "prometheus/prometheus.yml", directory / "prometheus/alerts.yml"
    text = re.sub(r"_interval: 15s", f"_interval: {INTERVAL}", config.read_text())
    if ca_file is not None:
        by_tls = f"scheme: https\n    tls_config: {{ca_file: {ca_file}}}"
        text = text.replace("job_name: kvs", f"job_name: kvs\n    {by_tls}")
    scraped = "".join(
        f"\n      - {{targets: ['{published}'], labels: {{instance: '{node}'}}}}" for published, node in nodes.items()
    )
    config.write_text(re.sub(r"\n +- targets: \[.*\]", scraped, text))
    if hurry > 1:
        rules.write_text(hurried(rules.read_text(), hurry))
    (address,) = fresh_addresses(1)
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'series'}",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:

        async def is_up() -> bool:
            return (await http.ask(address, "GET", "/-/ready")).status == 200

        await eventually(is_up, "Prometheus")
        yield Prometheus(http, address)
    finally:
        process.terminate()
        await process.wait()
