"""compose.yaml, with whichever of the two programs there is."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator

import pytest

from tests.cluster import ROOT, Client, eventually
from tests.commands import run
from tests.docker.containers import NETWORK, SPOTS, docker, inspect, taken

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

PROJECT = "kvs_tests"


class Compose:
    def __init__(self, *program: str) -> None:
        self._program = (*program, "--file", str(ROOT / "compose.yaml"), "--project-name", PROJECT)

    async def __call__(self, *arguments: str, **environment: str) -> str:
        inherited = {name: value for name, value in os.environ.items() if name not in {"REPL_FACTOR", "CLUSTER"}}
        done = await run(*self._program, *arguments, environment=inherited | environment)
        assert done.status == 0, f"{arguments}: {done.errors}"
        return done.out


@pytest.fixture
async def compose(bare_engine: None) -> AsyncIterator[Compose]:
    if shutil.which("docker-compose"):
        program = Compose("docker-compose")
    elif (await run("docker", "compose", "version")).status == 0:
        program = Compose("docker", "compose")
    else:
        pytest.skip("no docker-compose here")
    yield program
    await program("down", "--volumes")


async def test_compose_file_is_valid_and_passes_on_what_its_caller_says(compose: Compose) -> None:
    told = (await compose("config", REPL_FACTOR="3", CLUSTER="ours")).replace('"', "'")
    assert "REPL_FACTOR: '3'" in told and "CLUSTER: ours" in told
    untold = (await compose("config")).replace('"', "'")
    assert "REPL_FACTOR: '3'" not in untold and "CLUSTER: ours" not in untold


async def test_compose_up_gives_four_healthy_nodes_and_down_removes_them(compose: Compose, http: Client) -> None:
    await compose("up", "--detach", "--no-build")

    async def healthy() -> bool:
        states = await asyncio.gather(*(inspect(spot.name) for spot in SPOTS))
        return [state["State"]["Health"]["Status"] for state in states] == ["healthy"] * len(SPOTS)

    await eventually(healthy, "four healthy nodes")
    for spot in SPOTS:
        assert (await http.put(spot.published, spot.name, f"through {spot.name}")).status == 201
    for spot in SPOTS:
        read = [(await http.get(spot.published, other.name)).json["value"] for other in SPOTS]
        assert read == [f"through {other.name}" for other in SPOTS]
    assert sum([await http.key_count(spot.published) for spot in SPOTS]) == len(SPOTS)
    status = (await http.ask(SPOTS[0].published, "GET", "/kvs/status")).json
    assert status["repl-factor"] is None, "the plain form"
    volumes = {mount["Name"] for spot in SPOTS for mount in (await inspect(spot.name))["Mounts"]}
    assert volumes == {f"{PROJECT}_{spot.name}" for spot in SPOTS}

    await compose("down", "--volumes")
    assert await taken() == []
    left = json.loads(f"[{','.join((await docker('volume', 'ls', '--format', '{{json .Name}}')).splitlines())}]")
    assert not volumes & set(left)
    assert NETWORK not in (await docker("network", "ls", "--format", "{{.Name}}")).split()
