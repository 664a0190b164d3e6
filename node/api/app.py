"""The aiohttp application: routes, JSON errors, and a way to end in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.typedefs import Handler, Middleware

from node.api.admin import AdminApi
from node.api.answers import ANSWER, HttpAnswer, render_error, render_fault
from node.api.batch import BatchApi
from node.api.batch_lines import BATCH
from node.api.data import BODY_BYTES_MAX, KEYS, DataApi, answered_as
from node.api.doors import Doors
from node.api.export import ExportApi
from node.api.health import HealthApi
from node.api.index import IndexApi
from node.api.listing import ListingApi
from node.api.metrics.exposition import MetricsApi
from node.api.origins import own_origin
from node.api.query import without_options
from node.api.request_line import RequestLine
from node.api.request_log import HEADER, RequestLog, id_of
from node.api.self_report import SelfReportApi
from node.api.staleness import Staleness, is_link
from node.api.tally import KEY_METHODS, KEY_ROUTE, OTHER, WAIT_ROUTE, Tally
from node.api.ui.routes import add_page
from node.api.waiting import WaitingApi, waits
from node.api.watch import WatchApi
from node.errors import NotFound, RequestFault, TooLarge
from node.net.handshake import PATH
from node.net.pool import Peers
from node.node import Node
from node.timing.turns import Turns

log = logging.getLogger(__name__)

VIEW_CHANGE = "/kvs/view-change"


class MethodNotAllowed(RequestFault):
    status = 405

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__("Method not allowed")
        self.headers = {"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))}


class NotHttp(RequestFault):
    """What aiohttp refuses before any handler is asked."""

    def __init__(self, error: str, status: int) -> None:
        super().__init__(error)
        self.status = status


def make_app(
    node: Node,
    data: DataApi,
    peers: Peers,
    turns: Turns,
    tally: Tally,
    requests: RequestLog,
    doors: Doors | None = None,
) -> web.Application:
    """All that one TCP port answers: clients, operators and other nodes. `doors`: None: anybody may do anything."""
    middlewares = [
        counting(tally),
        noting(requests),
        json_errors,
        own_origin,
        *([] if doors is None else [doors.check]),
    ]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_BYTES_MAX)
    admin, batch = AdminApi(node), BatchApi(node.config, node.batching, tally)
    keys = KEYS + r"{key:[\s\S]*}"
    app.router.add_get(keys, WaitingApi(data, node.hub, node.config.client_check_s).get)
    app.router.add_put(keys, data.handle)
    app.router.add_delete(keys, data.handle)
    app.router.add_post(BATCH, batch.handle)
    app.router.add_get("/kvs/keys", ListingApi(node.whole_store.lister).keys)
    app.router.add_get("/kvs/export", ExportApi(node.whole_store.exporter).export)
    app.router.add_get("/kvs/watch", WatchApi(node.hub, node.expiry_now_ms).watch)
    for path, handler in _reports(node, admin).items():
        app.router.add_get(path, without_options(handler))
    app.router.add_get(VIEW_CHANGE, without_options(admin.view_change_progress))
    app.router.add_put(VIEW_CHANGE, admin.view_change)
    app.router.add_delete(VIEW_CHANGE, admin.take_back)
    health = HealthApi(node, turns)
    app.router.add_get("/livez", health.live)
    app.router.add_get("/readyz", health.ready)
    app.router.add_get("/metrics", without_options(MetricsApi(node, health, turns, tally).metrics))
    page = add_page(app.router, node, doors)
    app.router.add_get(PATH, peers.acceptor.serve, allow_head=False)
    app.on_response_prepare.append(_identify)
    app.on_shutdown.append(lambda _: batch.drain())
    app.on_shutdown.append(lambda _: page.feed.close())
    app.on_shutdown.append(lambda _: peers.acceptor.drain())
    return app


def _reports(node: Node, admin: AdminApi) -> Mapping[str, Handler]:
    """What can only be asked for, by path."""
    index = IndexApi(node.config.address).index
    return {
        "/kvs/key-count": admin.key_count,
        "/kvs/shards": admin.shards,
        "/kvs/shards/{id}": admin.shard,
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
        fault = _fault_of(error)
        if isinstance(fault, MethodNotAllowed) and request.method == "OPTIONS":
            return HttpAnswer(204, b"", fault.headers).for_aiohttp()
        return render_fault(answered_as(request.method), fault).for_aiohttp()
    except Exception as error:
        return render_error(answered_as(request.method), request.path, error).for_aiohttp()


def _fault_of(error: web.HTTPException) -> RequestFault:
    """What aiohttp found wrong with a request, in our words."""
    match error:
        case web.HTTPMethodNotAllowed():
            return MethodNotAllowed(error.allowed_methods)
        case web.HTTPRequestEntityTooLarge():
            return TooLarge("Value is too large")
        case web.HTTPNotFound():
            return NotFound("Not found")
        case _:
            return NotHttp(error.reason, error.status)


class JsonProtocol(web.RequestHandler):
    """aiohttp's protocol, except that what it refuses before any handler is asked is answered in JSON too, without a
    traceback in the log; that a client whose bytes are late is reset; and that one which sends no more, but still
    listens, is answered what it has sent whole before its connection ends."""

    def __init__(self, manager: web.Server, staleness: Staleness, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._staleness = staleness
        self._is_link = False
        self._is_all = False
        """The client sends no more, but waits for answers."""
        self._is_garbled = False
        """What the client sends makes no sense any more: it is not looked at."""
        self._answered = 0
        """How many of the requests that have begun to arrive are answered."""
        self._newest_body = EMPTY_PAYLOAD
        """That of the last request that has begun to arrive."""
        self._line = RequestLine()

    def take_over(self, transport: asyncio.Transport, start: bytes, is_all: bool) -> None:
        """Serve this connection from here on, beginning with `start`, which has been admitted. `is_all`: its client
        sends no more."""
        self._is_link = is_link(start)
        self.connection_made(transport)
        self._parse(start)
        if is_all and not self.eof_received():
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """aiohttp pauses reading as it likes, so the connection counts as one that is read from now on."""
        transport, staleness = self.transport, self._staleness
        if self._is_garbled:
            return
        if not self._is_link and transport is not None and not staleness.admit_more(data, staleness.inlet(transport)):
            transport.abort()
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        requests, body = self._request_count, self._newest_body
        body_is_open = not body.is_eof()
        super().data_received(self._line.encode(data))
        if self._request_count > requests and not body.is_eof():
            self._refuse_rest_of(body)
        self._note_newest()
        if body_is_open or self._request_count > requests:
            self._line.is_open = self._newest_body.is_eof() and not self._buffer_paused and not self._upgraded

    def _refuse_rest_of(self, body: StreamReader) -> None:
        """What has come can be no part of this body. aiohttp takes it for another request, and would leave whoever
        waits for the body waiting; who has just been woken learns it once it waits again."""
        self._is_garbled = True
        self._messages.pop()
        self._answered += 1
        if self._answered < self._request_count:
            fault = web.RequestPayloadError("malformed")
            body.set_exception(fault)
            self._loop.call_soon(body.set_exception, fault)
        else:
            body.feed_eof()
        self._end_with_last_answer()

    def _end_with_last_answer(self) -> None:
        self._is_all = True
        if self._answered == self._request_count:
            self.close()

    def _note_newest(self) -> None:
        if self._messages:
            self._newest_body = self._messages[-1][1]

    @property
    def sends_no_more(self) -> bool:
        """Whether nothing more is taken from the client."""
        return self._is_all

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes what is true for "leave it open".
        """The client sends no more. True: it has yet to be answered; the connection ends once it is. A request of which
        a part is missing is dropped, and a link to another node ends at once."""
        if self._messages and not self._newest_body.is_eof():
            self._messages.pop()
            self._answered, self._newest_body = self._answered + 1, EMPTY_PAYLOAD
        elif not self._newest_body.is_eof() or self._upgraded:
            return False
        self._is_all = self._answered < self._request_count
        return self._is_all

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):  # An `Expect` that cannot be met.
            resp = render_fault(request.method, _fault_of(resp)).for_aiohttp()
        done = await super().finish_response(request, resp, start_time)
        self._answered += 1
        self._note_newest()
        if self._is_garbled and self._answered == self._request_count:
            self._newest_body.feed_eof()
        if self._is_all:
            self._end_with_last_answer()
        return done

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.debug("no HTTP from %s: %s", request.remote, message)
        response = render_fault(request.method, NotHttp("Malformed request", status)).for_aiohttp()
        response.force_close()
        return response
