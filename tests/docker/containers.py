"""The store as its users run it: containers of the image, on the network and the published ports that the README names.

Owns how a test starts, hurts and inspects containers, and that they, their volumes and their network are gone at its
end. Names and addresses are those of the README and of compose.yaml, so somebody's own cluster may have them already:
that one is never touched, the tests end instead. What is ours carries a label. Must not import the node: only the image
is tested here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gossip.view import host_of
from tests.cluster import Client, Reply, eventually
from tests.commands import run
from tests.locks import Locks, environment

IMAGE = "kvs:3.0"
NETWORK = "kv_subnet"
SUBNET = "10.10.0.0/16"
PORT = 13800
LABEL = "kvs.tests"
PROBES = [f"probe{number}" for number in range(32)]
"""Keys, never written, of which every node owns some."""
CONCURRENCY = 32


class Spot(NamedTuple):
    """Where one container lives."""

    name: str
    ip: str
    host_port: int
    host: str = ""
    """Under which nodes know it, if not by its IP: docker's name server knows its name."""

    @property
    def address(self) -> str:
        """Under which nodes know it."""
        return f"{self.host or self.ip}:{PORT}"

    @property
    def published(self) -> str:
        """Under which this machine reaches it."""
        return f"127.0.0.1:{self.host_port}"


class Halt(NamedTuple):
    """At which step of a view change a node halts, see `halting`."""

    step: str
    peers: tuple[Spot, ...] = ()
    """If the step is a message: only from or to one of these; none: whoever it is."""


ARMED, HALTED, GO = "/tmp/armed", "/tmp/halted", "/tmp/go"
HALTING = Path(__file__).parent / "halting.py"
SICK_CLOCK, SICK_BY = Path(__file__).parents[1] / "process" / "sick_clock.py", "/tmp/clock is off by"
SICK_DISK, SICK_HOW = Path(__file__).parents[1] / "process" / "sick_disk.py", "/tmp/disk is"
SECRETS = Path("/run/secrets")
"""Where nodes that are locked have their files."""
BLOCKED = ("env", "--block-signal=TERM,INT,HUP")
"""How the image starts what it runs."""
NO_HALTS: Mapping[Spot, Halt] = MappingProxyType({})

NODE1, NODE2, NODE3, NODE4 = SPOTS = tuple(Spot(f"node{n}", f"10.10.0.{3 + n}", 13800 + n) for n in range(1, 5))
PAIR = (NODE1, NODE2)
TRIO = (NODE1, NODE2, NODE3)
SPOT_OF = {spot.address: spot for spot in SPOTS}
KEYS = 120
"""What a test loads that asks for no other number: enough that every node has about its share."""


async def docker(*arguments: str) -> str:
    """What a docker command prints; it has to succeed."""
    done = await run("docker", *arguments)
    assert done.status == 0, f"docker {' '.join(arguments)}: {done.errors}"
    return done.out


async def inspect(name: str) -> Any:
    return json.loads(await docker("inspect", name))[0]


class Containers:
    """The containers of one test."""

    def __init__(self, http: Client, locks: Locks | None = None) -> None:
        self._http = http
        self._locks = locks
        self._started: dict[str, Spot] = {}
        self._last_words: list[str] = []
        """Of containers that were removed."""

    async def open(self) -> None:
        await docker("network", "create", f"--subnet={SUBNET}", "--label", LABEL, NETWORK)

    async def start(
        self,
        *spots: Spot,
        view: Iterable[Spot],
        volume: str | None = None,
        repl_factor: int | None = None,
        options: Sequence[str] = (),
        image: str = IMAGE,
    ) -> None:
        """Run a container on each of `spots` and wait until all answer. `volume`: for /data, else an anonymous one;
        `options`: of `docker run`, besides."""
        about = tuple(view), volume, repl_factor, NETWORK
        await asyncio.gather(*(self._run(spot, *about, options=options, image=image) for spot in spots))
        await self.listening(*spots)

    async def start_sick(
        self,
        *spots: Spot,
        view: Iterable[Spot],
        disks: Path,
        repl_factor: int,
        halts: Mapping[Spot, Halt] = NO_HALTS,
    ) -> None:
        """As `start`, on disks that `disk_becomes` decides about, and with clocks that `clock_becomes` does; each has a
        directory of that name in `disks`. `halts`: which of them halt, and where."""
        view = tuple(view)
        await asyncio.gather(
            *(
                self._run(spot, view, str(disks / spot.name), repl_factor, NETWORK, halts.get(spot), is_sick=True)
                for spot in spots
            )
        )
        await self.listening(*spots)

    async def start_on_two_networks(
        self, *spots: Spot, view: Iterable[Spot], repl_factor: int, halts: Mapping[Spot, Halt] = NO_HALTS
    ) -> None:
        """As `start`, but clients come in by another network: cut off from each other, nodes still answer them.
        `halts`: which of them halt, and where."""
        for spot in spots:
            await self._run(spot, tuple(view), None, repl_factor, "bridge", halts.get(spot))
            await docker("network", "connect", "--ip", spot.ip, NETWORK, spot.name)
        await self.listening(*spots)

    async def _run(
        self,
        spot: Spot,
        view: Sequence[Spot],
        volume: str | None,
        repl_factor: int | None,
        network: str,
        halt: Halt | None = None,
        is_sick: bool = False,
        options: Sequence[str] = (),
        image: str = IMAGE,
    ) -> None:
        self._started[spot.name] = spot
        arguments = ["run", "--detach", "--label", LABEL, "--name", spot.name, "--net", network, *options]
        arguments += ["--ip", spot.ip] if network == NETWORK else []
        arguments += ["--publish", f"{spot.published}:{PORT}", "--env", f"ADDRESS={spot.address}"]
        arguments += ["--env", f"VIEW={','.join(other.address for other in view)}"]
        arguments += [] if volume is None else ["--volume", f"{volume}:/data"]
        arguments += [] if repl_factor is None else ["--env", f"REPL_FACTOR={repl_factor}"]
        arguments += [] if self._locks is None else locked(self._locks, spot)
        program = ["-m", "node"]
        if halt is not None:
            program = [f"/{HALTING.name}"]
            arguments += ["--volume", f"{HALTING}:/{HALTING.name}:ro", "--env", f"HALT_AT={halt.step}"]
            arguments += ["--env", f"HALT_FILES={ARMED},{HALTED},{GO}"]
            arguments += ["--env", f"HALT_WITH={','.join(peer.address for peer in halt.peers)}"]
        if is_sick:
            program = [f"/{SICK_DISK.name}", SICK_HOW, *program]
            arguments += ["--volume", f"{SICK_DISK}:/{SICK_DISK.name}:ro"]
            arguments += ["--volume", f"{SICK_CLOCK}:/sick/sitecustomize.py:ro", "--env", "PYTHONPATH=/sick"]
        await docker(*arguments, image, *BLOCKED, "python", *program)

    async def disk_becomes(self, spot: Spot, how: str) -> None:
        """See `sick_disk`."""
        await docker("exec", spot.name, "sh", "-c", f"printf %s {how} > '{SICK_HOW}'")

    async def clock_becomes(self, spot: Spot, off_s: float) -> None:
        """See `sick_clock`."""
        await docker("exec", spot.name, "sh", "-c", f"printf %s {off_s} > '{SICK_BY}'")

    async def revive(self, *spots: Spot) -> None:
        """Start those that were killed, and wait until all serve."""
        await asyncio.gather(*(docker("start", spot.name) for spot in spots))
        await self.listening(*spots)
        await self.serving(*spots)

    async def listening(self, *spots: Spot) -> None:
        """Wait for answers: on a published port docker takes connections long before the node does."""

        async def answering() -> bool:
            return len(await counts(self._http, *spots)) == len(spots)

        await eventually(answering, f"{[spot.name for spot in spots]} answering")

    async def serving(self, *spots: Spot) -> None:
        """Wait until keys of every node are served through each of `spots`: an answering node may not be known yet."""

        async def served() -> bool:
            replies = await at_once([self._http.get(spot.published, key) for spot in spots for key in PROBES])
            return {reply.status for reply in replies} <= {200, 404}

        await eventually(served, f"all keys served through {[spot.name for spot in spots]}")

    async def settled(self, via: Spot) -> None:
        """Wait until no view change is under way, as that node tells."""

        async def over() -> bool:
            reply = await self._http.ask(via.published, "GET", "/kvs/view-change")
            return reply.status == 200 and reply.json["state"] == "settled"

        await eventually(over, "the view change being over")

    async def alike(self, *spots: Spot) -> None:
        """Wait until the copies of each shard hold the same."""

        async def equal() -> bool:
            digests: dict[str, set[str]] = {}
            replies = await at_once([self._http.ask(spot.published, "GET", "/kvs/status") for spot in spots])
            for spot, reply in zip(spots, replies, strict=True):
                nodes = reply.json["nodes"]
                shard = next(node["shard-id"] for node in nodes if node["address"] == spot.address)
                digests.setdefault(shard, set()).add(reply.json["data-digest"])
            return all(len(of_shard) == 1 for of_shard in digests.values())

        await eventually(equal, "the copies of each shard being alike")

    async def load(self, *via: Spot, keys: int = KEYS, name: str = "key") -> dict[str, int]:
        """Put so many new keys with names that begin with `name`, through the given nodes in turn; what was put."""
        await self.serving(*via)
        content = {f"{name}{number}": number for number in range(keys)}
        replies = await at_once(
            [self._http.put(via[number % len(via)].published, key, number) for key, number in content.items()]
        )
        assert {reply.status for reply in replies} == {201}
        return content

    async def remove(self, *spots: Spot) -> None:
        """Containers only: named volumes stay, as with a user's `docker rm`."""
        for spot in spots:
            self._last_words.append(await self._log(spot.name, 100))
            del self._started[spot.name]
        await docker("rm", "--force", "--volumes", *(spot.name for spot in spots))

    async def tell(self, lines: int) -> None:
        """Print the end of each log, those of removed containers first."""
        logs = [await self._log(name, lines) for name in self._started]
        print(*self._last_words, *logs, sep="\n")

    async def _log(self, name: str, lines: int) -> str:
        done = await run("docker", "logs", "--tail", str(lines), name)
        return "\n".join([f"--- {name}", done.out, *done.errors])


def locked(locks: Locks, spot: Spot) -> list[str]:
    """Options of `docker run`: its files are let in read only, and readable for it by their group."""
    files = files_of(locks, spot)
    options = ["--volume", f"{files}:{SECRETS}:ro", "--group-add", str(files.stat().st_gid)]
    return options + [option for name, value in environment(SECRETS).items() for option in ("--env", f"{name}={value}")]


def files_of(locks: Locks, spot: Spot) -> Path:
    hosts = {spot.ip, spot.name, spot.host or spot.ip, host_of(spot.published)}
    return locks.files_of(spot.address, *sorted(hosts))


async def clear_away() -> None:
    """Remove what carries our label, left over from an earlier run too."""
    ours = f"label={LABEL}"
    for kind, listing, removing in (
        ("container", ["--all"], ["--force", "--volumes"]),
        ("network", [], []),
        ("volume", [], []),
    ):
        names = await docker(kind, "ls", *listing, "--quiet", "--filter", ours)
        if names:
            await docker(kind, "rm", *removing, *names.split())


async def unusable() -> str | None:
    """Why docker is of no use to us, if it is not. What was left over from an earlier run is gone then."""
    if (await run("docker", "image", "inspect", IMAGE)).status != 0:
        return f"no docker daemon answers, or it has no image {IMAGE}: `make image`"
    await clear_away()
    if others := await taken():
        return f"docker has {', '.join(others)} already, and not from these tests: remove them first"
    return None


async def taken() -> list[str]:
    """Names that the tests need and somebody else has."""
    wanted = {NETWORK, *(spot.name for spot in SPOTS)}
    names = await docker("container", "ls", "--all", "--format", "{{.Names}}")
    names += "\n" + await docker("network", "ls", "--format", "{{.Name}}")
    return sorted(wanted & set(names.split()))


async def at_once(requests: Sequence[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """Send many requests, so many at a time as make a busy store, not a flood of connections."""
    places = asyncio.Semaphore(CONCURRENCY)

    async def one(request: Coroutine[Any, Any, Reply]) -> Reply:
        async with places:
            return await request

    return await asyncio.gather(*map(one, requests))


async def expect_content(http: Client, content: dict[str, int], *via: Spot) -> None:
    """Every key reads back through every node."""
    for spot in via:
        replies = await at_once([http.get(spot.published, key) for key in content])
        read = {key: reply.json.get("value") for key, reply in zip(content, replies, strict=True)}
        assert read == content, f"through {spot.name}"


async def holders(http: Client, keys: Iterable[str], via: Spot) -> dict[Spot, list[str]]:
    """Which of `keys` live where, as the node that is asked tells by its answers."""
    keys = list(keys)
    replies = await at_once([http.get(via.published, key) for key in keys])
    held: dict[Spot, list[str]] = {}
    for key, reply in zip(keys, replies, strict=True):
        assert reply.status == 200
        held.setdefault(SPOT_OF[reply.json.get("address", via.address)], []).append(key)
    return held


async def counts(http: Client, *spots: Spot) -> list[int]:
    return list(await asyncio.gather(*(http.key_count(spot.published) for spot in spots)))


async def view_change(http: Client, via: Spot, *view: Spot, given_up: int = 0) -> dict[Spot, int]:
    """A view change that has to succeed; the counts that it answers with. `given_up`: how many keys only nodes have
    that go and cannot be reached."""
    reply = await http.change_view(via.published, [spot.address for spot in view])
    assert reply.status == 200, reply.body
    assert reply.json.keys() == {"message", "shards"} | ({"keys-at-risk"} if given_up else set())
    assert reply.json.get("keys-at-risk", 0) == given_up
    assert reply.json["message"] == "View change successful"
    answered = {SPOT_OF[shard["address"]]: shard["key-count"] for shard in reply.json["shards"]}
    assert list(answered) == list(view)
    return answered


async def view_held(http: Client, spot: Spot) -> tuple[int, set[Spot]]:
    """Epoch and nodes of the view that a node holds."""
    epoch, _, nodes = await http.view_of(spot.published)
    return epoch, {SPOT_OF[node] for node in nodes}
