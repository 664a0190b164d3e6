"""The one load for all that are compared: connections with one request on the way each, in a closed or an open loop.

A process of its own, told by one JSON `Job` on stdin, answering with one JSON `Result` on stdout. The same code asks
the node, Redis and etcd, so that none has the better client: `redis-benchmark` beside `wrk` compares programs that
count differently, and neither has an open loop. It has to say what it costs itself: where `busy` comes close to 1, the
load is what was measured. So there is no event loop: sockets and one epoll, requests made beforehand, and what is to be
said of the answers worked out after the last one.
"""

from __future__ import annotations

import contextlib
import gc
import select
import socket
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import msgspec

from bench.peers.dialects import Dialect, Method, Name, dialect
from bench.peers.histogram import Histogram
from bench.peers.pace import NS_PER_S, Closed, Open, Pace, per_second
from gossip.view import host_of, port_of

PATIENCE_S = 2.0
"""That an open loop waits for answers after its last moment."""
RECEIVE_BYTES = 4096
FAILURE_BYTES = 40
"""Of a failed answer are told: its status line."""
KEEP_BYTES_MAX = 1 << 20
"""More than this without the end of an answer is no answer to what is asked here."""


class Job(msgspec.Struct, frozen=True):
    address: str
    dialect: Name
    method: Method
    keys: list[str]
    """Asked for in turn."""
    value: str
    """Of each key."""
    connections: int
    warm_up_s: float
    duration_s: float
    per_second: float | None = None
    """Of an open loop."""
    once: bool = False
    """Each key, in a closed loop."""


class Result(msgspec.Struct, frozen=True):
    answered: int
    """All, those of the warm-up too."""
    failed: int
    """In a sound measurement, none."""
    failure: str
    """How the first answer of those began."""
    per_second: float
    """Answered, of those that count."""
    counts: list[tuple[int, int]]
    """Of the histogram of how long they took."""
    busy: float
    """Processor time of this process, as a share of one processor."""
    late_p99_ms: float
    """That requests were sent after their moment: in an open loop with connections to spare, the load's own fault."""


class Connection:
    __slots__ = ("asked_ns", "buffer", "recv", "send", "socket")

    def __init__(self, made: socket.socket) -> None:
        self.socket = made
        self.send, self.recv = made.send, made.recv
        self.buffer = b""
        self.asked_ns = 0


class Load:
    """Asks at a pace until that is over."""

    def __init__(self, spoken: Dialect, requests: list[bytes], least: int, connections: list[Connection]) -> None:
        """`least`: the bytes that a successful answer has."""
        self._requests, self._judge, self._least = cycle(requests), spoken.judge, least
        self._connections = {each.socket.fileno(): each for each in connections}
        self._idle = list(connections)
        self.failed = 0
        self.failure = b""
        self.asked_ns: list[int] = []
        self.answered_ns: list[int] = []
        self.late_ns: list[int] = []

    def run(self, pace: Pace) -> None:
        """Raises ConnectionError if a connection is closed."""
        clock, idle = time.perf_counter_ns, self._idle
        with select.epoll() as poller:
            for number in self._connections:
                poller.register(number, select.EPOLLIN)
            while (now := clock()) < pace.last_ns:
                while idle and (moment := pace.take(now)) is not None:
                    self._ask(idle.pop(), moment, now)
                    now = clock()
                if len(idle) == len(self._connections) and pace.is_over(now):
                    return
                self._read(_ready(poller, (pace.next_ns() if idle else pace.last_ns) - now), pace)

    def _read(self, ready: Sequence[tuple[int, int]], pace: Pace) -> None:
        """What has come, and ask again where that is a whole answer. Nearly all of the load's own time passes here."""
        clock, judge, take = time.perf_counter_ns, self._judge, pace.take
        note_asked, note_answered = self.asked_ns.append, self.answered_ns.append
        for number, _ in ready:
            connection = self._connections[number]
            data = connection.recv(RECEIVE_BYTES)
            if not data:
                raise ConnectionError("the server closed a connection")
            if connection.buffer:
                data = connection.buffer + data
            judged = judge(data)
            if judged is None:
                if len(data) > KEEP_BYTES_MAX:
                    raise ConnectionError("an answer without an end")
                connection.buffer = data
                continue
            if not judged or len(data) < self._least:
                self.failed += 1
                self.failure = self.failure or data[:FAILURE_BYTES]
            connection.buffer = b""
            now = clock()
            note_asked(connection.asked_ns)
            note_answered(now)
            moment = take(now)
            if moment is None:
                self._idle.append(connection)
            else:
                self._ask(connection, moment, now)

    def _ask(self, connection: Connection, moment_ns: int, now_ns: int) -> None:
        request = next(self._requests)
        connection.asked_ns = moment_ns
        self.late_ns.append(now_ns - moment_ns)
        if connection.send(request) != len(request):
            raise ConnectionError("a request did not fit into an empty socket")


def _connected(address: str) -> Connection:
    made = socket.create_connection((host_of(address), port_of(address)))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    return Connection(made)


def _ready(poller: select.epoll, timeout_ns: int) -> list[tuple[int, int]]:
    """Those that can be read, once there are some or the time is over. epoll counts in milliseconds, an open loop in
    microseconds; but an epoll can itself be waited for."""
    if timeout_ns <= 0:
        return poller.poll(0)
    if timeout_ns < NS_PER_S // 10:
        select.select([poller], [], [], timeout_ns / NS_PER_S)
        return poller.poll(0)
    return poller.poll(timeout_ns / NS_PER_S)


def run(job: Job) -> Result:
    spoken = dialect(job.dialect, job.address)
    is_read = job.method == "GET"
    requests = [spoken.get(key) if is_read else spoken.put(key, job.value) for key in job.keys]
    connections = [_connected(job.address) for _ in range(job.connections)]
    load = Load(spoken, requests, len(job.value) if is_read else 0, connections)
    began_ns, cpu_began_ns = time.perf_counter_ns(), time.process_time_ns()
    pace: Pace
    if job.per_second is None:
        pace = Closed(began_ns, job.warm_up_s, job.duration_s, len(job.keys) if job.once else None)
    else:
        pace = Open(began_ns, job.warm_up_s, job.duration_s, job.per_second, PATIENCE_S)
    load.run(pace)
    busy = (time.process_time_ns() - cpu_began_ns) / (time.perf_counter_ns() - began_ns)
    for connection in connections:
        connection.socket.close()
    return Result(
        answered=len(load.answered_ns),
        failed=load.failed,
        failure=load.failure.decode(errors="replace"),
        per_second=per_second(pace, load.answered_ns),
        counts=Histogram(pace.taken_ns(zip(load.asked_ns, load.answered_ns, strict=True))).counts(),
        busy=busy,
        late_p99_ms=Histogram(load.late_ns).percentile_ms(0.99),
    )


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    gc.disable()  # Nothing here goes in circles, and a collection would be felt as a slow answer.
    with contextlib.suppress(OSError):  # Unless the kernel has this, it wakes an open loop up to 50 us late.
        Path("/proc/self/timerslack_ns").write_text("1")
    try:
        result = run(job)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    sys.stdout.buffer.write(msgspec.json.encode(result))


if __name__ == "__main__":
    main()
