"""Four locked containers and their clients, a node that has a secret alone, and an intruder in a container beside them.

Owns how they start and what is looked at in the nodes: memory, descriptors, log, whether they are the same processes.
The intruder has the image and the source, and neither a token (but one for reading, of which it tells), nor the secret,
nor a certificate that anybody believes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import trustme

from tests.cluster import ROOT, Client
from tests.commands import run
from tests.docker.attacks.intruder.wire import CANARY, CANARY_VALUE, Got
from tests.docker.containers import IMAGE as NODE_IMAGE
from tests.docker.containers import LABEL, NETWORK, PORT, SPOTS, Containers, Spot, docker, inspect, locked
from tests.locks import SECRET, Locks
from tests.node.certs import issue
from tests.node.tokens import ADMIN, READ, WRITE, hash_of

CLEAR = Spot("clear", "10.10.0.50", 13850)
INTRUDER, INTRUDER_IP = "intruder", "10.10.0.66"
CPU_SHARES = 2
"""Of 1,024 that each node has. Intruder, nodes and clients share one machine here, while an intruder has a machine of
its own: what it takes of this one's processors says nothing of the nodes. So it gets what the others leave, and what is
seen is what nodes have to do because of it. Where the kernel knows idle groups, it runs in one: who has few shares, and
has waited long for them, is run on while others wait."""
UNPROBED = "--no-healthcheck"
"""Docker's probes are processes that start anew every few seconds: four nodes' take a third of a processor."""
HERE = Path(__file__).parent
COPIES = 2
MIB = 1 << 20
NEVER_LOGGED = (SECRET, READ, WRITE, ADMIN, hash_of(READ), hash_of(WRITE), hash_of(ADMIN), CANARY_VALUE)


class Look(NamedTuple):
    """At one node."""

    memory: int
    """Bytes that it has, without those of its disk that the system caches."""
    descriptors: int
    busy_s: float
    """Of a processor, since it was started."""


class Watched:
    """One node, from when it was started on."""

    def __init__(self, spot: Spot, state: dict[str, Any]) -> None:
        self.spot = spot
        self._pid = state["Pid"]
        self._started = state["StartedAt"]
        self._lines_seen = 0
        self.memory_max = self.descriptors_max = 0

    def look(self) -> Look:
        """Raises OSError if it has ended."""
        process = Path(f"/proc/{self._pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
        ticks = (process / "stat").read_text().rpartition(")")[2].split()[11:13]
        busy_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        look = Look(1024 * int(status["RssAnon"].split()[0]), len(list((process / "fd").iterdir())), busy_s)
        self.memory_max = max(self.memory_max, look.memory)
        self.descriptors_max = max(self.descriptors_max, look.descriptors)
        return look

    def busy_s(self) -> float:
        return self.look().busy_s

    def begin(self) -> None:
        self.memory_max = self.descriptors_max = 0

    async def is_the_same(self) -> bool:
        state = (await inspect(self.spot.name))["State"]
        return bool(state["Running"]) and state["StartedAt"] == self._started and state["Pid"] == self._pid

    async def new_lines(self) -> list[str]:
        """Of its log, since this was asked before."""
        done = await run("docker", "logs", self.spot.name)
        lines = [*done.out.splitlines(), *done.errors]
        fresh, self._lines_seen = lines[self._lines_seen :], len(lines)
        return fresh


class Intruder:
    """`floods`, `attempts`: name and what is expected."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.attempts: list[tuple[str, str]] = []
        self.floods: list[tuple[str, str]] = []

    async def introduce(self) -> None:
        line = await self._out.readline()
        assert line, "the intruder did not start"
        attempts, floods = json.loads(line)
        self.attempts, self.floods = list(map(tuple, attempts)), list(map(tuple, floods))

    async def make(self, name: str, seconds: float = 0) -> Got:
        self._in.write(json.dumps([name, seconds]).encode() + b"\n")
        await self._in.drain()
        line = await self._out.readline()
        assert line, "the intruder has ended"
        return Got(*json.loads(line))


class Stage(NamedTuple):
    http: Client
    intruder: Intruder
    watched: Sequence[Watched]
    """The four, and the one with a secret alone."""


@asynccontextmanager
async def staged(containers: Containers, http: Client, locks: Locks, directory: Path) -> AsyncIterator[Stage]:
    """All of it at work, with the canary written. `directory`: for what the intruder has."""
    await containers.start(*SPOTS, view=SPOTS, repl_factor=COPIES, options=[UNPROBED])
    await containers.serving(*SPOTS)
    assert (await http.put(SPOTS[0].published, CANARY, CANARY_VALUE)).status == 201
    await _start_clear(locks)
    watched = [Watched(spot, (await inspect(spot.name))["State"]) for spot in (*SPOTS, CLEAR)]
    for each in watched:
        await each.new_lines()
    issue(directory / "own", trustme.CA(), INTRUDER_IP)
    (directory / "own" / "key.pem").chmod(0o640)
    process = await asyncio.create_subprocess_exec(
        "docker",
        *("run", "--rm", "--interactive", "--label", LABEL, "--name", INTRUDER, "--net", NETWORK, "--ip", INTRUDER_IP),
        *("--cpu-shares", str(CPU_SHARES)),
        *("--group-add", str(directory.stat().st_gid), "--workdir", "/tmp"),
        *("--volume", f"{directory / 'own'}:/own:ro", "--volume", f"{HERE}:/source/{HERE.relative_to(ROOT)}:ro"),
        *("--env", "PYTHONPATH=/source", "--env", f"NODES={','.join(spot.address for spot in SPOTS)}"),
        *("--env", f"CLEAR={CLEAR.ip}:{PORT}", "--env", f"ME={INTRUDER_IP}", "--env", "OWN=/own"),
        *("--env", f"READ_TOKEN={READ}", NODE_IMAGE, "python", "-m", "tests.docker.attacks.intruder"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=MIB,
    )
    intruder = Intruder(process)
    try:
        await intruder.introduce()
        _idle((await inspect(INTRUDER))["State"]["Pid"])
        yield Stage(http, intruder, watched)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await run("docker", "rm", "--force", INTRUDER)
        await process.wait()


def _idle(pid: int) -> None:
    """Have the control group of a process run when no other one wants to, if the kernel knows such groups."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            with suppress(OSError):
                (Path("/sys/fs/cgroup", controllers and "cpu") / path.lstrip("/") / "cpu.idle").write_text("1")


async def _start_clear(locks: Locks) -> None:
    """Its own cluster, of one, on the same network; without TLS."""
    without = ("TLS_CERT", "TLS_KEY", "TLS_CA")
    options = locked(locks, CLEAR)
    kept = [
        word
        for flag, value in zip(options[::2], options[1::2], strict=True)
        if not value.startswith(without)
        for word in (flag, value)
    ]
    await docker(
        *("run", "--detach", UNPROBED, "--label", LABEL, "--name", CLEAR.name, "--net", NETWORK, "--ip", CLEAR.ip),
        *("--env", f"ADDRESS={CLEAR.address}", "--env", f"VIEW={CLEAR.address}", *kept, NODE_IMAGE),
    )
