"""`python -m tests.ui` makes the pictures in docs/pictures anew, of the page and of a terminal: of a cluster under
load, with a node dead and keys on their way.

What the page draws of the last 15 minutes has to happen first: `MINUTES` of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import aiohttp

from gossip.view import Address
from tests.cluster import NODE, ROOT, Client, Processes, client, eventually
from tests.ui.browser import PATIENCE_MS, chromium, picture, window
from tests.ui.terminal import terminal_picture

NODES = [f"127.10.0.{number}:13800" for number in range(2, 9)]
FIRST, LATER = NODES[:5], NODES[:6]
DEAD, NEW = NODES[2], NODES[6]
ZONES = ("rack-1", "rack-2", "rack-3")
KEYS = 60_000
CLIENTS = 6
MOVED_PERCENT = 15
"""Of the keys that move, before the picture."""
BUSY_S = 300.0
"""For one request, should the machine be busy."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PICTURES = ROOT / "docs" / "pictures"


async def fill(http: Client, node: Address) -> None:
    words = ("user", "order", "cart", "session", "city")
    for start in range(0, KEYS, 2000):
        lines = [
            {"op": "put", "key": f"{random.choice(words)}:{n:06}", "value": {"id": n, "city": "Bergen", "seen": 60 * n}}
            for n in range(start, start + 2000)
        ]
        await http.ask(node, "POST", "/kvs/batch", "\n".join(map(json.dumps, lines)).encode())


async def live(http: Client) -> None:
    """One client among many, now quick and now slow, until cancelled."""
    while True:
        key, node = f"user:{random.randrange(KEYS):06}", random.choice(FIRST)
        try:
            if random.random() < 0.7:
                await http.get(node, key)
            else:
                await http.put(node, key, {"seen": random.random()})
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass  # The one that dies: others are asked.
        await asyncio.sleep(random.expovariate(12.0))


async def take(processes: Processes, http: Client, minutes: float) -> None:
    for number, node in enumerate(NODES):
        processes.make(node, FIRST, REPL_FACTOR="2", ZONE=ZONES[number % len(ZONES)])
    for node in NODES:
        await processes[node].start()
    await processes.in_touch(FIRST)
    await fill(http, NODES[0])
    assert (await http.change_view(NODES[0], LATER)).status == 200
    clients = [asyncio.create_task(live(http)) for _ in range(CLIENTS)]
    await asyncio.sleep(60 * minutes)
    async with chromium() as browser:
        both = {name: await window(browser, 1600, name, height=1000) for name in SCHEMES}
        for shown in both.values():
            await shown.open(NODES[0])
            await shown["#keys-list button"].nth(3).click(timeout=PATIENCE_MS)

        async def is_accepted() -> bool:
            return (await http.change_view(NODES[0], [*LATER, NEW], "?wait=false")).status == 202

        await eventually(is_accepted, "the change accepted")
        await processes[DEAD].kill()
        for shown in both.values():
            await shown["#problems-list .badge"].first.wait_for()
            await shown.page.evaluate("scrollTo(0, 0)")

        async def is_under_way() -> bool:
            bar = both["light"]["#moving [role=progressbar]"]
            return int(await bar.get_attribute("aria-valuenow") or 0) >= MOVED_PERCENT

        await eventually(is_under_way, "keys on their way")
        await asyncio.gather(*(picture(shown, PICTURES / f"page-{name}.png") for name, shown in both.items()))
        await terminal_picture(browser, NODES[0], ["status"], PICTURES / "terminal.png")
    for task in clients:
        task.cancel()
    await asyncio.wait(clients)


async def main() -> None:
    minutes = float(os.environ.get("MINUTES") or 8)
    PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        async with client(BUSY_S) as http:
            processes = Processes(Path(directory), http)
            processes.program = NODE
            try:
                await take(processes, http, minutes)
            finally:
                await processes.close()


if __name__ == "__main__":
    asyncio.run(main())
