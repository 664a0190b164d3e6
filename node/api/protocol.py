"""aiohttp's protocol, and what it lacks: JSON for what it refuses by itself; an end for clients that are late, slow, or
send no more.

It serves what `fastpath` hands over, to the end of the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from aiohttp import EMPTY_PAYLOAD, StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from node.api.admission import Bounds, Dropped, Visit, end_stay, hold
from node.api.answers import render_fault
from node.api.head_watch import HeadTooLarge, HeadTooSlow, HeadWatch
from node.api.request_line import RequestLine
from node.api.staleness import Staleness, is_link
from node.api.wire import as_sent
from node.errors import NotFound, RequestFault, TooLarge, Unavailable

LINE_BYTES_MAX = 8192
"""Of a path."""
FIELD_BYTES_MAX = 8190
"""Of the name or the value of a header. Not the same number as for a path: by that, aiohttp tells which it was."""
AFTER_ANSWER_BYTES = 2 * 1024 * 1024
"""Of a body whose request was refused before it had come: as much is read and dropped, so that a client which sends all
before it reads gets its answer. That is more than any body that would be taken."""
AFTER_ANSWER_S = 1.0
"""Then nothing more is read, and so long after that its connection is closed, by when it has the answer if it reads."""
TOO_MANY_HEADERS = "Too many headers"
"""What aiohttp says of those."""

log = logging.getLogger(__name__)


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


MALFORMED = NotHttp("Malformed request", 400)


def fault_of(error: web.HTTPException) -> RequestFault:
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


def is_of_bytes_sent(error: BaseException | None, request: web.BaseRequest) -> bool:
    """Whether `error` comes of a refusal in which aiohttp repeats a header of the request that is no text."""
    return isinstance(error, UnicodeEncodeError) and any(
        not value.isascii() and value in error.object for value in request.headers.values()
    )


class JsonProtocol(web.RequestHandler):
    """aiohttp's protocol, except that what it refuses before any handler is asked is answered in JSON too, without a
    traceback in the log; that a client whose bytes are late is reset; and that one which sends no more, but still
    listens, is answered what it has sent whole before its connection ends."""

    def __init__(self, manager: web.Server, staleness: Staleness, bounds: Bounds, **settings: Any) -> None:
        super().__init__(manager, max_line_size=LINE_BYTES_MAX, max_field_size=FIELD_BYTES_MAX, **settings)
        self._staleness = staleness
        self._admission = bounds.admission
        self._answer_s = bounds.answer_s
        self._heads = HeadWatch(self._loop, bounds.head_s, self._give_up)
        self._visit: Visit | None = None
        self._is_lost = False
        self._ending: asyncio.TimerHandle | None = None
        self._is_last = False
        """The next answer is the last."""
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
        self._after_answer = 0
        """Bytes of the newest body that came once its request was answered."""
        self._shutting: asyncio.TimerHandle | None = None

    def take_over(
        self,
        transport: asyncio.Transport,
        start: bytes,
        is_all: bool,
        visit: Visit | None = None,
        is_last: bool = False,
    ) -> None:
        """See `fastpath.Successor`. A node is no visitor; and whoever began as one is not served as a client after
        that."""
        self._is_link = is_link(start)
        self._visit, self._is_last = visit, is_last or self._is_link
        if self._is_link:
            self._leave()
        self.connection_made(transport)
        assert self._task_handler is not None
        self._task_handler.add_done_callback(lambda _: self._end_soon(transport))
        self._parse(start)
        if is_all and not self.eof_received():
            self.force_close()

    def data_received(self, data: bytes) -> None:
        """aiohttp pauses reading as it likes, so the connection counts as one that is read from now on."""
        transport, staleness = self.transport, self._staleness
        if self._is_garbled or self._shutting is not None:
            return
        if not self._is_link and transport is not None and not staleness.admit_more(data, staleness.inlet(transport)):
            transport.abort()
        else:
            self._parse(data)
            if self._answered == self._request_count and not self._newest_body.is_eof():
                self._bound_rest(len(data))

    def _bound_rest(self, bytes_: int) -> None:
        """So much has come of a body that nobody reads. What is not read costs nothing; to decrypt it would."""
        self._after_answer += bytes_
        if self._after_answer > AFTER_ANSWER_BYTES and self.transport is not None and not self._is_link:
            self._pause_reading_for_buffer()
            self._shutting = self._loop.call_later(AFTER_ANSWER_S, self.force_close)

    def _parse(self, data: bytes) -> None:
        requests, body = self._request_count, self._newest_body
        body_is_open = not body.is_eof()
        super().data_received(self._line.encode(data))
        if self._request_count > requests and not body.is_eof():
            self._refuse_rest_of(body)
        self._note_newest()
        if body_is_open or self._request_count > requests:
            self._line.is_open = self._newest_body.is_eof() and not self._buffer_paused and not self._upgraded
        is_idle = self._answered == self._request_count and self._newest_body.is_eof()
        self._heads.note(data, is_begun=is_idle and not self._upgraded and not self._is_garbled)

    def _give_up(self, fault: RequestFault) -> None:
        """Of a head."""
        if isinstance(fault, HeadTooSlow):
            self._admission.dropped[Dropped.SLOW_HEAD] += 1
        if self.transport is not None:
            self.transport.write(as_sent(render_fault("GET", fault)))
        self.force_close()

    def _leave(self) -> None:
        if self._visit is not None:
            self._visit.leave()
            self._visit = None

    def _end_soon(self, transport: asyncio.Transport) -> None:
        """The connection is being closed. If its client does not take what it was sent last, that would never end."""
        if not self._is_lost:
            self._ending = self._loop.call_later(self._answer_s(0), transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._is_lost = True
        for timer in (self._ending, self._shutting):
            if timer is not None:
                timer.cancel()
        self._leave()
        self._heads.stop()
        super().connection_lost(exc)

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
        a part is missing is dropped, and a link to another node ends at once, as does all that is encrypted."""
        if self._messages and not self._newest_body.is_eof():
            self._messages.pop()
            self._answered, self._newest_body = self._answered + 1, EMPTY_PAYLOAD
        elif not self._newest_body.is_eof() or self._upgraded:
            return False
        self._is_all = self._answered < self._request_count
        is_encrypted = self.transport is not None and self.transport.get_extra_info("sslcontext") is not None
        return self._is_all and not is_encrypted

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):  # An `Expect` that cannot be met.
            resp = render_fault(request.method, fault_of(resp)).for_aiohttp()
        if self._is_last and not resp.prepared:
            resp.force_close()
        done = await self._send(request, resp, start_time)
        self._answered += 1
        self._after_answer = 0
        self._note_newest()
        if self._is_garbled and self._answered == self._request_count:
            self._newest_body.feed_eof()
        if self._is_all:
            self._end_with_last_answer()
        if self._messages:  # Whoever sends requests ahead lets others in between.
            await self._admission.turnstile.passed()
        return done

    async def _send(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """A client that does not take the answer is not waited for; until then it counts as being answered."""
        length = len(resp.body) if isinstance(resp, web.Response) and isinstance(resp.body, bytes) else 0
        try:
            hold(request, length)
        except Unavailable as fault:
            resp, length = render_fault(request.method, fault).for_aiohttp(), 0
        try:
            async with asyncio.timeout(self._answer_s(length)):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self._admission.dropped[Dropped.SLOW_READER] += 1
            if self.transport is not None:
                self.transport.abort()
            return resp, True
        finally:
            end_stay(request)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if is_of_bytes_sent(exc, request):
            return render_fault(request.method, MALFORMED).for_aiohttp()
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        log.debug("no HTTP from %s: %s", request.remote, message)
        response = render_fault(request.method, _no_http(exc, status)).for_aiohttp()
        response.force_close()
        return response


def _no_http(error: BaseException | None, status: int) -> RequestFault:
    """What aiohttp could not read, in our words."""
    match error:
        case LineTooLong(args=(_, limit, *_)) if str(limit) == str(LINE_BYTES_MAX):
            return NotHttp(f"Path is too long: more than {LINE_BYTES_MAX} bytes", 414)
        case LineTooLong():
            return HeadTooLarge(f"Header is too long: more than {FIELD_BYTES_MAX} bytes")
        case BadHttpMessage(message=str(message)) if message.startswith(TOO_MANY_HEADERS):
            return HeadTooLarge(TOO_MANY_HEADERS)
        case _:
            return NotHttp(MALFORMED.error, status)
