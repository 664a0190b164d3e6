"""Nodes of the intruder's own, which say that they belong to the store."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.docker.attacks.intruder.wire import CANARY, PLANTED, Attempt, Got, Place, Target, ask, counted

AT_MOST_S, GOSSIP_S = 10.0, 4.0
PORT = 13800


async def as_node(place: Place, told: Mapping[str, str], is_tls: bool) -> Got:
    """Start a node that is told it were one of the store; ask it for keys, to write, and to make a view with all."""
    own = Target(place.me, PORT, is_tls)
    members = [*(node.address for node in place.nodes), own.address]
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            "PATH": os.environ["PATH"],
            "ADDRESS": own.address,
            "VIEW": ",".join(members),
            "DATA_DIR": directory,
            "REPL_FACTOR": "2",
        }
        log = Path(directory) / "log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "node"), env={**environment, **told}, stdout=out, stderr=out
            )
        try:
            return await _try_all(own, members, log)
        finally:
            process.kill()
            await process.wait()


async def _try_all(own: Target, members: list[str], log: Path) -> Got:
    loop = asyncio.get_running_loop()
    end = loop.time() + AT_MOST_S
    while (await ask(own, "GET", "/livez")).status != 200 and loop.time() < end:
        await asyncio.sleep(0.2)
    await asyncio.sleep(GOSSIP_S)
    views = [",".join(members), own.address, ",".join(members[1:])]
    asked = [await ask(own, "GET", f"/kvs/keys/{CANARY}"), await ask(own, "GET", "/kvs/keys")]
    asked.append(await ask(own, "PUT", f"/kvs/keys/{PLANTED}", body=b'{"value":1}'))
    changes = [
        await ask(own, "PUT", "/kvs/view-change?wait=false", body=json.dumps({"view": view}).encode()) for view in views
    ]
    await asyncio.sleep(GOSSIP_S)
    asked.append(await ask(own, "GET", f"/kvs/keys/{CANARY}"))
    turned_away = log.read_text(errors="replace").count("turned away")
    seen = f"own node: {counted([reply.status for reply in asked])}; views: {counted([c.status for c in changes])}"
    return Got(f"{seen}; {turned_away} x turned away", any(reply.tells for reply in asked))


async def bare(place: Place) -> Got:
    return await as_node(place, {}, is_tls=False)


async def with_own_files(place: Place) -> Got:
    """With a CA and a secret of its own."""
    secret = Path(tempfile.mkdtemp()) / "secret"
    secret.touch(mode=0o600)
    secret.write_text("the-secret-of-somebody-who-knows-none-of-theirs")
    told = {"TLS_CERT": "cert.pem", "TLS_KEY": "key.pem", "TLS_CA": "ca.pem"}
    files = {name: str(place.own / file) for name, file in told.items()}
    return await as_node(place, files | {"CLUSTER_SECRET_FILE": str(secret)}, is_tls=True)


ATTEMPTS = [
    Attempt("a node of one's own, with nothing", "turned away; no key, no view", bare),
    Attempt("a node of one's own, with a CA and a secret of its own", "turned away; no key, no view", with_own_files),
]
