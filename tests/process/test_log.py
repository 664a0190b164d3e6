"""What a node logs, as its environment says: JSON for programs, slow requests, requests that failed, and their ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster import Client, NodeProcess, Processes, eventually, fresh_addresses

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


def lines_of(process: NodeProcess) -> list[dict[str, Any]]:
    """Each is a JSON object, or this raises; the last one may not be whole yet."""
    whole, _, _ = process.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


async def test_process_logs_json_a_line_each_with_the_id_that_the_client_was_told(
    processes: Processes, http: Client
) -> None:
    a, b = nodes = fresh_addresses(2)
    await processes.start_all(nodes, LOG_FORMAT="json")
    replies = {key: await http.put(a, key, 1) for key in (f"k{number}" for number in range(50))}
    theirs = next(key for key, reply in replies.items() if "address" in reply.json)
    await processes[b].kill()

    async def fails() -> str | None:
        reply = await http.get(a, theirs)
        return reply.headers["X-Request-Id"] if reply.status == 503 else None

    id_ = await eventually(fails, "a request that fails")

    async def is_logged() -> list[dict[str, Any]]:
        return [line for line in lines_of(processes[a]) if "request-id" in line]

    (line,) = await eventually(is_logged, "a line of it")
    assert (line["path"], line["status"], line["level"]) == (f"/kvs/keys/{theirs}", 503, "warning")
    assert f"request {line['request-id']}" in line["message"] and line["request-id"] == id_

    async def is_mourned() -> bool:
        return any(line["message"].startswith(f"{b} is down") for line in lines_of(processes[a]))

    await eventually(is_mourned, "a line that it is down")
    assert lines_of(processes[a])[0].keys() == {"time", "level", "logger", "message"}


async def test_process_logs_what_is_slow_and_nothing_below_its_level(processes: Processes, http: Client) -> None:
    (a,) = fresh_addresses(1)
    node = await processes.start(a, [a], SLOW_REQUEST_MS="1", LOG_LEVEL="warning")

    async def is_slow() -> bool:
        reply = await http.put(a, "k", 1)
        return "X-Request-Id" in reply.headers

    await eventually(is_slow, "a write that takes a millisecond")

    async def is_logged() -> bool:
        return "WARNING node.api.request_log: PUT /kvs/keys/k: 20" in node.log.read_text()

    await eventually(is_logged, "a line of it")
    assert "INFO" not in node.log.read_text()
