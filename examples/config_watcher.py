"""Keeps the settings of a program as the store has them: `python examples/config_watcher.py HOST:PORT PREFIX`.

Whenever something may have been missed, and at the beginning, all are read anew; then each change is followed.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import kvs


async def follow(endpoints: str, prefix: str) -> None:
    settings: dict[str, Any] = {}
    async with kvs.AsyncClient(endpoints) as client:
        async for event in client.watch(prefix):
            match event:
                case kvs.Gap():
                    settings = {entry.key: entry.value async for entry in client.scan(prefix)}
                case kvs.WasPut():
                    settings[event.key] = event.value
                case kvs.WasDeleted() | kvs.HasExpired():
                    settings.pop(event.key, None)
            print(dict(sorted(settings.items())), flush=True)


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], sys.argv[2]))
