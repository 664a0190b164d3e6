"""`python -m tests.docker.attacks.intruder`: in a container beside the nodes, does what it is told.

Each line on stdin has the name of an attempt, and for how long it is to go on; each line on stdout what it got. The
environment has what it knows: NODES and CLEAR, addresses; ME, its own; OWN, a directory; READ_TOKEN.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from pathlib import Path

from tests.docker.attacks.intruder import joining, odd_http, of_tls, peers, requests
from tests.docker.attacks.intruder.floods import FLOODS
from tests.docker.attacks.intruder.wire import Attempt, Got, Place, Target

ATTEMPTS: list[Attempt] = [
    *requests.ATTEMPTS,
    *odd_http.ATTEMPTS,
    *of_tls.ATTEMPTS,
    *peers.ATTEMPTS,
    *joining.ATTEMPTS,
]
PATIENCE_S = 120.0
"""For an attempt; a flood has so much more than its time."""


def target_of(address: str, tls: bool = True) -> Target:
    host, _, port = address.rpartition(":")
    return Target(host, int(port), tls)


def place_here() -> Place:
    told = os.environ
    nodes = [target_of(address) for address in told["NODES"].split(",")]
    return Place(nodes, target_of(told["CLEAR"], tls=False), told["ME"], Path(told["OWN"]), told["READ_TOKEN"])


async def make(place: Place, name: str, seconds: float) -> Got:
    floods = {flood.name: flood for flood in FLOODS}
    attempts = {attempt.name: attempt for attempt in ATTEMPTS}
    try:
        async with asyncio.timeout(PATIENCE_S + seconds):
            if name in floods:
                return await floods[name].make(place, seconds)
            return await attempts[name].make(place)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        return Got(f"broken off: {error!r}")


async def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    place, loop = place_here(), asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: None)  # Of connections that end in the middle of something.
    described = [(kind.name, kind.expected) for kind in ATTEMPTS], [(kind.name, kind.expected) for kind in FLOODS]
    print(json.dumps(described), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, seconds = json.loads(line)
        print(json.dumps(await make(place, name, seconds)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
