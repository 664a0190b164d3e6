"""`kvs.Client`: from any thread, from a prompt, and to its end, however that comes."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import kvs
from tests.kvs.command import NOWHERE
from tests.kvs.fake_store import FakeStore

PATIENCE_S = 40.0
"""Nothing that is waited for here takes a tenth of this on an idle machine."""


@pytest.fixture
def client(endpoint: str) -> Iterator[kvs.Client]:
    with kvs.Client(endpoint, timeout_s=PATIENCE_S) as client:
        yield client


def threads() -> list[threading.Thread]:
    """Those of clients."""
    return [thread for thread in threading.enumerate() if thread.name == "kvs client"]


def test_blocking_reads_and_writes(client: kvs.Client, store: FakeStore) -> None:
    assert client.get("k") is None
    stored = client.put("k", {"a": [1.5, None]})
    assert stored.replaced is False
    found = client.get("k")
    assert found is not None and (found.value, found.version) == ({"a": [1.5, None]}, stored.version)
    assert client.put_if("k", 2, version=found.version).replaced is True
    with pytest.raises(kvs.ConditionFailed):
        client.put_if("k", 3, must_not_exist=True)
    with pytest.raises(kvs.ConditionFailed):
        client.delete("k", if_version=found.version)
    assert client.delete("k") is True
    assert client.delete("k") is False


def test_blocking_lists_a_page_at_a_time(client: kvs.Client, store: FakeStore) -> None:
    store.values |= {b"k%02d" % n: b"%d" % n for n in range(30)}
    store.page_keys_max = 7
    assert [(entry.key, entry.value) for entry in client.scan("k1")] == [(f"k{n}", n) for n in range(10, 20)]
    assert list(client.keys(limit=10)) == [f"k{n:02}" for n in range(10)]
    store.asked.clear()
    assert next(client.keys()) == "k00"
    assert len(store.asked) == 1


def test_blocking_session_carries_its_context(client: kvs.Client, store: FakeStore) -> None:
    with client.session() as session:
        session.put("k", 1)
        session.get("k")
    assert b'"causal-context":{"seen":1}' in store.bodies[1].replace(b" ", b"")
    with pytest.raises(kvs.Misuse, match="the session is over"):
        session.get("k")


def test_blocking_serves_many_threads(client: kvs.Client, store: FakeStore) -> None:
    def work(n: int) -> int:
        client.put(f"k{n}", n)
        found = client.get(f"k{n}")
        assert found is not None
        return int(found.value) + 0 * client.counter("hits").increment()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(64))) == list(range(64))
    assert client.counter("hits").value() == 64
    assert len(threads()) == 1


def test_blocking_lock_is_held_by_one_thread_at_a_time(client: kvs.Client, store: FakeStore) -> None:
    inside = list[int]()

    def work(n: int) -> int:
        with client.lock("job", 30) as lock:
            inside.append(n)
            assert inside == [n] and lock.is_held
            time.sleep(0.005)
            inside.remove(n)
            return lock.token()

    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(work, range(8)))
    assert sorted(tokens) == list(range(1, 9))
    assert b"job" not in store.values


def test_blocking_lock_is_renewed_while_its_thread_does_something_else(client: kvs.Client, store: FakeStore) -> None:
    store.now = time.monotonic
    with client.lock("job", 1.5) as lock:
        time.sleep(2.0)
        assert lock.is_held and b"job" in store.values
    with pytest.raises(kvs.LockLost), client.lock("job", 30, timeout=0, holder="me"):
        store._write(b"job", b'{"id":"other","holder":"you"}')
    with pytest.raises(kvs.Locked, match="held by you"):
        client.lock("job", 30, timeout=0).__enter__()


def test_blocking_client_that_is_closed_does_not_wait_for_its_locks(endpoint: str) -> None:
    client = kvs.Client(endpoint)
    lock = client.lock("job", 600).__enter__()
    client.close()
    assert not lock.is_held and threads() == []


def test_blocking_closed_takes_nothing_more_and_leaves_no_thread(endpoint: str) -> None:
    client = kvs.Client(endpoint)
    counter, keys = client.counter("hits"), client.keys()
    client.put("k", 1)
    client.close()
    client.close()
    assert threads() == []
    for call in (lambda: client.get("k"), counter.value, lambda: next(keys)):
        with pytest.raises(kvs.Misuse, match="the client was closed"):
            call()


def test_blocking_closed_by_another_thread_ends_the_calls_under_way(endpoint: str, store: FakeStore) -> None:
    held = threading.Event()
    arrived = threading.Event()

    def hold(_method: str, _path: str) -> None:
        arrived.set()
        held.wait(PATIENCE_S)

    store.fault = hold
    client = kvs.Client(endpoint, timeout_s=PATIENCE_S)
    try:
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(client.put, "k", 1)
            assert arrived.wait(PATIENCE_S)
            client.close()
            with pytest.raises(kvs.OutcomeUnknown, match="the client was closed"):
                call.result(PATIENCE_S / 2)
    finally:
        held.set()


def test_blocking_that_nobody_holds_any_more_is_closed(endpoint: str) -> None:
    kvs.Client(endpoint).put("k", 1)
    gc.collect()
    deadline = time.monotonic() + PATIENCE_S
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []


def test_blocking_counter_and_session_hold_their_client(endpoint: str) -> None:
    counter, session = kvs.Client(endpoint).counter("hits"), kvs.Client(endpoint).session()
    gc.collect()
    assert counter.increment() == 1
    assert session.put("k", 1).replaced is False


def test_blocking_interrupted_call_ends_and_the_client_goes_on(endpoint: str, store: FakeStore) -> None:
    """In a process of its own, which takes interrupts: one that was begun in the background of a shell passes on that
    it does not."""
    arrived, held = threading.Event(), threading.Event()

    def hold(_method: str, path: str) -> None:
        if path == "/kvs/keys/slow":
            arrived.set()
            held.wait(PATIENCE_S)

    store.fault = hold
    code = f"""
import asyncio, kvs, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
with kvs.Client({endpoint!r}, timeout_s={PATIENCE_S}) as client:
    try:
        client.get("slow")
    except KeyboardInterrupt:
        deadline = time.monotonic() + {PATIENCE_S / 4}
        while (calls := asyncio.all_tasks(client._thread._loop)) and time.monotonic() < deadline:
            time.sleep(0.01)
        print(f"interrupted, {{len(calls)}} under way", flush=True)
    print(client.get("k"))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None and arrived.wait(PATIENCE_S)
        program.send_signal(signal.SIGINT)
        assert program.stdout.readline() == "interrupted, 0 under way\n"
        held.set()
        assert program.stdout.read() == "None\n"
    assert program.returncode == 0


def test_blocking_program_that_does_not_close_ends_all_the_same(endpoint: str) -> None:
    code = f"import kvs; client = kvs.Client({endpoint!r}); print(client.put('k', 1).replaced)"
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")


def test_blocking_child_of_a_fork_is_told_to_make_its_own(endpoint: str) -> None:
    code = f"""
import os, kvs
client = kvs.Client({endpoint!r})
client.put("k", 1)
if os.fork() == 0:
    try:
        client.get("k")
    except kvs.Misuse as misuse:
        print(misuse, flush=True)
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=True, capture_output=True, text=True)
    assert "does not outlive a fork" in done.stdout


def test_blocking_that_reaches_nobody_says_so() -> None:
    with kvs.Client(NOWHERE, timeout_s=0.3) as client, pytest.raises(kvs.Unreachable):
        client.get("k")


def test_blocking_batch_gives_results_in_order_from_any_number_of_operations(client: kvs.Client) -> None:
    operations = [kvs.Put(f"k{n}", n) if n % 2 == 0 else kvs.Get(f"k{n - 1}") for n in range(5000)]
    told = list(client.batch(iter(operations)))
    assert len(told) == 5000
    for n in range(0, 5000, 2):
        stored, found = told[n], told[n + 1]
        assert isinstance(stored, kvs.Stored) and not stored.replaced
        assert isinstance(found, kvs.Found) and found.value == n


def test_blocking_batch_takes_operations_in_the_thread_of_the_caller(client: kvs.Client, store: FakeStore) -> None:
    """So they may make calls themselves."""
    client.put("a", 7)

    def operations() -> Iterator[kvs.Put]:
        for n in range(10):
            found = client.get("a")
            assert found is not None
            yield kvs.Put(f"k{n}", found.value)

    assert len(list(client.batch(operations()))) == 10
    assert store.values[b"k9"] == b"7"


def test_blocking_batch_raises_what_its_operations_raise_after_the_results_before(client: kvs.Client) -> None:
    def operations() -> Iterator[kvs.Put]:
        yield from (kvs.Put(f"k{n}", n) for n in range(300))
        raise LookupError("mine")

    told = []
    with pytest.raises(LookupError, match="mine"):
        for result in client.batch(operations()):
            told.append(result)
    assert [type(result) for result in told] == [kvs.Stored] * 300


def test_blocking_batch_may_be_left_and_outlive_its_client(endpoint: str) -> None:
    with kvs.Client(endpoint, timeout_s=PATIENCE_S) as client:
        told = client.batch(kvs.Put(f"k{n}", n) for n in range(100_000))
        assert isinstance(next(told), kvs.Stored)
        told.close()  # type: ignore[attr-defined]
        client.put("a", 1)
        late = client.batch([kvs.Get("a")])
        assert isinstance(next(late), kvs.Found)
    with pytest.raises(kvs.Misuse):
        next(late)


def test_blocking_export_tells_all_and_may_be_left(client: kvs.Client, store: FakeStore) -> None:
    store.values = {b"k%d" % n: b"%d" % n for n in range(1000)}
    assert {entry.key: entry.value for entry in client.export()} == {f"k{n}": n for n in range(1000)}
    left = client.export("k1")
    next(left)
    left.close()  # type: ignore[attr-defined]
    assert client.get("k7") is not None


def test_blocking_sends_its_token(endpoint: str, store: FakeStore) -> None:
    store.token, store.values[b"k"] = "t1", b"7"
    with kvs.Client(endpoint, token="t1") as client:
        found = client.get("k")
        assert found is not None and found.value == 7
    with kvs.Client(endpoint) as client, pytest.raises(kvs.NotAllowed):
        client.get("k")
