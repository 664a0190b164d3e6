"""compose.yaml, with whichever of the two programs there is; where nodes are locked, with what deploy/ adds to it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.cluster import ROOT, Client, eventually
from tests.commands import run
from tests.docker.containers import NETWORK, SPOTS, docker, files_of, inspect, taken
from tests.locks import Locks

pytestmark = [pytest.mark.docker, pytest.mark.timeout(150)]

PROJECT = "kvs_tests"
CALLED = {
    "tokens": "tokens",
    "secret": "cluster-secret",
    "ca.pem": "ca.pem",
    "cert.pem": "{}.pem",
    "key.pem": "{}.key",
}
"""What the files of locks are called in deploy/compose."""


class Compose:
    def __init__(self, program: Sequence[str], files: Sequence[Path], directory: Path) -> None:
        """`directory`: in which the files look for what they name."""
        told = [option for file in files for option in ("--file", str(file))]
        self._program = (*program, *told, "--project-directory", str(directory), "--project-name", PROJECT)

    async def __call__(self, *arguments: str, **environment: str) -> str:
        inherited = {name: value for name, value in os.environ.items() if name not in {"REPL_FACTOR", "CLUSTER"}}
        done = await run(*self._program, *arguments, environment=inherited | environment)
        assert done.status == 0, f"{arguments}: {done.errors}"
        return done.out


async def program_here() -> list[str]:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if (await run("docker", "compose", "version")).status == 0:
        return ["docker", "compose"]
    pytest.skip("no docker-compose here")


def secured(directory: Path, locks: Locks) -> list[Path]:
    """The files besides compose.yaml, and the secrets where they look for them, which nodes may read by their group."""
    secrets, services = directory / "secrets", {}
    secrets.mkdir(mode=0o755)
    for spot in SPOTS:
        made = files_of(locks, spot)
        for name, called in CALLED.items():
            shutil.copy2(made / name, secrets / called.format(spot.name))
        services[spot.name] = {"group_add": [str(made.stat().st_gid)]}
    (groups := directory / "groups.yaml").write_text(json.dumps({"services": services}))
    return [ROOT / "deploy/compose/secure.yaml", groups]


@pytest.fixture
async def compose(bare_engine: None, locks: Locks | None, tmp_path: Path) -> AsyncIterator[Compose]:
    if locks is None:
        files, directory = [], ROOT
    else:
        directory = tmp_path / "project"
        directory.mkdir()
        files = secured(directory, locks)
    program = Compose(await program_here(), [ROOT / "compose.yaml", *files], directory)
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
    mounts = [mount for spot in SPOTS for mount in (await inspect(spot.name))["Mounts"]]
    volumes = {mount["Name"] for mount in mounts if mount["Type"] == "volume"}
    assert volumes == {f"{PROJECT}_{spot.name}" for spot in SPOTS}

    await compose("down", "--volumes")
    assert await taken() == []
    left = json.loads(f"[{','.join((await docker('volume', 'ls', '--format', '{{json .Name}}')).splitlines())}]")
    assert not volumes & set(left)
    assert NETWORK not in (await docker("network", "ls", "--format", "{{.Name}}")).split()
