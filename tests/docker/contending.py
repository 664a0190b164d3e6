"""One of the processes that contend for a counter or a lock: `python -m tests.docker.contending WAY TIMES ENDPOINTS`.

Prints as JSON what it was told. WAY: `counter` counts with `Client.counter`; `by-hand` as somebody would with curl,
reading and writing on condition, each time through any node; `lock` takes `Client.lock`, and inside makes a file that
must not be there, in the directory it runs in.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from pathlib import Path
from typing import NamedTuple

import kvs

COUNTER, BY_HAND, LOCK = "counter", "by-hand", "lock"
INSIDE = Path("inside")
TTL_S = 10.0
TIMEOUT_S = 10.0
"""For an answer."""
RETRY_S = 0.05
"""After an answer that is none, or at most, by chance, after somebody else was faster."""


class Told(NamedTuple):
    counted: list[int]
    """What it was told that it has made of the counter; of the lock, its tokens."""
    unknown: int
    """How often nobody could tell whether it has counted, or it has lost the lock."""


def count(endpoints: list[str], times: int) -> Told:
    counted, unknown = list[int](), 0
    with kvs.Client(endpoints) as client:
        counter = client.counter(COUNTER)
        while len(counted) < times:
            try:
                counted.append(counter.increment())
            except kvs.OutcomeUnknown:
                unknown += 1
            except kvs.KvsError:
                time.sleep(RETRY_S)
    return Told(counted, unknown)


def count_by_hand(endpoints: list[str], times: int) -> Told:
    counted, unknown = list[int](), 0
    while len(counted) < times:
        found = _ask(random.choice(endpoints), "GET")
        if found is None or found[0] != 200:
            time.sleep(RETRY_S)
            continue
        _, tag, value = found
        changed = _ask(random.choice(endpoints), "PUT", value + 1, tag)
        if changed is None or changed[0] == 503:
            unknown += 1
        elif changed[0] == 200:
            counted.append(value + 1)
        elif changed[0] == 412:
            time.sleep(random.uniform(0, RETRY_S))
        else:
            raise AssertionError(f"a PUT with If-Match got {changed[0]}")
    return Told(counted, unknown)


def _ask(endpoint: str, method: str, value: int | None = None, tag: str = "") -> tuple[int, str, int] | None:
    """Status, ETag and value of the answer; None: there was none."""
    connection = http.client.HTTPConnection(endpoint, timeout=TIMEOUT_S)
    try:
        body = None if value is None else json.dumps({"value": value})
        connection.request(method, f"/kvs/keys/{BY_HAND}", body, {} if value is None else {"If-Match": tag})
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        return reply.status, reply.headers.get("ETag", ""), answer.get("value", 0)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def visit(endpoints: list[str], times: int) -> Told:
    tokens, lost = list[int](), 0
    with kvs.Client(endpoints) as client:
        while len(tokens) < times:
            try:
                with client.lock(LOCK, TTL_S) as lock:
                    token = lock.token()
                    if lock.is_held:
                        with INSIDE.open("x"):
                            tokens.append(token)
                            time.sleep(0.01)
                        INSIDE.unlink()
            except kvs.KvsError:
                lost += 1
    return Told(tokens, lost)


WAYS = {COUNTER: count, BY_HAND: count_by_hand, LOCK: visit}


def main() -> None:
    way, times, endpoints = sys.argv[1:]
    print(json.dumps(WAYS[way](random.sample(listed := endpoints.split(","), len(listed)), int(times))))


if __name__ == "__main__":
    main()
