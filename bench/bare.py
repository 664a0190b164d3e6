"""The yardstick: an aiohttp application with the store's route and the store's answers, and no store behind them.

Run as `python -m bench.bare`, with the `ADDRESS` and the `VALUE` that every key has in its environment.
"""

from __future__ import annotations

import os

import uvloop
from aiohttp import web

from gossip.view import host_of, port_of
from node.api.answers import JSON_HEADERS, RETRIEVED, UPDATED


def make_app(value: bytes) -> web.Application:
    found, updated = b"{" + RETRIEVED + value + b"}", b"{" + UPDATED + b"}"

    async def get(request: web.Request) -> web.Response:
        return web.Response(body=found, headers=JSON_HEADERS)

    async def put(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=updated, headers=JSON_HEADERS)

    app = web.Application()
    app.router.add_get("/kvs/keys/{key}", get)
    app.router.add_put("/kvs/keys/{key}", put)
    return app


if __name__ == "__main__":
    address = os.environ["ADDRESS"]
    web.run_app(
        make_app(os.environ["VALUE"].encode()),
        host=host_of(address),
        port=port_of(address),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )
