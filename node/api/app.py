"""The aiohttp application: routes, JSON errors, and a way to end in order."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from node.api.admin import AdminApi
from node.api.admission import Admission
from node.api.answers import ANSWER, HttpAnswer, render_error, render_fault
from node.api.batch import BatchApi
from node.api.batch_lines import BATCH
from node.api.data import BODY_BYTES_MAX, KEYS, DataApi, answered_as
from node.api.doors import Doors
from node.api.export import ExportApi
from node.api.health import HealthApi
from node.api.index import IndexApi
from node.api.limiting import limiting
from node.api.listing import ListingApi
from node.api.metrics.exposition import MetricsApi
from node.api.openapi import OpenApi
from node.api.origins import own_origin
from node.api.protocol import MALFORMED, MethodNotAllowed, fault_of, is_of_bytes_sent
from node.api.query import without_options
from node.api.request_log import HEADER, RequestLog, id_of
from node.api.self_report import SelfReportApi
from node.api.tally import KEY_METHODS, KEY_ROUTE, OTHER, WAIT_ROUTE, Tally
from node.api.ui.routes import add_page
from node.api.waiting import WaitingApi, waits
from node.api.watch import WatchApi
from node.certificates import Certificates
from node.net.handshake import PATH
from node.net.pool import Peers
from node.node import Node
from node.timing.turns import Turns

log = logging.getLogger(__name__)

VIEW_CHANGE = "/kvs/view-change"


def make_app(
    node: Node,
    data: DataApi,
    peers: Peers,
    turns: Turns,
    tally: Tally,
    requests: RequestLog,
    admission: Admission,
    doors: Doors | None = None,
    certificates: Certificates | None = None,
) -> web.Application:
    """All that one TCP port answers: clients, operators and other nodes. `doors`: None: anybody may do anything.
    `certificates`: None: in the clear."""
    middlewares = [
        counting(tally),
        noting(requests),
        json_errors,
        own_origin,
        *([] if doors is None else [doors.check]),
        limiting(admission, route_of),
    ]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_BYTES_MAX)
    admin, batch = AdminApi(node), BatchApi(node.config, node.batching, tally)
    keys = KEYS + r"{key:[\s\S]*}"
    app.router.add_get(keys, WaitingApi(data, node.hub, node.config.client_check_s).get)
    app.router.add_put(keys, data.handle)
    app.router.add_delete(keys, data.handle)
    app.router.add_post(BATCH, without_options(batch.handle))
    app.router.add_get("/kvs/keys", ListingApi(node.whole_store.lister).keys)
    app.router.add_get("/kvs/export", ExportApi(node.whole_store.exporter).export)
    app.router.add_get("/kvs/watch", WatchApi(node.hub, node.expiry_now_ms).watch)
    app.router.add_get("/kvs/key-count", admin.key_count)
    app.router.add_get("/kvs/shards", admin.shards)
    app.router.add_get("/kvs/shards/{id}", admin.shard)
    for path, handler in _reports(node, admin).items():
        app.router.add_get(path, without_options(handler))
    app.router.add_get(VIEW_CHANGE, without_options(admin.view_change_progress))
    app.router.add_put(VIEW_CHANGE, admin.view_change)
    app.router.add_delete(VIEW_CHANGE, admin.take_back)
    health = HealthApi(node, turns)
    app.router.add_get("/livez", health.live)
    app.router.add_get("/readyz", health.ready)
    metrics = MetricsApi(node, health, turns, tally, admission, certificates)
    app.router.add_get("/metrics", without_options(metrics.metrics))
    app.router.add_get("/openapi.json", without_options(OpenApi(has_tokens=doors is not None).describe))
    page = add_page(app.router, node, doors)
    app.router.add_get(PATH, peers.acceptor.serve, allow_head=False)
    app.on_response_prepare.append(_identify)
    app.on_shutdown.append(lambda _: batch.drain())
    app.on_shutdown.append(lambda _: page.feed.close())
    app.on_shutdown.append(lambda _: peers.acceptor.drain())
    return app


def _reports(node: Node, admin: AdminApi) -> Mapping[str, Handler]:
    """What can only be asked for, and takes no options, by path."""
    index = IndexApi(node.config.address).index
    return {
        "/kvs/status": admin.status,
        "/kvs/ring": admin.ring,
        "/kvs/node": SelfReportApi(node).report,
        "/": index,
        "/kvs": index,
    }


async def _identify(request: web.Request, response: web.StreamResponse) -> None:
    """The answer carries the id of its request, if that has one."""
    if HEADER not in response.headers and (id_ := id_of(request.headers)) is not None:
        response.headers[HEADER] = id_


def noting(requests: RequestLog) -> Middleware:
    """Has those requests logged that are worth it. What was sent bit by bit took its time on purpose, and so may a view
    change, and a read that waits for something new."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = requests.now()
        response = await handler(request)
        lasts = response.prepared or request.path == VIEW_CHANGE or route_of(request) == WAIT_ROUTE
        took_s = requests.now() - began
        if requests.is_worth_it(response.status, 0.0 if lasts else took_s) and not response.prepared:
            id_ = id_of(request.headers)
            path = request.raw_path.partition("?")[0]
            response.headers[HEADER] = requests.note(
                request.method, path, response.status, took_s, response.headers, id_
            )
        return response

    return note


def counting(tally: Tally) -> Middleware:
    """Counts what is answered, and takes the time of requests for keys."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = perf_counter()
        response = await handler(request)
        route, answer = route_of(request), response.get(ANSWER)
        if route == KEY_ROUTE and request.method in KEY_METHODS and answer is not None:
            tally.note_key(request.method, answer, perf_counter() - began)
        else:
            tally.note(route, request.method, response.status, None if answer is None else answer.reason)
        return response

    return count


def route_of(request: web.Request) -> str:
    """As it is counted."""
    resource = request.match_info.route.resource
    if resource is None:
        return OTHER
    return WAIT_ROUTE if resource.canonical == KEY_ROUTE and waits(request) else resource.canonical


@web.middleware
async def json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where faults, ours and aiohttp's, become answers. OPTIONS, which no handler takes, is told what the
    resource does take."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        fault = fault_of(error)
        if isinstance(fault, MethodNotAllowed) and request.method == "OPTIONS":
            return HttpAnswer(204, b"", fault.headers).for_aiohttp()
        return render_fault(answered_as(request.method), fault).for_aiohttp()
    except Exception as error:
        known = MALFORMED if is_of_bytes_sent(error, request) else error
        return render_error(answered_as(request.method), request.path, known).for_aiohttp()
