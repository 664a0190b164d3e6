"""A lock service over HTTP. Any number of these may run beside each other: all they know is in the store.

    KVS_ENDPOINTS=127.0.0.2:13800 PORT=8080 python examples/lock_service.py
    curl -X PUT 'localhost:8080/locks/nightly?owner=web1&ttl=30'    # take it, or renew it: 200, or 409 with who has it
    curl -X DELETE 'localhost:8080/locks/nightly?owner=web1'        # give it back: 204, or 409

Who got no answer asks again. A token is greater than all before it: pass it along, so that latecomers are found out.
"""

import os

from aiohttp import typedefs, web

import kvs

STORE = web.AppKey("store", kvs.AsyncClient)


async def take(request: web.Request) -> web.Response:
    store, name = request.app[STORE], f"lock/{request.match_info['name']}"
    owner, ttl = request.query["owner"], float(request.query["ttl"])
    if (found := await store.get(name)) is None:
        version, held = (await store.put_if(name, {"owner": owner}, must_not_exist=True, ttl=ttl)).version, {}
    else:
        version, held = found.version, found.value
    if held.get("owner", owner) != owner:
        return web.json_response(held, status=409)
    held = {"owner": owner, "token": held.get("token") or await store.counter("lock-tokens").increment()}
    await store.put_if(name, held, version=version, ttl=ttl)
    return web.json_response(held)


async def give_back(request: web.Request) -> web.Response:
    store, name = request.app[STORE], f"lock/{request.match_info['name']}"
    if (found := await store.get(name)) is None or found.value["owner"] != request.query["owner"]:
        return web.json_response(found and found.value, status=409)
    await store.delete(name, if_version=found.version)
    return web.Response(status=204)


@web.middleware
async def tell(request: web.Request, handler: typedefs.Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (KeyError, ValueError, kvs.BadRequest) as fault:
        return web.json_response({"error": f"owner and ttl, in seconds, are needed: {fault}"}, status=400)
    except kvs.KvsError as fault:  # With a 503, it may have been taken; then it is free once its ttl is over.
        return web.json_response({"error": str(fault)}, status=409 if isinstance(fault, kvs.ConditionFailed) else 503)


async def application() -> web.Application:
    app = web.Application(middlewares=[tell])
    app[STORE] = kvs.AsyncClient(os.environ["KVS_ENDPOINTS"])
    app.on_cleanup.append(lambda app: app[STORE].close())
    app.add_routes([web.put("/locks/{name}", take), web.delete("/locks/{name}", give_back)])
    return app


if __name__ == "__main__":
    web.run_app(application(), host=os.environ.get("HOST", "localhost"), port=int(os.environ["PORT"]), print=None)
