"""The load asks for each key in turn, counts every answer once, and says what has gone wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from bench.peers.generator import Job, Result, run
from bench.peers.histogram import Histogram

VALUE = "some value"
FOUND = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE.encode())


@contextmanager
def answering(answer: Callable[[bytes], bytes]) -> Iterator[str]:
    """The address of a server that answers each piece that comes with what that makes of it, and hangs up at b""."""

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):  # The load has left.
            while piece := connection.recv(4096):
                if not (told := answer(piece)):
                    return
                connection.sendall(told)

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # It was closed: the test is over.
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def a_job(address: str, **changes: object) -> Job:
    job = Job(address, "redis", "GET", [f"key{number}" for number in range(20)], VALUE, 4, 0.0, 0.2)
    return msgspec.structs.replace(job, **changes)


def taken(result: Result) -> Histogram:
    return Histogram.counted(result.counts)


def test_load_of_each_key_once_asks_for_no_other_and_ends() -> None:
    asked = []

    def answer(piece: bytes) -> bytes:
        asked.append(piece)
        return b"+OK\r\n"

    with answering(answer) as address:
        result = run(a_job(address, method="PUT", duration_s=20.0, once=True))
    assert (result.answered, result.failed, taken(result).count) == (20, 0, 20)
    assert len(set(asked)) == 20 and all(VALUE.encode() in piece for piece in asked)


def test_closed_loop_asks_for_its_keys_again_and_again() -> None:
    asked = list[bytes]()

    def answer(piece: bytes) -> bytes:
        asked.append(piece[-4:-2])
        return FOUND

    with answering(answer) as address:
        result = run(a_job(address, keys=["k1", "k2"], connections=1, duration_s=1.0))
    assert asked[:4] == [b"k1", b"k2", b"k1", b"k2"]
    assert result.failed == 0 and result.busy > 0
    assert taken(result).count == pytest.approx(result.per_second)


def test_open_loop_asks_as_often_as_it_was_told() -> None:
    with answering(lambda _: FOUND) as address:
        result = run(a_job(address, per_second=200.0, duration_s=0.5))
    assert result.answered == taken(result).count == 100


def test_open_loop_counts_the_waiting_behind_a_server_that_stands_still() -> None:
    """On one connection: the first answer takes 0.3 s, while thirty more requests become due."""
    first = threading.Event()

    def answer(_: bytes) -> bytes:
        if not first.is_set():
            first.set()
            time.sleep(0.3)
        return FOUND

    with answering(answer) as address:
        result = run(a_job(address, connections=1, per_second=100.0, duration_s=0.4))
    assert taken(result).count == 40
    assert taken(result).percentile_ms(1.0) >= 300
    assert taken(result).percentile_ms(0.01) < 1000, "each has the moment that it was asked at"
    assert taken(result).percentile_ms(0.5) >= 90, "the half that was due first waited at least so long"
    assert result.late_p99_ms >= 250


@pytest.mark.parametrize("answer", [b"-ERR no\r\n", b"$-1\r\n", b"$3\r\nabc\r\n"])
def test_errors_misses_and_answers_without_room_for_the_value_are_failures(answer: bytes) -> None:
    with answering(lambda _: answer) as address:
        result = run(a_job(address, duration_s=20.0, once=True))
    assert result.failed == result.answered == 20
    assert result.failure == answer.decode()


def test_answer_in_pieces_is_one() -> None:
    with answering(lambda _: b"$5000\r\n" + bytes(5000) + b"\r\n") as address:
        result = run(a_job(address, value="v" * 5000, duration_s=20.0, once=True))
    assert (result.answered, result.failed) == (20, 0)


def test_server_that_hangs_up_ends_the_load() -> None:
    with answering(lambda _: b"") as address, pytest.raises(ConnectionError):
        run(a_job(address))
