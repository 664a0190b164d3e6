"""Sessions of an aiohttp application that outlive it: they are in the store, and expire there.

    KVS_ENDPOINTS=127.0.0.2:13800 PORT=8080 python examples/sessions.py
    curl -c jar -b jar localhost:8080               # {"visits": 1}
    curl -c jar -b jar localhost:8080               # {"visits": 2}
    curl -c jar -b jar -X DELETE localhost:8080     # forgotten

`sessions` is what an application takes over: a middleware that gives each request its session, a dict of what is JSON,
and stores it afterwards if it was changed. Any process of the application can serve the next request. Of two requests
that change one session at the same time, the second to end finds that out: its handler is run again, on what the first
has stored, so nothing is lost; a handler must be fit for that.
"""

import copy
import os
import secrets
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

import kvs

STORE = web.AppKey("store", kvs.AsyncClient)
SESSION = web.RequestKey("session", dict[str, Any])
TRIES = 10


def sessions(ttl: float, cookie: str = "session") -> Middleware:
    """`ttl`: in how many seconds a session ends that is not used any more."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        store = request.app[STORE]
        for _ in range(TRIES):
            name = request.cookies.get(cookie, "")
            found = await store.get(f"session/{name}") if name.isalnum() and len(name) == 32 else None
            if found is None:
                name = secrets.token_hex(16)  # Never one that a client has made up.
            before = {} if found is None else found.value
            session = request[SESSION] = copy.deepcopy(before)
            response = await handler(request)
            is_old = found is not None and (found.ttl or 0) < ttl / 2
            if session == before and not (session and is_old):
                return response
            try:
                await store_session(store, f"session/{name}", session, found, ttl)
            except kvs.ConditionFailed:
                continue
            response.set_cookie(cookie, name, max_age=int(ttl), httponly=True, samesite="Lax")
            return response
        raise web.HTTPServiceUnavailable(text="Too many requests at once change this session.")

    return middleware


async def store_session(
    store: kvs.AsyncClient, key: str, session: dict[str, Any], found: kvs.Found | None, ttl: float
) -> None:
    """Raises kvs.ConditionFailed if somebody else has changed it since it was `found`."""
    if found is None:
        await store.put_if(key, session, must_not_exist=True, ttl=ttl)
    elif session:
        await store.put_if(key, session, version=found.version, ttl=ttl)
    else:
        await store.delete(key, if_version=found.version)


@web.middleware
async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except kvs.KvsError as fault:
        raise web.HTTPServiceUnavailable(text=str(fault)) from fault


async def greet(request: web.Request) -> web.Response:
    session = request[SESSION]
    session["visits"] = session.get("visits", 0) + 1
    return web.json_response(session)


async def forget(request: web.Request) -> web.Response:
    request[SESSION].clear()
    return web.Response(status=204)


async def application() -> web.Application:
    app = web.Application(middlewares=[tell, sessions(ttl=1800)])
    app[STORE] = kvs.AsyncClient(os.environ["KVS_ENDPOINTS"])
    app.on_cleanup.append(lambda app: app[STORE].close())
    app.add_routes([web.get("/", greet), web.delete("/", forget)])
    return app


if __name__ == "__main__":
    web.run_app(application(), host=os.environ.get("HOST", "localhost"), port=int(os.environ["PORT"]), print=None)
