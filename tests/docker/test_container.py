"""The image as an operator meets it: health, user, volume, signals, and what it says to a bad environment."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import pytest

from tests.cluster import Client, eventually
from tests.commands import Done, run
from tests.docker.containers import (
    IMAGE,
    LABEL,
    NODE1,
    NODE2,
    Containers,
    docker,
    expect_content,
    inspect,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(90)]

STOP_S = 5.0
"""The contract's bound from SIGTERM to exit status 0."""
USER = "10001"


async def test_container_is_healthy_unprivileged_and_keeps_its_data_in_a_volume(containers: Containers) -> None:
    await containers.start(NODE1, view=[NODE1])

    async def healthy() -> bool:
        return bool((await inspect(NODE1.name))["State"]["Health"]["Status"] == "healthy")

    await eventually(healthy, "the HEALTHCHECK")
    assert [mount["Destination"] for mount in (await inspect(NODE1.name))["Mounts"] if mount["Type"] == "volume"] == [
        "/data"
    ]
    first_process = (await docker("exec", NODE1.name, "cat", "/proc/1/cmdline")).rstrip("\0").split("\0")
    assert first_process[-3:] == ["python", "-m", "node"], "no shell between docker and the node"
    status = dict(
        line.split(":\t", 1) for line in (await docker("exec", NODE1.name, "cat", "/proc/1/status")).splitlines()
    )
    assert status["Uid"].split() == status["Gid"].split() == [USER] * 4
    config = (await inspect(NODE1.name))["Config"]
    assert config["User"] == f"{USER}:{USER}", "a number: who demands that it is not root cannot look up a name"
    assert config["Labels"]["org.opencontainers.image.version"] == "4.0.0"
    assert int(status["CapEff"], 16) == 0
    assert (await run("docker", "exec", NODE1.name, "touch", "/opt/kvs/mine")).status != 0


async def test_container_stop_ends_with_status_0_in_time(containers: Containers, http: Client) -> None:
    """Both at once, so that the first to end is missed by the other."""
    await containers.start(NODE1, NODE2, view=[NODE1, NODE2])
    content = await containers.load(NODE1, NODE2, keys=20)
    began = time.time()
    await docker("stop", "-t", "20", NODE1.name, NODE2.name)
    for spot in (NODE1, NODE2):
        state = (await inspect(spot.name))["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0)
        assert datetime.fromisoformat(state["FinishedAt"]).timestamp() - began < STOP_S
    await docker("start", NODE1.name, NODE2.name)
    await containers.serving(NODE1, NODE2)
    await expect_content(http, content, NODE1, NODE2)


async def test_container_replaced_on_its_named_volume_keeps_data_and_view(containers: Containers, http: Client) -> None:
    """The new one is told another VIEW: the disk outranks it."""
    volume = await docker("volume", "create", "--label", LABEL, "kvs_tests_data")
    await containers.start(NODE1, view=[NODE1], volume=volume)
    content = await containers.load(NODE1, keys=50)
    assert (await http.change_view(NODE1.published, [NODE1.address], "?wait=false")).status == 202
    await containers.remove(NODE1)

    await containers.start(NODE1, view=[NODE1, NODE2], volume=volume)
    await expect_content(http, content, NODE1)
    assert (await http.view_of(NODE1.published))[2] == {NODE1.address}


BAD_ENVIRONMENTS: list[tuple[dict[str, str], list[str]]] = [
    ({}, ["ADDRESS", "VIEW"]),
    ({"ADDRESS": NODE1.address}, ["VIEW"]),
    ({"ADDRESS": "10.10.0.4", "VIEW": NODE1.address}, ["ADDRESS"]),
    ({"ADDRESS": NODE1.address, "VIEW": "10.10.0.4:13800,,x:99999"}, ["VIEW", "VIEW"]),
    ({"ADDRESS": "x", "VIEW": "y:0", "REPL_FACTOR": "0", "BIND": "lo"}, ["ADDRESS", "VIEW", "REPL_FACTOR", "BIND"]),
]


async def test_container_with_bad_environment_ends_with_status_2_and_a_line_per_fault(bare_engine: None) -> None:
    async def run_with(environment: dict[str, str]) -> Done:
        settings = [argument for name, value in environment.items() for argument in ("--env", f"{name}={value}")]
        return await run("docker", "run", "--rm", "--label", LABEL, "--network", "none", *settings, IMAGE)

    ended = await asyncio.gather(*(run_with(environment) for environment, _ in BAD_ENVIRONMENTS))
    for done, (environment, variables) in zip(ended, BAD_ENVIRONMENTS, strict=True):
        assert (done.status, done.out) == (2, ""), environment
        assert [line.split(":")[0] for line in done.errors] == variables
